//! Warnings about the data of an answer.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use crate::sources::Sources;

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
    /// A warning about names that no source of the workspace has, if there are any.
    pub fn unknown_sources(names: &BTreeSet<String>, sources: &Sources) -> Option<Self> {
        let is_known = |name: &String| sources.values().any(|source| source.definition.name == *name);
        let unknown: Vec<_> = names.iter().filter(|name| !is_known(name)).cloned().collect();
        (!unknown.is_empty()).then(|| Self {
            code: "unknown_source",
            detail: "The workspace has no source of this name.".to_owned(),
            sources: unknown,
            measures: Vec::new(),
        })
    }

    /// The bytes that it takes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.detail.len() + self.sources.iter().map(|name| name.len() + 24).sum::<usize>()
    }
}
