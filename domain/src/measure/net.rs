//! Net measures: signed sums of others.

use super::Measure;

/// A measure less what is taken off it. It counts the sources that state what it cannot do without: of a source that
/// states no refunds, net revenue would be gross.
#[derive(Debug, PartialEq, Eq)]
pub struct NetMeasure {
    /// The name on the wire.
    pub name: &'static str,
    /// What is taken from.
    pub gross: Measure,
    /// What is taken off.
    pub deductions: &'static [Measure],
    /// The measures that a source must state, so that its numbers count.
    pub needed: &'static [Measure],
    /// The formula, for people.
    pub formula: &'static str,
    /// What it counts, in one sentence.
    pub description: &'static str,
}

/// The catalogue of net measures.
pub const NET: &[NetMeasure] = &[NetMeasure {
    name: "net_revenue",
    gross: Measure::Revenue,
    deductions: &[Measure::Discounts, Measure::Refunds],
    needed: &[Measure::Revenue, Measure::Refunds],
    formula: "revenue - discounts - refunds",
    description: "Revenue that stays, of the sources that state revenue and refunds.",
}];

impl NetMeasure {
    /// Its parts, each with its sign.
    pub fn terms(&self) -> impl Iterator<Item = (Measure, i128)> {
        let deductions = self.deductions.iter().map(|measure| (*measure, -1));
        std::iter::once((self.gross, 1)).chain(deductions)
    }
}
