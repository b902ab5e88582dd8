//! `highwater replay --status`: every epoch, its workspaces and its progress.

use std::io::Write as _;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use projections::{EpochState, EpochStatus};
use sqlx::PgPool;

use crate::commands::age::age;

pub(super) async fn show(admin: &PgPool, named: &[&str], now: DateTime<Utc>) -> anyhow::Result<ExitCode> {
    let mut epochs = projections::epochs(admin).await?;
    epochs.retain(|epoch| named.contains(&epoch.projection.as_str()));
    writeln!(std::io::stdout(), "{}", table(&epochs, now))?;
    Ok(ExitCode::SUCCESS)
}

fn table(epochs: &[EpochStatus], now: DateTime<Utc>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "projection",
        "epoch",
        "state",
        "version",
        "workspaces",
        "applied",
        "of",
        "complete",
        "dropped in",
    ]);
    for column in [1, 3, 4, 5, 6, 7] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for epoch in epochs {
        table.add_row([
            epoch.projection.clone(),
            epoch.epoch.to_string(),
            epoch.state.name().to_owned(),
            epoch.version.to_string(),
            epoch.workspaces.to_string(),
            epoch.applied.to_string(),
            epoch.events.to_string(),
            complete(epoch),
            epoch.drop_at.map_or_else(|| "-".to_owned(), |drop_at| age(drop_at - now)),
        ]);
    }
    table
}

/// The share of its logs that it has applied.
pub(crate) fn complete(epoch: &EpochStatus) -> String {
    let Some(hundredths) = (100 * epoch.applied).checked_div(epoch.events) else { return "-".to_owned() };
    format!("{hundredths} %")
}

/// The build that runs or is unfinished, in a line.
pub(crate) fn build(epoch: &EpochStatus) -> Option<String> {
    (epoch.state == EpochState::Building).then(|| {
        format!(
            "{}: building epoch {} with version {}: {} of {} events ({}), {} workspaces read it",
            epoch.projection,
            epoch.epoch,
            epoch.version,
            epoch.applied,
            epoch.events,
            complete(epoch),
            epoch.workspaces
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_an_epoch_as_a_row() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let mut epoch = EpochStatus {
            projection: "campaign_model".to_owned(),
            epoch: 7,
            state: EpochState::Kept,
            version: 3,
            workspaces: 0,
            applied: 50,
            events: 200,
            drop_at: Some(now + chrono::TimeDelta::hours(5)),
            created_at: now,
        };
        let shown = table(&[epoch.clone()], now).to_string();
        for cell in ["campaign_model", "7", "kept", "25 %", "5 h 0 min"] {
            assert!(shown.contains(cell), "{shown}");
        }
        assert_eq!(build(&epoch), None);
        epoch.state = EpochState::Building;
        assert!(build(&epoch).unwrap().contains("50 of 200 events (25 %)"));
        epoch.events = 0;
        assert_eq!(complete(&epoch), "-");
    }
}
