//! Filters as they are sent, and repeated in answers: an object whose members must all hold.

use std::collections::BTreeSet;

use domain::observation::Dimension;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Condition, Filter};
use crate::fields::{FieldErrors, MAX_LIST};
use domain::json_objects;

/// How deeply conditions may be nested.
const MAX_DEPTH: usize = 6;
/// The most single conditions of one request.
const MAX_CONDITIONS: usize = 50;

/// Conditions on the numbers; all members must hold. A list matches any of its values; an empty list is no condition.
/// Only one dimension may be used, and the same one as in `group_by`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
#[schema(as = Filters, example = json!({"channel": ["paid_search", "paid_social"], "not": {"source": ["sandbox"]}}))]
pub struct FilterRequest {
    /// Campaigns, by id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["019aa3e0-7c00-7000-8000-00000000ca01"]))]
    pub campaign_id: Vec<String>,
    /// Channels of the sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["paid_search"]))]
    pub channel: Vec<String>,
    /// Sources, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["google_ads"]))]
    pub source: Vec<String>,
    /// Current statuses of the campaigns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["active", "paused"]))]
    pub status: Vec<String>,
    /// Values of the dimension; null matches numbers without a value, such as totals of pull sources that state none
    /// by it; `(not broken down)` the rest of those that do. The same holds for the other dimensions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["spring_24", null]))]
    pub ad: Vec<Option<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ad_group: Vec<Option<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keyword: Vec<Option<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub creative: Vec<Option<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub placement: Vec<Option<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["DE", "AT"]))]
    pub country: Vec<Option<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device: Vec<Option<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conversion_action: Vec<Option<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub utm_source: Vec<Option<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub utm_medium: Vec<Option<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub utm_campaign: Vec<Option<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub utm_term: Vec<Option<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub utm_content: Vec<Option<String>>,
    /// All of these must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion, example = json!([]))]
    pub and: Vec<FilterRequest>,
    /// At least one of these must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion, example = json!([]))]
    pub or: Vec<FilterRequest>,
    /// This must not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion, example = json!(null))]
    pub not: Option<Box<FilterRequest>>,
}

json_objects!(read and written: FilterRequest);

impl FilterRequest {
    fn values(&self, dimension: Dimension) -> &Vec<Option<String>> {
        match dimension {
            Dimension::Ad => &self.ad,
            Dimension::AdGroup => &self.ad_group,
            Dimension::Keyword => &self.keyword,
            Dimension::Creative => &self.creative,
            Dimension::Placement => &self.placement,
            Dimension::Country => &self.country,
            Dimension::Device => &self.device,
            Dimension::ConversionAction => &self.conversion_action,
            Dimension::UtmSource => &self.utm_source,
            Dimension::UtmMedium => &self.utm_medium,
            Dimension::UtmCampaign => &self.utm_campaign,
            Dimension::UtmTerm => &self.utm_term,
            Dimension::UtmContent => &self.utm_content,
        }
    }

    fn values_mut(&mut self, dimension: Dimension) -> &mut Vec<Option<String>> {
        match dimension {
            Dimension::Ad => &mut self.ad,
            Dimension::AdGroup => &mut self.ad_group,
            Dimension::Keyword => &mut self.keyword,
            Dimension::Creative => &mut self.creative,
            Dimension::Placement => &mut self.placement,
            Dimension::Country => &mut self.country,
            Dimension::Device => &mut self.device,
            Dimension::ConversionAction => &mut self.conversion_action,
            Dimension::UtmSource => &mut self.utm_source,
            Dimension::UtmMedium => &mut self.utm_medium,
            Dimension::UtmCampaign => &mut self.utm_campaign,
            Dimension::UtmTerm => &mut self.utm_term,
            Dimension::UtmContent => &mut self.utm_content,
        }
    }

    /// The canonical filter. What is wrong is added to `fields`.
    pub fn read(&self, fields: &mut FieldErrors) -> Filter {
        let mut reader = Reader { fields, conditions: 0, refused: false };
        let filter = reader.read("filters", self, 1);
        // The filter that answers repeat must be valid as a request, too.
        let form = Self::from(&filter);
        if form.levels() > MAX_DEPTH && !reader.refused {
            reader.refuse(
                "filters",
                format_args!("nests more than {MAX_DEPTH} levels deep with `not` at each condition"),
            );
        }
        if form.longest() > MAX_LIST && !reader.refused {
            reader.refuse("filters", format_args!("names more than {MAX_LIST} values of one kind in alternatives"));
        }
        filter
    }

    fn inner(&self) -> impl Iterator<Item = &Self> {
        self.and.iter().chain(&self.or).chain(self.not.as_deref())
    }

    /// How deeply its conditions are nested.
    fn levels(&self) -> usize {
        1 + self.inner().map(Self::levels).max().unwrap_or(0)
    }

    /// The length of its longest list.
    fn longest(&self) -> usize {
        let named = [&self.campaign_id, &self.channel, &self.source, &self.status].map(Vec::len);
        let values = Dimension::ALL.iter().map(|dimension| self.values(*dimension).len());
        named.into_iter().chain(values).chain(self.inner().map(Self::longest)).max().unwrap_or(0)
    }
}

/// A request's filters while they are read.
struct Reader<'a> {
    fields: &'a mut FieldErrors,
    /// Single conditions so far.
    conditions: usize,
    /// Whether too many or too deeply nested conditions were refused, which happens once.
    refused: bool,
}

impl Reader<'_> {
    fn read(&mut self, path: &str, request: &FilterRequest, depth: usize) -> Filter {
        if depth > MAX_DEPTH {
            self.refuse(path, format_args!("nests conditions more than {MAX_DEPTH} levels deep"));
        }
        if self.refused {
            return Filter::default();
        }
        let mut all = self.lists(path, request);
        self.conditions += all.len();
        if self.conditions > MAX_CONDITIONS {
            self.refuse(path, format_args!("makes more than {MAX_CONDITIONS} conditions"));
        }
        for (index, inner) in request.and.iter().enumerate() {
            all.push(self.read(&format!("{path}.and[{index}]"), inner, depth + 1));
        }
        let mut any = Vec::new();
        for (index, inner) in request.or.iter().enumerate() {
            any.push(self.read_non_empty(&format!("{path}.or[{index}]"), inner, depth + 1));
        }
        if !any.is_empty() {
            all.push(Filter::any(any));
        }
        if let Some(inner) = &request.not {
            all.push(self.read_non_empty(&format!("{path}.not"), inner, depth + 1).negate());
        }
        Filter::all(all)
    }

    /// A filter with a condition. An empty alternative would admit everything, and an empty exception nothing.
    fn read_non_empty(&mut self, path: &str, request: &FilterRequest, depth: usize) -> Filter {
        let filter = self.read(path, request, depth);
        if filter.is_empty() && !self.refused && self.fields.is_valid_below(path) {
            self.fields.push(path, "must name a condition");
        }
        filter
    }

    fn lists(&mut self, path: &str, request: &FilterRequest) -> Vec<Filter> {
        let field = |name: &str| format!("{path}.{name}");
        let conditions = [
            Condition::Campaign(self.fields.ids(&field("campaign_id"), &request.campaign_id)),
            Condition::Channel(self.fields.set(&field("channel"), &request.channel)),
            Condition::Source(self.fields.set(&field("source"), &request.source)),
            Condition::Status(self.fields.set(&field("status"), &request.status)),
        ];
        let mut values = Vec::new();
        for dimension in Dimension::ALL.iter().copied() {
            let listed = self.fields.limited(&field(dimension.name()), request.values(dimension));
            values.push(Condition::Value(dimension, listed.iter().cloned().collect()));
        }
        conditions.into_iter().chain(values).filter(|condition| !condition.is_empty()).map(Filter::Is).collect()
    }

    fn refuse(&mut self, path: &str, detail: std::fmt::Arguments<'_>) {
        if !self.refused {
            self.fields.push(path, detail);
        }
        self.refused = true;
    }
}

impl Condition {
    fn is_empty(&self) -> bool {
        match self {
            Self::Campaign(ids) => ids.is_empty(),
            Self::Channel(channels) => channels.is_empty(),
            Self::Source(names) => names.is_empty(),
            Self::Status(statuses) => statuses.is_empty(),
            Self::Value(_, values) => values.is_empty(),
        }
    }
}

impl From<&Filter> for FilterRequest {
    fn from(filter: &Filter) -> Self {
        let mut request = Self::default();
        match filter {
            Filter::All(parts) => parts.iter().for_each(|part| request.place(part)),
            other => request.place(other),
        }
        request
    }
}

impl FilterRequest {
    /// Adds a condition as a member of its own, or under `and` if that member is taken.
    fn place(&mut self, part: &Filter) {
        match part {
            Filter::Is(condition) if self.is_free(condition) => self.list(condition),
            Filter::Any(parts) if self.or.is_empty() => self.or = parts.iter().map(Self::from).collect(),
            Filter::IsNot(condition) if self.not.is_none() => {
                self.not = Some(Box::new(Self::from(&Filter::Is(condition.clone()))));
            }
            other => self.and.push(Self::from(other)),
        }
    }

    fn is_free(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Campaign(_) => self.campaign_id.is_empty(),
            Condition::Channel(_) => self.channel.is_empty(),
            Condition::Source(_) => self.source.is_empty(),
            Condition::Status(_) => self.status.is_empty(),
            Condition::Value(dimension, _) => self.values(*dimension).is_empty(),
        }
    }

    fn list(&mut self, condition: &Condition) {
        fn texts<T>(values: &BTreeSet<T>, text: impl Fn(&T) -> String) -> Vec<String> {
            values.iter().map(text).collect()
        }
        match condition {
            Condition::Campaign(ids) => self.campaign_id = texts(ids, |id| id.as_hyphenated().to_string()),
            Condition::Channel(channels) => self.channel = texts(channels, |channel| channel.name().to_owned()),
            Condition::Source(names) => self.source = texts(names, Clone::clone),
            Condition::Status(statuses) => self.status = texts(statuses, |status| status.name().to_owned()),
            Condition::Value(dimension, values) => *self.values_mut(*dimension) = values.iter().cloned().collect(),
        }
    }
}
