//! What is known of a source before its lines are judged.

use domain::money::Currency;
use domain::zone::Zone;

/// A source of the file, as its lines are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFacts {
    /// The zone of its days.
    pub zone: Zone,
    /// The currency of its money.
    pub currency: Currency,
    /// Whether nothing says its currency.
    pub is_currency_assumed: bool,
    /// Whether the workspace has it.
    pub is_registered: bool,
}
