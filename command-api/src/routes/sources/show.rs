//! Sources as commands see them: their definitions, how those change, and when nothing is expected.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, NaiveDate, Utc};
use commands::SourceSnapshot;
use domain::freshness::SelfCompleting;
use domain::measure::Measure;
use domain::source::{DatedChange, DeliveryPause, Horizon, SeriesDates, SourceDefinition, observation_window_s};
use http_edge::path::ApiPath;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::command::ReadCommand;
use crate::problems::RouteError;
use crate::problems::kinds::ReadSourceProblems;
use crate::state::ApiState;

/// Every source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"data": [example()]}))]
pub(crate) struct SourcesBody {
    /// By name.
    data: Vec<SourceBody>,
}

/// A source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = example)]
pub(crate) struct SourceBody {
    /// Its id.
    source_id: Uuid,
    /// Its name.
    name: String,
    /// The number of its events.
    version: i64,
    /// `push` or `pull`.
    #[schema(value_type = String)]
    kind: &'static str,
    /// The time zone of its days, today.
    time_zone: String,
    /// The currency of its money, today.
    currency: String,
    /// Its series: its dates under one time zone and one currency. The first one holds from the beginning of time.
    series: Vec<SeriesBody>,
    /// The platform that it reads.
    platform: Option<String>,
    /// What the ids of its observations are unique within: `day` or `window`.
    #[schema(value_type = String)]
    id_scope: &'static str,
    /// The first date of which anything is expected.
    expected_from: Option<NaiveDate>,
    /// The settings of today.
    settings: SourceSettings,
    /// The settings by date, the first one from the beginning of time.
    history: Vec<DatedSettings>,
    /// When it ended, unless it has resumed since.
    ended_at: Option<DateTime<Utc>>,
    /// The times of which nothing is expected.
    pauses: Vec<PauseBody>,
}

/// The settings of a source that may change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceSettings {
    /// The channel that it reports on.
    channel: String,
    /// `primary` or `reference`.
    #[schema(value_type = String)]
    role: &'static str,
    /// The roles of single measures, where they differ.
    #[schema(value_type = BTreeMap<String, String>)]
    measure_roles: BTreeMap<Measure, &'static str>,
    /// The measures that it states; none where that is learned.
    #[schema(value_type = Vec<String>)]
    measures: BTreeSet<Measure>,
    /// How many seconds after a bucket closes its numbers usually arrive.
    expected_delay_s: i64,
    /// For how long after a bucket closes its numbers may still change: seconds, or a rule. As a request has them.
    #[schema(value_type = BTreeMap<String, super::HorizonBody>)]
    horizons: BTreeMap<&'static str, Horizon>,
    /// How many seconds after a bucket closes it is complete, if it never says so itself.
    complete_after_s: Option<i64>,
    /// How many seconds after it was last heard of such a source is late.
    quiet_after_s: Option<i64>,
    /// How many seconds after it happened it may send an observation.
    observation_window_s: i64,
    /// `reject` or `create`: what becomes of an item that names an external id that no campaign has.
    #[schema(value_type = String)]
    unknown_campaigns: &'static str,
    /// The dimensions by which it may state totals.
    dimensions: Vec<super::DimensionBody>,
}

/// Settings, with the first date of which they hold.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DatedSettings {
    /// Null for the first settings.
    from: Option<NaiveDate>,
    #[serde(flatten)]
    settings: SourceSettings,
}

/// A series: what is recorded of its dates is in its time zone and its currency.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SeriesBody {
    /// The time zone of its days.
    time_zone: String,
    /// The currency of its money.
    currency: String,
    /// Its first date, in its time zone; null for the first series.
    from: Option<NaiveDate>,
    /// The first date after it, in the time zone of the next one; null for the last series.
    until: Option<NaiveDate>,
}

/// A time of which nothing is expected.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PauseBody {
    /// Its first instant.
    from: DateTime<Utc>,
    /// The first instant after it; null while the source has ended.
    until: Option<DateTime<Utc>>,
}

/// List the sources
///
/// What commands rest on: definitions and their history. `GET /v1/freshness` of the read API says how each source does.
#[utoipa::path(
    get,
    path = "/v1/sources",
    operation_id = "list_sources",
    tag = "sources",
    responses((status = 200, description = "Every source, by name", body = SourcesBody))
)]
pub(crate) async fn list(State(state): State<ApiState>, read: ReadCommand) -> Result<Json<SourcesBody>, RouteError> {
    let sources = state.commands.sources(&read.context).await?;
    let now = read.context.received_at;
    Ok(Json(SourcesBody { data: sources.into_iter().map(|source| SourceBody::new(source, now)).collect() }))
}

/// Show a source
#[utoipa::path(
    get,
    path = "/v1/sources/{name}",
    operation_id = "show_source",
    tag = "sources",
    params(("name" = String, Path, description = "The source", example = "google_ads")),
    responses((status = 200, description = "The source", body = SourceBody), ReadSourceProblems)
)]
pub(crate) async fn show(
    State(state): State<ApiState>,
    ApiPath(name): ApiPath<String>,
    read: ReadCommand,
) -> Result<Json<SourceBody>, RouteError> {
    let source = state.commands.source(&read.context, &name).await?;
    Ok(Json(SourceBody::new(source, read.context.received_at)))
}

impl SourceBody {
    fn new(SourceSnapshot { version, details }: SourceSnapshot, now: DateTime<Utc>) -> Self {
        let definition = &details.definition;
        let mut dates: Vec<_> = details.changes.iter().map(|DatedChange { from, .. }| *from).collect();
        dates.sort_unstable();
        dates.dedup();
        let changed = dates
            .into_iter()
            .map(|from| DatedSettings { from: Some(from), settings: SourceSettings::new(details.definition_on(from)) });
        let first = DatedSettings { from: None, settings: SourceSettings::new(definition.clone()) };
        let today = details.definition_at(now);
        Self {
            source_id: details.source.0,
            name: definition.name.clone(),
            version,
            kind: definition.kind.name(),
            time_zone: today.time_zone.to_string(),
            currency: today.currency.to_string(),
            series: details.series().dates().into_iter().map(SeriesBody::new).collect(),
            platform: definition.platform.clone(),
            id_scope: definition.id_scope.name(),
            expected_from: definition.expected_from,
            settings: SourceSettings::new(today),
            history: std::iter::once(first).chain(changed).collect(),
            ended_at: details.ended_at(),
            pauses: details
                .pauses
                .iter()
                .map(|DeliveryPause { from, until }| PauseBody { from: *from, until: *until })
                .collect(),
        }
    }
}

impl SeriesBody {
    fn new(SeriesDates { series, from, until }: SeriesDates) -> Self {
        Self {
            time_zone: series.time_zone.to_string(),
            currency: series.currency.to_string(),
            from: from.map(|day| day.date),
            until: until.map(|day| day.date),
        }
    }
}

impl SourceSettings {
    pub(super) fn new(definition: SourceDefinition) -> Self {
        Self {
            observation_window_s: observation_window_s(&definition),
            unknown_campaigns: definition.unknown_campaigns.name(),
            complete_after_s: definition.complete_after_s,
            quiet_after_s: SelfCompleting::of(&definition).map(|settings| settings.quiet_after_s),
            dimensions: definition.dimensions.into_iter().map(super::DimensionBody::new).collect(),
            channel: definition.channel.into(),
            role: definition.role.name(),
            measure_roles: definition.measure_roles.into_iter().map(|(measure, role)| (measure, role.name())).collect(),
            measures: definition.measures,
            expected_delay_s: definition.expected_delay_s,
            horizons: definition.horizons.by_member().collect(),
        }
    }
}

/// A source whose horizon changed once.
fn example() -> Value {
    let settings = |horizon: &str| {
        json!({
            "channel": "paid_search", "role": "primary", "measure_roles": {},
            "measures": ["clicks", "impressions", "spend"], "expected_delay_s": 10_800,
            "horizons": {"delivery": horizon, "conversions": "30d"}, "complete_after_s": null, "quiet_after_s": null,
            "observation_window_s": 2_592_000, "unknown_campaigns": "reject",
            "dimensions": [{"name": "device", "partition": true}]
        })
    };
    let dated = |from: Option<&str>, horizon: &str| {
        let mut dated = settings(horizon);
        dated["from"] = from.into();
        dated
    };
    json!({
        "source_id": "01a20311-b2f9-7457-9fb3-42c67d09ab99", "name": "google_ads", "version": 2, "kind": "pull",
        "time_zone": "Europe/Berlin", "currency": "EUR",
        "series": [{"time_zone": "Europe/Berlin", "currency": "EUR", "from": null, "until": null}],
        "platform": "google_ads", "id_scope": "day", "expected_from": "2026-10-01",
        "settings": settings("3d"), "history": [dated(None, "7d"), dated(Some("2026-11-01"), "3d")],
        "ended_at": null, "pauses": []
    })
}
