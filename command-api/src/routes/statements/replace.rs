//! The part of a source's statements that a batch makes whole, read from JSON.

use std::borrow::Cow;
use std::collections::BTreeSet;

use commands::CommandError;
use domain::ids::CampaignId;
use domain::json_objects;
use domain::measure::Measure;
use domain::statement::Replacement;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::item;

/// The part as it is sent.
#[derive(Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub(super) struct SentReplace<'a> {
    #[serde(borrow)]
    from: Cow<'a, str>,
    #[serde(borrow)]
    to: Cow<'a, str>,
    #[serde(default)]
    campaign_ids: Option<BTreeSet<Uuid>>,
    #[serde(borrow, default)]
    measures: Option<Vec<Cow<'a, str>>>,
}

json_objects!(read: SentReplace<'a>);

/// The part of the source's statements that a batch makes whole: what was stated there before, and the batch does not
/// name, is taken back. At most 20,000 values are: replace larger ranges day by day, or some campaigns at a time.
#[derive(ToSchema)]
#[schema(as = Replace, example = json!({"from": "2026-11-20", "to": "2026-11-20"}))]
#[expect(dead_code, reason = "describes what is read from its text")]
pub(super) struct ReplaceSent {
    /// The first bucket: with grain `day` a date, otherwise a bucket's first instant.
    #[schema(example = "2026-11-20")]
    from: String,
    /// The last bucket, inclusive.
    #[schema(example = "2026-11-20")]
    to: String,
    /// Only these campaigns. All, if left out.
    campaign_ids: Option<Vec<Uuid>>,
    /// Only these measures. Those that any statement of the batch names, if left out.
    measures: Option<Vec<String>>,
}

impl SentReplace<'_> {
    pub(super) fn into_replacement(self) -> Result<Replacement, CommandError> {
        let bucket = |field: &'static str, text: &str| {
            item::bucket(text).map_err(|error| CommandError::Invalid { field, detail: error.detail })
        };
        let measure = |name: &Cow<'_, str>| {
            let unknown = |error| CommandError::Invalid { field: "replace.measures", detail: format!("{error}") };
            name.parse::<Measure>().map_err(unknown)
        };
        Ok(Replacement {
            from: bucket("replace.from", &self.from)?,
            to: bucket("replace.to", &self.to)?,
            campaigns: self.campaign_ids.map(|ids| ids.into_iter().map(CampaignId).collect()),
            measures: self.measures.map(|names| names.iter().map(measure).collect()).transpose()?,
        })
    }
}
