//! Rejections by the domain, as receipts keep them.

use domain::campaign::CampaignError;
use domain::source::SourceError;
use serde::{Deserialize, Serialize};

/// A rule of the domain that does not allow a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainRejection {
    /// The rule's stable code.
    pub code: String,
    /// What is wrong.
    pub detail: String,
    /// The member at fault, if it is one.
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
