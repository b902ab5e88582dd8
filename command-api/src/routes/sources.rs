//! Sources: feeds of connectors, registered by name.

use std::collections::BTreeMap;

use axum::extract::State;
use commands::CommandError;
use domain::channel::Channel;
use domain::money::Currency;
use domain::note::{NoteUrl, Reason};
use domain::source::{SourceDefinition, SourceKind, SourceRole};
use domain::zone::Zone;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::command::{JsonCommand, noted};
use crate::problems::RouteError;
use crate::problems::kinds::SourceProblems;
use crate::raw_number::UniqueKeys;
use crate::response::CommandResponse;
use crate::state::ApiState;

/// The definition of a source. It is fixed once the source is registered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "google_ads",
    "channel": "paid_search",
    "kind": "pull",
    "role": "primary",
    "time_zone": "Europe/Berlin",
    "currency": "EUR",
    "expected_delay_s": 10_800,
    "restatement_horizon_s": 2_592_000
}))]
pub(crate) struct RegisterSource {
    /// One line of 1 to 100 characters, unique in the workspace.
    name: String,
    /// The channel that it reports on.
    #[schema(value_type = String)]
    channel: Channel,
    /// `push`: sends observations. `pull`: sends statements of totals.
    #[schema(value_type = String, example = "pull")]
    kind: SourceKind,
    /// `primary`: counts toward totals. `reference`: is shown beside them.
    #[schema(value_type = String, example = "primary")]
    role: SourceRole,
    /// The roles of single measures, where they differ.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    measure_roles: UniqueKeys<SourceRole>,
    /// The IANA time zone of its days.
    #[schema(value_type = String)]
    time_zone: Zone,
    /// The currency of its money.
    #[schema(value_type = String)]
    currency: Currency,
    /// How many seconds after a bucket closes its numbers usually arrive; at most 31 days.
    expected_delay_s: i64,
    /// For how many seconds after a bucket closes the source may still change its numbers; at most 400 days.
    restatement_horizon_s: i64,
    /// Why: 1 to 500 characters, kept in the log.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    reason: Option<Reason>,
    /// Where more is written: an `http` or `https` URL.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^https?://", max_length = 2000)]
    note_url: Option<NoteUrl>,
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
    /// The position of the log that covers the registration.
    position: i64,
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
    let context = noted(command.context, body.reason.take(), body.note_url.take());
    let (source, done) = state.commands.register_source(&context, body.into_definition()?).await?.split();
    let status = if source.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let location = format!("/v1/sources/{}", path_segment(&source.name));
    let body =
        SourceResponse { source_id: source.id.0, name: source.name, version: done.version, position: done.position };
    let response = CommandResponse::new(status, &context, &done, &body).with_version(done.version);
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
        let mut measure_roles = BTreeMap::new();
        for (name, role) in self.measure_roles.0 {
            let measure = name.parse().map_err(|error| CommandError::Invalid {
                field: "measure_roles",
                detail: format!("\"{name}\" {error}"),
            })?;
            measure_roles.insert(measure, role);
        }
        Ok(SourceDefinition {
            name: self.name,
            channel: self.channel,
            kind: self.kind,
            role: self.role,
            measure_roles,
            time_zone: self.time_zone,
            currency: self.currency,
            expected_delay_s: self.expected_delay_s,
            restatement_horizon_s: self.restatement_horizon_s,
        })
    }
}
