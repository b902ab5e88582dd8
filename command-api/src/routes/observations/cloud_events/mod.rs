//! CloudEvents 1.0 in JSON, one (structured mode) or several (batched mode): each event is one observation.
//!
//! Its `id`, the end of its `type`, its `time` and its `data` become an observation's members, as text: no number is read on
//! the way. Attributes that we do not know are nobody's business but the sender's, as the specification asks.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use http::StatusCode;
use http_edge::problem::Problem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::items::BatchInput;
use crate::command::JsonCommand;
use crate::error::CommandError;
use crate::item_error::{ItemError, ItemErrorCode, truncate};
use crate::problems::kinds::MIXED_SOURCES;
use crate::raw_number::StrictStr;
use crate::response::CommandResponse;
use crate::routes::batch::{ResultsFilter, check_size};
use crate::state::ApiState;

/// How one event is called.
pub(super) const ONE: &str = "application/cloudevents+json";
/// How several are called.
pub(super) const BATCH: &str = "application/cloudevents-batch+json";

/// The context attributes that matter here, and the data. `null` stands for a member that is not there.
#[derive(Debug, Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    specversion: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    id: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    source: Option<StrictStr<'a>>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    time: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    subject: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    datacontenttype: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    data_base64: Option<IgnoredAny>,
}

/// The data of an event: what an observation has beside the context.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data<'a> {
    #[serde(borrow, default)]
    campaign_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    external_campaign_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    count: Option<&'a RawValue>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    dimensions: Option<&'a RawValue>,
    #[serde(borrow, default)]
    adjusts: Option<&'a RawValue>,
}

/// An event as far as it could be read.
struct Sent<'a> {
    id: Option<String>,
    source: Option<Cow<'a, str>>,
    observation: Result<Observation, ItemError>,
}

/// An event as an observation of ours.
struct Observation {
    item: Box<RawValue>,
    /// Whether the campaign is the one that `subject` names.
    by_subject: bool,
}

/// Records one event.
pub(super) async fn record_one(
    state: &ApiState,
    command: &JsonCommand,
    source: Option<&str>,
    listed: ResultsFilter,
) -> Result<CommandResponse, Problem> {
    record(state, command, &[command.batch()?], source, listed).await
}

/// Records several, all of one source.
pub(super) async fn record_batch(
    state: &ApiState,
    command: &JsonCommand,
    source: Option<&str>,
    listed: ResultsFilter,
) -> Result<CommandResponse, Problem> {
    let events: Vec<&RawValue> = command.batch()?;
    check_size("", events.len(), state.limits.observations)?;
    record(state, command, &events, source, listed).await
}

async fn record(
    state: &ApiState,
    command: &JsonCommand,
    events: &[&RawValue],
    source: Option<&str>,
    listed: ResultsFilter,
) -> Result<CommandResponse, Problem> {
    let sent: Vec<Sent<'_>> = events.iter().map(|event| read(event.get())).collect();
    let source = match source {
        Some(source) => source,
        None => common_source(&sent)?,
    };
    let mut items = BatchInput::default();
    for (index, event) in sent.iter().enumerate() {
        match &event.observation {
            Ok(observation) => items.add(index, &observation.item),
            Err(refusal) => items.refuse(index, event.id.clone(), refusal.clone()),
        }
    }
    let caller = &command.caller;
    let (done, mut answer) = items.record(state, caller, source, listed).await?;
    for result in &mut answer.results {
        let observation = sent.get(result.index).and_then(|event| event.observation.as_ref().ok());
        if let (Some(observation), Some(field)) = (observation, &mut result.field) {
            *field = field_of_event(field, observation.by_subject);
        }
    }
    Ok(CommandResponse::new(StatusCode::OK, caller, &done, &answer))
}

/// The source that all events name which name one.
fn common_source<'a>(sent: &'a [Sent<'_>]) -> Result<&'a str, Problem> {
    let mut named =
        sent.iter().enumerate().filter_map(|(index, event)| event.source.as_deref().map(|source| (index, source)));
    let place = |index: usize| if sent.len() == 1 { "source".to_owned() } else { format!("[{index}].source") };
    let Some((first, source)) = named.next() else {
        return Err(CommandError::Invalid {
            field: "source",
            detail: "is needed in an event, or as ?source=".to_owned(),
        }
        .into());
    };
    match named.find(|(_, other)| *other != source) {
        None => Ok(source),
        Some((index, other)) => {
            let detail = format!(
                "Event {index} names \"{}\", event {first} \"{}\". Send the events of each source in a request of their own, \
                 or name one source for all of them: ?source=NAME.",
                truncate(other),
                truncate(source),
            );
            Err(Problem::new(MIXED_SOURCES)
                .field(place(index), format!("differs from {}", place(first)))
                .detail(detail))
        }
    }
}

fn read(text: &str) -> Sent<'_> {
    if !text.starts_with('{') {
        // A sequence would be read as the attributes in order.
        let refusal =
            ItemError { reason: ItemErrorCode::Malformed, field: None, detail: "must be an object".to_owned() };
        return Sent { id: None, source: None, observation: Err(refusal) };
    }
    match serde_json::from_str::<Event<'_>>(text) {
        Ok(event) => {
            let id = event.id.as_ref().map(|StrictStr(id)| truncate(id));
            let observation = event.observation();
            Sent { id, source: event.source.map(|StrictStr(source)| source), observation }
        }
        Err(_) => Sent { id: None, source: None, observation: Err(ItemError::malformed::<Event<'_>>(text)) },
    }
}

impl Event<'_> {
    fn observation(&self) -> Result<Observation, ItemError> {
        self.check_version()?;
        let id = needed("id", self.id.as_ref())?;
        needed("source", self.source.as_ref())?;
        let kind = needed("type", self.kind.as_ref())?;
        let kind = kind.rsplit_once('.').map_or(kind, |(_, last)| last);
        let time = needed("time", self.time.as_ref())?;
        let data = self.data()?;

        let mut item = Members(String::with_capacity(256));
        item.text("id", id);
        item.text("type", kind);
        item.text("occurred_at", time);
        let by_subject = data.campaign_id.is_none() && data.external_campaign_id.is_none();
        if let (true, Some(StrictStr(subject))) = (by_subject, &self.subject) {
            item.text("external_campaign_id", subject);
        }
        let members = [
            ("campaign_id", data.campaign_id),
            ("external_campaign_id", data.external_campaign_id),
            ("count", data.count),
            ("value", data.value),
            ("dimensions", data.dimensions),
            ("adjusts", data.adjusts),
        ];
        for (name, value) in members.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            item.json(name, value.get());
        }
        Ok(Observation { item: item.close()?, by_subject })
    }

    fn check_version(&self) -> Result<(), ItemError> {
        match needed("specversion", self.specversion.as_ref())? {
            "1.0" => Ok(()),
            _ => Err(ItemError::at(ItemErrorCode::Unsupported, "specversion", "must be \"1.0\"")),
        }
    }

    fn data(&self) -> Result<Data<'_>, ItemError> {
        if self.data_base64.is_some() {
            return Err(ItemError::at(ItemErrorCode::Unsupported, "data_base64", "is not taken: send JSON in `data`"));
        }
        if let Some(StrictStr(kind)) = &self.datacontenttype
            && !is_json(kind)
        {
            return Err(ItemError::at(ItemErrorCode::Unsupported, "datacontenttype", "must be JSON, or left out"));
        }
        let Some(data) = self.data else { return Ok(Data::default()) };
        if !data.get().starts_with('{') {
            // A sequence would be read as the members in order.
            return Err(ItemError::at(ItemErrorCode::Malformed, "data", "must be an object"));
        }
        serde_json::from_str(data.get()).map_err(|_| {
            let refusal = ItemError::malformed::<Data<'_>>(data.get());
            let field = refusal.field.map_or("data".to_owned(), |field| format!("data.{field}"));
            ItemError { field: Some(field), ..refusal }
        })
    }
}

fn needed<'a>(name: &str, attribute: Option<&'a StrictStr<'_>>) -> Result<&'a str, ItemError> {
    match attribute {
        Some(StrictStr(text)) if !text.is_empty() => Ok(text),
        Some(_) => Err(ItemError::at(ItemErrorCode::Malformed, name, "must not be empty")),
        None => Err(ItemError::at(ItemErrorCode::Malformed, name, "is needed")),
    }
}

/// `*/json` or `*/*+json`, whatever its parameters.
fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type.split_once('/').is_some_and(|(_, subtype)| subtype == "json" || subtype.ends_with("+json"))
}

/// What the sender of an event calls a member of ours.
fn field_of_event(field: &str, by_subject: bool) -> String {
    match field {
        "id" | "type" => field.to_owned(),
        "occurred_at" => "time".to_owned(),
        "campaign_id" | "external_campaign_id" if by_subject => "subject".to_owned(),
        other => format!("data.{other}"),
    }
}

/// A JSON object under construction.
struct Members(String);

impl Members {
    fn text(&mut self, name: &str, text: &str) {
        self.json(name, &serde_json::Value::from(text).to_string());
    }

    /// `name` must need no escape, and `value` must be JSON.
    fn json(&mut self, name: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        for part in ["\"", name, "\":", value] {
            self.0.push_str(part);
        }
    }

    fn close(mut self) -> Result<Box<RawValue>, ItemError> {
        self.0.push('}');
        RawValue::from_string(self.0).map_err(|error| ItemError {
            reason: ItemErrorCode::Malformed,
            field: None,
            detail: format!("is not JSON: {error}"),
        })
    }
}
