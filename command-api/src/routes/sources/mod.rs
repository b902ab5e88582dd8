//! Sources: connectors' feeds, registered by name, changed from a date on, ended and resumed.

mod activity; // who changed what, when and why
mod change; // PATCH, end, resume
mod show; // what commands rest on

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use chrono::NaiveDate;
use commands::CommandError;
use domain::breakdown::SourceDimension;
use domain::channel::Channel;
use domain::json_objects;
use domain::measure::Measure;
use domain::money::Currency;
use domain::note::{NoteUrl, Reason};
use domain::source::{
    Horizon, Horizons, IdScope, Platform, SourceDefinition, SourceError, SourceKind, SourceRole, UnknownCampaigns,
    ZoneRule,
};
use domain::zone::Zone;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::dimension::dimension;
use crate::command::{JsonCommand, noted};
use crate::moment;
use crate::problems::RouteError;
use crate::problems::kinds::SourceProblems;
use crate::raw_number::UniqueKeys;
use crate::response::CommandResponse;
use crate::state::ApiState;

pub(crate) use activity::{__path_activity, activity};
pub(crate) use change::{__path_change, __path_end, __path_resume, change, end, resume};
pub(crate) use show::{__path_list, __path_show, list, show};

/// The definition of a source.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({
    "name": "google_ads",
    "channel": "paid_search",
    "kind": "pull",
    "role": "primary",
    "time_zone": "Europe/Berlin",
    "currency": "EUR",
    "expected_delay_s": 10_800,
    "horizons": {"delivery": "3d", "conversions": "30d"}
}))]
pub(crate) struct RegisterSource {
    /// One line of 1 to 100 characters, unique in the workspace.
    name: String,
    /// The channel that it reports on.
    #[schema(value_type = String)]
    channel: Channel,
    /// `push`: sends observations. `pull`: is asked for totals and sends statements.
    #[schema(value_type = String)]
    kind: SourceKind,
    /// `primary`: counts toward totals. `reference`: is shown beside them.
    #[schema(value_type = String)]
    role: SourceRole,
    /// The roles of single measures, where they differ.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    measure_roles: UniqueKeys<SourceRole>,
    /// The measures that it states. If left out, that is learned from what it states.
    #[serde(default)]
    measures: Option<Vec<String>>,
    /// The platform that it reads: sets zone, delay and horizons where they are left out.
    #[serde(default)]
    #[schema(example = "google_ads")]
    platform: Option<String>,
    /// The IANA time zone of its days. May be left out with a `platform` that reports in UTC.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    time_zone: Option<Zone>,
    /// The currency of its money.
    #[schema(value_type = String)]
    currency: Currency,
    /// How many seconds after a bucket closes its numbers usually arrive; at most 31 days. May be left out with a
    /// `platform`.
    #[serde(default)]
    expected_delay_s: Option<i64>,
    /// For how long after a bucket closes its numbers may still change; at most 400 days. May be left out with a
    /// `platform`.
    #[serde(default)]
    horizons: Option<HorizonsBody>,
    /// One horizon for every measure, in seconds: a short form of `horizons`.
    #[serde(default)]
    restatement_horizon_s: Option<i64>,
    /// For a push source that never says that it is complete: how many seconds after a bucket closes it is. Its
    /// completeness then grows with the clock while something of it arrives.
    #[serde(default)]
    complete_after_s: Option<i64>,
    /// Beside `complete_after_s`: how many seconds after it was last heard of it is late, and completes no further; a
    /// day, if left out.
    #[serde(default)]
    quiet_after_s: Option<i64>,
    /// The first date of which anything is expected, in its time zone.
    #[serde(default, deserialize_with = "moment::date_or_null")]
    expected_from: Option<NaiveDate>,
    /// How many seconds after it happened it may send an observation, 7 to 90 days. If left out: its longest horizon,
    /// within these.
    #[serde(default)]
    observation_window_s: Option<i64>,
    /// For a push source, what an observation's `id` is unique within, beside the source and the type. `day`, if left
    /// out: the UTC day of `occurred_at`. `window`: the time for which the source may send, whatever day the
    /// observation says. It cannot change.
    #[serde(default)]
    #[schema(value_type = String)]
    id_scope: IdScope,
    /// What becomes of an item that names an external id that no campaign has. `reject`, if left out: it is rejected.
    /// `create`: the campaign is created.
    #[serde(default)]
    #[schema(value_type = String)]
    unknown_campaigns: UnknownCampaigns,
    /// For a pull source, the dimensions by which it may state totals, at most 16. Where it states no total, the first
    /// partition by which it states the bucket makes it.
    #[serde(default)]
    dimensions: Option<Vec<DimensionBody>>,
    /// Why: 1 to 500 characters, kept in the log.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    reason: Option<Reason>,
    /// Where more is written: an `http` or `https` URL.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^https?://", max_length = 2000)]
    note_url: Option<NoteUrl>,
}

json_objects!(read: RegisterSource);

/// Horizons: of `delivery` (impressions, clicks, spend, video views, sends), of `conversions` (every other measure),
/// and of single measures by their names. Each is a length (`"30d"`, `"12h"`, or seconds) or a rule
/// (`"month_end + 40d"`).
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(
    value_type = BTreeMap<String, HorizonBody>,
    example = json!({"delivery": "3d", "conversions": "month_end + 40d"})
)]
pub(super) struct HorizonsBody(UniqueKeys<HorizonBody>);

/// A horizon: seconds, or a text.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged, expecting = "is neither a number of seconds nor a text such as 30d or month_end + 40d")]
pub(super) enum HorizonBody {
    /// A length in seconds.
    Seconds(i64),
    /// A length with its unit, or a rule.
    Text(String),
}

impl HorizonsBody {
    /// The horizons. What is left out is as in `before`.
    fn into_horizons(self, before: Option<&Horizons>) -> Result<Horizons, CommandError> {
        let wrong = |detail: String| CommandError::Invalid { field: "horizons", detail };
        let mut groups = [before.map(|before| before.delivery), before.map(|before| before.conversions)];
        let mut measures = before.map(|before| before.measures.clone()).unwrap_or_default();
        for (name, body) in self.0.0 {
            let horizon = match body {
                HorizonBody::Seconds(seconds) => Horizon::Seconds(seconds),
                HorizonBody::Text(text) => {
                    text.parse().map_err(|error| wrong(format!("\"{name}\": \"{text}\" {error}")))?
                }
            };
            match name.as_str() {
                "delivery" => groups[0] = Some(horizon),
                "conversions" => groups[1] = Some(horizon),
                _ => {
                    let measure: Measure = name.parse().map_err(|_| {
                        wrong(format!("\"{name}\" is not delivery, conversions or a measure of GET /v1/measures"))
                    })?;
                    measures.insert(measure, horizon);
                }
            }
        }
        match groups {
            [Some(delivery), Some(conversions)] => Ok(Horizons { delivery, conversions, measures }),
            _ => Err(wrong("must have delivery and conversions".to_owned())),
        }
    }
}

/// A dimension by which a source states totals.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "device", "partition": true}))]
pub(super) struct DimensionBody {
    /// A dimension that reports group by.
    #[schema(example = "device")]
    name: String,
    /// Whether its values sum to the total, because each thing that is counted has one of them; true, if left out.
    #[serde(default = "yes")]
    #[schema(default = true)]
    partition: bool,
}

impl DimensionBody {
    fn new(declared: SourceDimension) -> Self {
        Self { name: declared.name.to_string(), partition: declared.partition }
    }
}

fn yes() -> bool {
    true
}

/// A source that is registered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "source_id": "0195d2f4-6c11-7be4-8d02-9a4b1c7e5f30",
    "name": "google_ads",
    "version": 1,
    "position": 2
}))]
pub(crate) struct SourceResponse {
    /// Its id.
    source_id: Uuid,
    /// Its name, which batches and syncs refer to.
    name: String,
    /// The number of its events.
    version: i64,
    /// The position of the log that covers the command.
    position: i64,
    /// What may not be meant. Left out where there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<SourceWarning>,
}

/// Something in a source's definition that may not be meant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"code": "channel_looks_like", "detail": "the channel \"facebook\" looks like paid_social"}))]
pub(crate) struct SourceWarning {
    /// `channel_looks_like`: a custom channel has a name of a known one.
    code: &'static str,
    /// What it is.
    detail: String,
}

fn channel_warnings(channel: &Channel) -> Vec<SourceWarning> {
    let looks_like = channel.looks_like().into_iter();
    looks_like
        .map(|known| SourceWarning {
            code: "channel_looks_like",
            detail: format!("the channel \"{channel}\" looks like {known}: its numbers stand beside that channel's"),
        })
        .collect()
}

/// Register a source
///
/// The same definition again is answered with the source that has it (200). Another definition under a name that is
/// taken is an error (409), which names the first member that differs.
#[utoipa::path(
    post,
    path = "/v1/sources",
    operation_id = "register_source",
    tag = "sources",
    request_body = RegisterSource,
    responses(
        (status = 201, description = "The source was registered", body = SourceResponse, headers(
            ("Location" = String, description = "The source; its syncs are reported below this path"),
            ("ETag" = String, description = "The version"),
        )),
        (status = 200, description = "The same source was registered before", body = SourceResponse, headers(
            ("ETag" = String, description = "The version"),
        )),
        SourceProblems,
    )
)]
pub(crate) async fn register(
    State(state): State<ApiState>,
    command: JsonCommand,
) -> Result<CommandResponse, RouteError> {
    let mut body: RegisterSource = command.body()?;
    let context = noted(command.context.clone(), body.reason.take(), body.note_url.take());
    let warnings = channel_warnings(&body.channel);
    let is_short = body.restatement_horizon_s.is_some();
    let registered = state.commands.register_source(&context, body.into_definition()?).await;
    let (source, done) = registered.map_err(|error| name_short_form(error, is_short))?.split();
    let status = if source.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let location = format!("/v1/sources/{}", path_segment(&source.name));
    let body = SourceResponse {
        source_id: source.id.0,
        name: source.name,
        version: done.version,
        position: done.position,
        warnings,
    };
    let response = CommandResponse::new(status, &context, &done, &body).with_etag(&format!("\"{}\"", done.version));
    Ok(if source.is_new { response.with_location(&location) } else { response })
}

/// Escapes a name as a segment of a path: all but the unreserved characters of RFC 3986.
fn path_segment(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

impl RegisterSource {
    fn into_definition(self) -> Result<SourceDefinition, CommandError> {
        let missing = |field: &'static str, instead: &str| CommandError::Invalid {
            field,
            detail: format!("is needed, unless {instead}"),
        };
        let unknown = || CommandError::Rejected { rejection: SourceError::UnknownPlatform.into(), replayed: false };
        let platform = self.platform.as_deref().map(|name| Platform::find(name).ok_or_else(unknown)).transpose()?;
        let is_utc = platform.is_some_and(|platform| platform.zone_rule == ZoneRule::Utc);
        let delay_of_platform = platform.map(|platform| platform.expected_delay_s);
        let of_platform = platform.map(Platform::horizons);
        Ok(SourceDefinition {
            measure_roles: measure_roles(self.measure_roles)?,
            measures: self.measures.as_deref().map(measures).transpose()?.unwrap_or_default(),
            time_zone: self
                .time_zone
                .or(is_utc.then_some(Zone::UTC))
                .ok_or_else(|| missing("time_zone", "platform is one that reports in UTC"))?,
            expected_delay_s: self
                .expected_delay_s
                .or(delay_of_platform)
                .ok_or_else(|| missing("expected_delay_s", "platform is given"))?,
            horizons: horizons(self.horizons, self.restatement_horizon_s, of_platform.as_ref())?
                .or(of_platform)
                .ok_or_else(|| missing("horizons", "platform or restatement_horizon_s is given"))?,
            name: self.name,
            channel: self.channel,
            kind: self.kind,
            role: self.role,
            platform: self.platform,
            currency: self.currency,
            complete_after_s: self.complete_after_s,
            quiet_after_s: self.quiet_after_s,
            expected_from: self.expected_from,
            observation_window_s: self.observation_window_s,
            id_scope: self.id_scope,
            unknown_campaigns: self.unknown_campaigns,
            dimensions: self.dimensions.map(dimensions).transpose()?.unwrap_or_default(),
        })
    }
}

/// An error of `horizons`, by the name of the member that the caller gave instead.
fn name_short_form(error: CommandError, is_short: bool) -> CommandError {
    match error {
        CommandError::Rejected { mut rejection, replayed } if is_short => {
            if rejection.field.as_deref() == Some("horizons") {
                rejection.field = Some("restatement_horizon_s".to_owned());
            }
            CommandError::Rejected { rejection, replayed }
        }
        other => other,
    }
}

/// The horizons of a request, in either form.
fn horizons(
    by_member: Option<HorizonsBody>,
    uniform_s: Option<i64>,
    before: Option<&Horizons>,
) -> Result<Option<Horizons>, CommandError> {
    match (by_member, uniform_s) {
        (Some(_), Some(_)) => Err(CommandError::Invalid {
            field: "restatement_horizon_s",
            detail: "is a short form of horizons: give one of the two".to_owned(),
        }),
        (Some(body), None) => body.into_horizons(before).map(Some),
        (None, Some(seconds)) => Ok(Some(Horizons::uniform(Horizon::Seconds(seconds)))),
        (None, None) => Ok(None),
    }
}

fn measure_roles(roles: UniqueKeys<SourceRole>) -> Result<BTreeMap<Measure, SourceRole>, CommandError> {
    let role = |(name, role): (String, SourceRole)| Ok((measure("measure_roles", &name)?, role));
    roles.0.into_iter().map(role).collect()
}

fn measures(names: &[String]) -> Result<BTreeSet<Measure>, CommandError> {
    names.iter().map(|name| measure("measures", name)).collect()
}

fn dimensions(bodies: Vec<DimensionBody>) -> Result<Vec<SourceDimension>, CommandError> {
    let of = |body: DimensionBody| {
        Ok(SourceDimension { name: dimension("dimensions", &body.name)?, partition: body.partition })
    };
    bodies.into_iter().map(of).collect()
}

fn measure(field: &'static str, name: &str) -> Result<Measure, CommandError> {
    name.parse().map_err(|error| CommandError::Invalid { field, detail: format!("\"{name}\" {error}") })
}
