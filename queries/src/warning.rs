//! Warnings about the data of an answer.

use serde::Serialize;
use utoipa::ToSchema;

/// A warning about the data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Warning {
    /// A stable code, for programs.
    #[schema(value_type = String, example = "grain_mismatch")]
    pub code: &'static str,
    /// A text, for people.
    pub detail: String,
    /// The sources concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// The measures concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub measures: Vec<&'static str>,
}

impl Warning {
    /// The bytes that it takes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.detail.len() + self.sources.iter().map(|name| name.len() + 24).sum::<usize>()
    }
}
