//! CloudEvents 1.0 in JSON, one (structured mode) or several (batched mode). Each event is one observation.
//!
//! Its `id`, the end of its `type`, its `time` and its `data` are the members of an observation. Unknown attributes are
//! ignored, as the specification requires.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use commands::CommandError;
use commands::ingest::{ObservationItem, check_batch_size, observation_id};
use commands::rejections::{ItemForm, SentItems};
use domain::item::{ItemError, ItemErrorCode, RejectedItem, truncate};
use domain::json_objects;
use domain::observation::ObservationInput;
use http::StatusCode;
use http_edge::problem::Problem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::format::InputFormat;
use super::item::SentObservation;
use crate::command::JsonCommand;
use crate::json_item::malformed;
use crate::problems::RouteError;
use crate::problems::kinds::MIXED_SOURCES;
use crate::raw_number::{Rounding, StrictStr, UniqueKeyMap};
use crate::response::CommandResponse;
use crate::routes::batch::{BatchResponse, ResultsFilter};
use crate::state::ApiState;

/// The relevant context attributes, and the data. `null` counts as absent.
#[derive(Debug, Deserialize)]
#[serde(remote = "Self")]
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

json_objects!(read: Event<'a>);

/// The data of an event: the members of an observation that the context lacks.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
struct Data<'a> {
    #[serde(borrow, default)]
    campaign_id: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    external_campaign_id: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    count: Option<&'a RawValue>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    dimensions: Option<UniqueKeyMap<'a, StrictStr<'a>>>,
    #[serde(borrow, default)]
    message: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    recipient: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    adjusts: Option<&'a RawValue>,
}

json_objects!(read: Data<'a>);

/// An event as far as it is readable.
pub(super) struct ReadEvent<'a> {
    source: Option<Cow<'a, str>>,
    /// Whether `subject` names the campaign.
    pub(super) by_subject: bool,
    pub(super) item: ObservationItem,
}

/// Records one event, or several of one source.
pub(super) async fn record(
    state: &ApiState,
    command: &JsonCommand,
    format: InputFormat,
    source: Option<&str>,
    filter: ResultsFilter,
) -> Result<CommandResponse, RouteError> {
    let sent: Vec<&RawValue> =
        if format == InputFormat::CloudEvent { vec![command.batch()?] } else { command.batch()? };
    check_batch_size("", sent.len(), state.commands.limits().observations)?;
    let mut rounding = Rounding::default();
    let events: Vec<ReadEvent<'_>> = sent.iter().map(|event| read(event.get(), &mut rounding)).collect();
    let source = match source {
        Some(source) => Cow::Borrowed(source),
        None => Cow::Owned(common_source(&events)?.to_owned()),
    };
    let (by_subject, items): (Vec<bool>, Vec<ObservationItem>) =
        events.into_iter().map(|event| (event.by_subject, event.item)).unzip();
    let recorded = state.commands.record_observations(&command.context, &source, &items).await?;
    let (mut batch, done) = recorded.split();
    for result in &mut batch.results {
        // Errors of unreadable events name the attributes already.
        if let (Some(Ok(_)), Some(field)) = (items.get(result.index), &mut result.field) {
            *field = field_of_event(field, by_subject.get(result.index).copied().unwrap_or_default());
        }
    }
    let rejected = SentItems { source: &source, form: ItemForm::CloudEvent, is_repeated: done.replayed };
    let text_of = |index: usize| sent.get(index).map(|raw| raw.get().as_bytes());
    let kept = state.commands.keep_rejected(&command.context, &rejected, &batch.results, text_of).await;
    let id_of = |index: usize| items.get(index).and_then(observation_id);
    let body = BatchResponse::new(batch, kept, &rounding, done.position, filter, id_of);
    Ok(CommandResponse::new(StatusCode::OK, &command.context, &done, &body))
}

/// The common source of the events that name one.
fn common_source<'a>(sent: &'a [ReadEvent<'_>]) -> Result<&'a str, RouteError> {
    let mut named =
        sent.iter().enumerate().filter_map(|(index, event)| event.source.as_deref().map(|source| (index, source)));
    let place = |index: usize| if sent.len() == 1 { "source".to_owned() } else { format!("[{index}].source") };
    let Some((first, source)) = named.next() else {
        return Err(CommandError::Invalid {
            field: "source",
            detail: "is needed in an event, which is an object, or as ?source=".to_owned(),
        }
        .into());
    };
    match named.find(|(_, other)| *other != source) {
        None => Ok(source),
        Some((index, other)) => {
            let detail = format!(
                "Event {index} names \"{}\", event {first} \"{}\". Send the events of each source in a request of \
                 their own, or name one source for all of them: ?source=NAME.",
                truncate(other),
                truncate(source),
            );
            Err(Problem::new(MIXED_SOURCES)
                .field(place(index), format!("differs from {}", place(first)))
                .detail(detail)
                .into())
        }
    }
}

pub(super) fn read<'a>(text: &'a str, rounding: &mut Rounding) -> ReadEvent<'a> {
    let unreadable = |error: ItemError| ReadEvent { source: None, by_subject: false, item: Err(error.into()) };
    if !text.starts_with('{') {
        // A sequence would be read as the attributes in order.
        return unreadable(ItemError::whole(ItemErrorCode::Malformed, "must be an object"));
    }
    let Ok(event) = serde_json::from_str::<Event<'_>>(text) else {
        return unreadable(malformed::<Event<'_>>(text));
    };
    let source = event.source.as_ref().map(|StrictStr(source)| source.clone());
    let mut by_subject = false;
    let item = event.observation(&mut by_subject, rounding);
    let id = event.id.as_ref().map(|StrictStr(id)| truncate(id));
    ReadEvent { source, by_subject, item: item.map_err(|error| RejectedItem { id, error }) }
}

impl Event<'_> {
    fn observation(&self, by_subject: &mut bool, rounding: &mut Rounding) -> Result<ObservationInput, ItemError> {
        self.check_version()?;
        let id = needed("id", self.id.as_ref())?;
        needed("source", self.source.as_ref())?;
        let kind = needed("type", self.kind.as_ref())?;
        let kind = kind.rsplit_once('.').map_or(kind, |(_, last)| last);
        let time = needed("time", self.time.as_ref())?;
        let data = self.data()?;
        *by_subject = data.campaign_id.is_none() && data.external_campaign_id.is_none();
        let subject = self.subject.as_ref().filter(|_| *by_subject);
        let sent = SentObservation {
            id: id.into(),
            campaign_id: data.campaign_id,
            external_campaign_id: subject
                .map(|StrictStr(text)| StrictStr(text.as_ref().into()))
                .or(data.external_campaign_id),
            kind: kind.into(),
            occurred_at: time.into(),
            count: data.count,
            value: data.value,
            dimensions: data.dimensions,
            message: data.message,
            recipient: data.recipient,
            adjusts: data.adjusts,
        };
        sent.into_input(rounding).map_err(|error| {
            let field = error.field.map(|field| field_of_event(&field, *by_subject));
            ItemError { field, ..error }
        })
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
            let error = malformed::<Data<'_>>(data.get());
            let field = error.field.map_or("data".to_owned(), |field| format!("data.{field}"));
            ItemError { field: Some(field), ..error }
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

/// The attribute of an event for a member of an observation.
pub(super) fn field_of_event(field: &str, by_subject: bool) -> String {
    match field {
        "id" | "type" => field.to_owned(),
        "occurred_at" => "time".to_owned(),
        "campaign_id" | "external_campaign_id" if by_subject => "subject".to_owned(),
        other => format!("data.{other}"),
    }
}
