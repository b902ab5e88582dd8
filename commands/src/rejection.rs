//! Rejections by the domain, as receipts keep them.

use domain::campaign::CampaignError;
use domain::source::SourceError;
use serde::{Deserialize, Serialize};

/// A rejection of a command by a rule of the domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainRejection {
    /// The rule's stable code.
    pub code: String,
    /// The error.
    pub detail: String,
    /// The member with the error, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl From<CampaignError> for DomainRejection {
    fn from(error: CampaignError) -> Self {
        let field = error.field().map(str::to_owned);
        Self { code: error.code().to_owned(), detail: error.to_string(), field }
    }
}

impl From<SourceError> for DomainRejection {
    fn from(error: SourceError) -> Self {
        let field = error.field().map(str::to_owned);
        Self { code: error.code().to_owned(), detail: error.to_string(), field }
    }
}
