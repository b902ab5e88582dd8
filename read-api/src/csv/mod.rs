//! Typed results as CSV: the columns follow from the query, and each row is written cell by cell.

mod cells; // lines, cell by cell
mod pacing; // rows of pacing
mod report; // rows of reports

use bytes::Bytes;
use domain::measure::Unit;
use queries::activity::ActivityEntry;
use queries::campaign::{BudgetBody, Campaign};
use queries::campaigns::{CampaignsQuery, Field};
use queries::corrections::Correction;
use queries::leaderboard::{LeaderboardQuery, RankedCampaign};
use queries::{CanonicalQuery, Data, QueryResult};

use self::cells::Lines;
use crate::error::ApiError;

const ACTIVITY: [&str; 15] = [
    "kind",
    "recorded_at",
    "position",
    "actor_kind",
    "actor_id",
    "actor_name",
    "reason",
    "note_url",
    "source",
    "changes",
    "corrections",
    "added",
    "correlation_id",
    "causation_id",
    "request_id",
];
const CORRECTIONS: [&str; 11] = [
    "correction_id",
    "original_id",
    "source",
    "type",
    "bucket",
    "occurred_at",
    "corrected_at",
    "recorded_at",
    "position",
    "changes",
    "totals",
];

/// The encoder of one query's rows.
pub(crate) struct CsvEncoder(Lines);

impl CsvEncoder {
    /// Starts with the names of the query's columns.
    pub(crate) fn new(query: &CanonicalQuery) -> Result<Self, ApiError> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let columns = match query {
            CanonicalQuery::Campaigns(query) => campaign_columns(query),
            CanonicalQuery::Activity(_) => names(&ACTIVITY),
            CanonicalQuery::Corrections(_) => names(&CORRECTIONS),
            CanonicalQuery::Report { query, .. } => report::columns(query),
            CanonicalQuery::PacingList(_) => pacing::columns(),
            CanonicalQuery::Leaderboard(query) => {
                let value = number("value", query.measure.unit());
                names(&["rank", "campaign_id", "campaign"]).into_iter().chain(value).collect()
            }
            CanonicalQuery::Campaign(_)
            | CanonicalQuery::Pacing(_)
            | CanonicalQuery::Dashboard(_)
            | CanonicalQuery::Workspace(_) => {
                return Err(ApiError::internal("it has no rows"));
            }
        };
        Ok(Self(Lines::new(&columns)?))
    }

    /// Adds the rows of one page.
    pub(crate) fn add(&mut self, query: &CanonicalQuery, page: &QueryResult) -> Result<(), ApiError> {
        let lines = &mut self.0;
        match (&page.data, query) {
            (Data::Campaigns(rows), CanonicalQuery::Campaigns(query)) => {
                rows.iter().try_for_each(|row| campaign(lines, query, row))
            }
            (Data::Activity(rows), _) => rows.iter().try_for_each(|row| activity(lines, row)),
            (Data::Corrections(rows), _) => rows.iter().try_for_each(|row| correction(lines, row)),
            (Data::PacingList(rows), _) => rows.iter().try_for_each(|row| pacing::write(lines, row)),
            (Data::Report(rows), CanonicalQuery::Report { query, .. }) => {
                rows.rows().try_for_each(|row| report::write(lines, query, &row))
            }
            (Data::Leaderboard(rows), CanonicalQuery::Leaderboard(query)) => {
                rows.campaigns.iter().try_for_each(|row| ranked(lines, query, row))
            }
            // Each variant is named, so that a new list without an arm above does not compile.
            (
                Data::Campaigns(_)
                | Data::Campaign(_)
                | Data::Pacing(_)
                | Data::Report(_)
                | Data::Dashboard(_)
                | Data::Leaderboard(_)
                | Data::Workspace(_),
                _,
            ) => Err(ApiError::internal("it has no rows of this query")),
        }
    }

    /// Takes the encoded bytes.
    pub(crate) fn take(&mut self) -> Result<Bytes, ApiError> {
        self.0.take()
    }
}

/// The columns of a number. Money has its currency in a second column.
fn number(name: &str, unit: Unit) -> Vec<String> {
    match unit {
        Unit::Money => vec![name.to_owned(), format!("{name}_currency")],
        Unit::Count | Unit::Credit | Unit::Ratio => vec![name.to_owned()],
    }
}

fn campaign_columns(query: &CampaignsQuery) -> Vec<String> {
    let columns = Field::all().filter(|field| query.shows(*field)).flat_map(|field| match field.name() {
        "budget" => ["budget", "budget_currency", "budget_per"].map(str::to_owned).to_vec(),
        name => vec![name.to_owned()],
    });
    columns.collect()
}

fn campaign(lines: &mut Lines, query: &CampaignsQuery, row: &Campaign) -> Result<(), ApiError> {
    for field in Field::all().filter(|field| query.shows(*field)) {
        match field.name() {
            "campaign_id" => lines.plain(row.campaign_id)?,
            "version" => lines.plain(row.version)?,
            "etag" => lines.text(&row.etag)?,
            "name" => lines.text(&row.name)?,
            "status" => lines.text(row.status.name())?,
            "channels" => lines.list(&row.channels)?,
            "currency" => lines.plain(row.currency)?,
            "time_zone" => lines.text(&row.time_zone)?,
            "starts_on" => lines.plain(row.starts_on)?,
            "ends_on" => lines.plain(row.ends_on.map(|date| date.to_string()).unwrap_or_default())?,
            "budget" => match &row.budget {
                Some(BudgetBody { amount, currency, per }) => {
                    lines.text(amount)?;
                    lines.plain(currency)?;
                    lines.text(per.name())?;
                }
                None => (0..3).try_for_each(|_| lines.empty())?,
            },
            // An empty list is an empty cell.
            "external_ids" if row.external_ids.get().trim() == "[]" => lines.empty()?,
            "external_ids" => lines.json(&row.external_ids)?,
            "attributes" => lines.json(&row.attributes)?,
            "created_by_source" => lines.optional(row.created_by_source.as_deref())?,
            "created_at" => lines.instant(Some(row.created_at))?,
            "changed_at" => lines.instant(Some(row.changed_at))?,
            other => return Err(ApiError::internal(format!("no column shows {other}"))),
        }
    }
    lines.end()
}

fn activity(lines: &mut Lines, row: &ActivityEntry) -> Result<(), ApiError> {
    lines.text(&row.kind)?;
    lines.instant(Some(row.recorded_at))?;
    lines.plain(row.position)?;
    let actor = row.actor.as_ref();
    lines.optional(actor.map(|actor| actor.kind.as_str()))?;
    lines.optional(actor.map(|actor| actor.id.as_str()))?;
    lines.optional(actor.and_then(|actor| actor.name.as_deref()))?;
    for text in [&row.reason, &row.note_url, &row.source] {
        lines.optional(text.as_deref())?;
    }
    lines.members(&row.changes)?;
    lines.members(&row.corrections)?;
    lines.members(&row.added)?;
    for id in [&row.correlation_id, &row.causation_id, &row.request_id] {
        lines.optional(id.as_deref())?;
    }
    lines.end()
}

fn correction(lines: &mut Lines, row: &Correction) -> Result<(), ApiError> {
    for text in [&row.correction_id, &row.original_id, &row.source] {
        lines.text(text)?;
    }
    lines.text(row.kind.name())?;
    for instant in [row.bucket, row.occurred_at, row.corrected_at, row.recorded_at] {
        lines.instant(Some(instant))?;
    }
    lines.plain(row.position)?;
    lines.json(&row.changes)?;
    lines.json(&row.totals)?;
    lines.end()
}

fn ranked(lines: &mut Lines, query: &LeaderboardQuery, row: &RankedCampaign) -> Result<(), ApiError> {
    lines.plain(row.rank)?;
    lines.plain(row.campaign_id)?;
    lines.text(&row.campaign)?;
    lines.value(row.value, query.measure.unit())?;
    lines.end()
}
