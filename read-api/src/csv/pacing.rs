//! Rows of pacing as lines.

use domain::measure::Unit;
use queries::campaign::BudgetBody;
use queries::pacing::{CampaignPacing, PacingBody};

use super::cells::Lines;
use super::number;
use crate::error::ApiError;

pub(super) fn columns() -> Vec<String> {
    let plain = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let money = |names: &[&str]| names.iter().flat_map(|name| number(name, Unit::Money)).collect();
    [
        plain(&[
            "campaign_id",
            "name",
            "status",
            "today",
            "starts_on",
            "ends_on",
            "days",
            "elapsed_days",
            "paused_days",
        ]),
        plain(&["elapsed_share", "remaining_days", "budget", "budget_currency", "budget_per"]),
        money(&["budget_total", "spent", "spent_before_today", "expected"]),
        plain(&["index"]),
        money(&["daily_pace", "projected"]),
        plain(&["exhausted_on"]),
        money(&["daily_needed"]),
        plain(&["warnings"]),
    ]
    .concat()
}

pub(super) fn write(lines: &mut Lines, row: &CampaignPacing) -> Result<(), ApiError> {
    let PacingBody {
        campaign_id,
        status,
        today,
        starts_on,
        ends_on,
        days,
        elapsed_days,
        paused_days,
        elapsed_share,
        remaining_days,
        budget,
        budget_total,
        spent,
        spent_before_today,
        expected,
        index,
        daily_pace,
        projected,
        exhausted_on,
        daily_needed,
    } = &row.pacing;
    let shown = |number: &Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    let date = |date: &Option<chrono::NaiveDate>| date.map(|date| date.to_string()).unwrap_or_default();
    lines.plain(campaign_id)?;
    lines.text(&row.name)?;
    lines.text(status.name())?;
    lines.plain(today)?;
    lines.plain(starts_on)?;
    lines.plain(date(ends_on))?;
    lines.plain(shown(days))?;
    lines.plain(elapsed_days)?;
    lines.plain(paused_days)?;
    lines.value(*elapsed_share, Unit::Ratio)?;
    lines.plain(shown(remaining_days))?;
    match budget {
        Some(BudgetBody { amount, currency, per }) => {
            lines.text(amount)?;
            lines.plain(currency)?;
            lines.text(per.name())?;
        }
        None => (0..3).try_for_each(|_| lines.empty())?,
    }
    for amount in [budget_total, spent, spent_before_today, expected] {
        lines.value(*amount, Unit::Money)?;
    }
    lines.value(*index, Unit::Ratio)?;
    for amount in [daily_pace, projected] {
        lines.value(*amount, Unit::Money)?;
    }
    lines.plain(date(exhausted_on))?;
    lines.value(*daily_needed, Unit::Money)?;
    lines.list(&row.warnings)?;
    lines.end()
}
