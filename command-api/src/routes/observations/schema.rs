//! The schemas of observations in every format.

use utoipa::ToSchema;

use super::ndjson::answer::{ChunkResponse, StreamSummary};
use crate::raw_number::{Decimal, MeasureValue};

/// A batch of observations of one push source.
#[derive(ToSchema)]
#[schema(example = json!({
    "source": "shop_tracker",
    "observations": [{
        "id": "order-1001",
        "external_campaign_id": "winter-sale",
        "type": "conversion",
        "occurred_at": "2026-11-21T21:59:30Z",
        "value": {"amount": "59.90", "currency": "EUR"},
        "dimensions": {"country": "DE"}
    }]
}))]
#[expect(dead_code, reason = "describes the body, which is read item by item")]
pub(super) struct RecordObservations {
    /// The source's name.
    source: String,
    /// 1 to 5,000 observations.
    observations: Vec<ObservationSent>,
}

/// Something that happened. One of `campaign_id` and `external_campaign_id` names its campaign. With `adjusts` it
/// corrects an earlier observation.
#[derive(ToSchema)]
#[schema(as = Observation, example = json!({
    "id": "order-1001",
    "external_campaign_id": "winter-sale",
    "type": "conversion",
    "occurred_at": "2026-11-21T21:59:30Z",
    "value": {"amount": "59.90", "currency": "EUR"},
    "dimensions": {"country": "DE"}
}))]
#[expect(dead_code, reason = "describes an item, which is read from its text")]
pub(super) struct ObservationSent {
    /// Unique per source and type, within the UTC day of `occurred_at` or within the source's window (`id_scope`): 1 to
    /// 128 characters.
    id: String,
    /// The campaign.
    campaign_id: Option<uuid::Uuid>,
    /// The campaign, by the id that the source uses.
    external_campaign_id: Option<String>,
    /// What happened.
    #[schema(rename = "type")]
    kind: String,
    /// When it happened, to the millisecond.
    occurred_at: chrono::DateTime<chrono::Utc>,
    /// How many. 1, if left out. A whole number, except for conversions, whose credit can be shared. In a correction:
    /// the new total.
    count: Option<Decimal>,
    /// What it was worth or cost. In a correction: the new total.
    value: Option<MeasureValue>,
    /// Labels such as `country`: at most 16, with values of at most 200 characters. Not allowed in a correction.
    dimensions: Option<std::collections::BTreeMap<String, String>>,
    /// With `recipient`, of an open or a click: the message. Every one counts in `opens_total` or `clicks_total`, the
    /// first of a message and recipient in `opens` or `clicks`. 1 to 320 characters.
    message: Option<String>,
    /// Beside `message`: whom it was sent to, such as an address. Case does not matter. It is not kept. 1 to 320
    /// characters.
    recipient: Option<String>,
    /// Makes this the correction of an earlier observation of the same source and type. A `count` or `value` that is
    /// left out stays as it was. If both are left out, the earlier observation is retracted.
    adjusts: Option<Adjusts>,
}

/// The observation to correct: its id, or its id and the UTC day of its `occurred_at` where the id was used on several
/// days. A backfill keeps no ids, so there it is stated whole.
#[derive(ToSchema)]
#[schema(example = "order-1001")]
#[serde(untagged)]
#[expect(dead_code, reason = "describes a member, which is read from its text")]
enum Adjusts {
    /// Its id.
    Id(String),
    /// Its id and day.
    Dated(DatedOriginal),
    /// In a backfill: the observation as it was.
    Stated(StatedOriginal),
}

/// The observation to correct, by its id and day.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a member, which is read from its text")]
struct DatedOriginal {
    /// Its id.
    id: String,
    /// The UTC day of its `occurred_at`.
    day: chrono::NaiveDate,
}

/// In a backfill: the observation as it was before the correction. The correction names its campaign, and may have its
/// dimensions.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a member, which is read from its text")]
struct StatedOriginal {
    /// Its id.
    id: String,
    /// When it happened.
    occurred_at: chrono::DateTime<chrono::Utc>,
    /// What its count came to. 1, if left out.
    count: Option<Decimal>,
    /// What its value came to.
    value: Option<MeasureValue>,
}

/// One CloudEvent 1.0. Attributes that are not listed are ignored.
#[derive(ToSchema)]
#[schema(example = json!({
    "specversion": "1.0",
    "id": "order-1001",
    "source": "shop_tracker",
    "type": "com.example.shop.conversion",
    "time": "2026-11-21T21:59:30Z",
    "subject": "winter-sale",
    "data": {"value": {"amount": "59.90", "currency": "EUR"}, "dimensions": {"country": "DE"}}
}))]
#[expect(dead_code, reason = "describes an event, which is read from its text")]
pub(super) struct CloudEvent {
    /// `1.0`.
    specversion: String,
    /// The observation's id.
    id: String,
    /// The source's name. All events of a request have the same, unless the query names one.
    source: String,
    /// Ends with the observation's type, after the last full stop.
    #[schema(rename = "type")]
    kind: String,
    /// When it happened.
    time: chrono::DateTime<chrono::Utc>,
    /// The campaign, by the id that the source uses, unless the data names one.
    subject: Option<String>,
    /// A JSON media type, or left out.
    datacontenttype: Option<String>,
    /// The other members of an observation: `campaign_id` or `external_campaign_id`, `count`, `value`, `dimensions`,
    /// `adjusts`.
    data: Option<std::collections::BTreeMap<String, serde_json::Value>>,
}

/// A line of a streamed response.
#[derive(ToSchema)]
#[schema(as = StreamLine, example = json!({
    "done": true, "chunks": 4, "lines": 3500, "accepted": 3499, "duplicates": 1, "conflicts": 0, "rejected": 0,
    "rounded": 0, "position": 18342, "results_omitted": 0, "consistency_token": "MS4xLjE4MzQy"
}))]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the lines, which are written one by one")]
pub(super) enum StreamLine {
    /// One for each chunk.
    Chunk(ChunkResponse),
    /// The last one.
    End(StreamSummary),
}
