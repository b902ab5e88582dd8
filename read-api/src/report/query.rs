//! What was asked, in its canonical form: defaults resolved, lists sorted and without repeats. Two requests that mean the
//! same have the same canonical form, and so the same ETag.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use domain::bucket::Granularity;
use domain::campaign::CampaignStatus;
use domain::channel::Channel;
use domain::measure::{Derived, Measure};
use domain::observation::Dimension;
use domain::zone::Zone;
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// A report's canonical query. Paging is not part of it: a cursor stays valid whatever the size of the pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ReportQuery {
    pub(crate) measures: Vec<Column>,
    pub(crate) date_from: NaiveDate,
    pub(crate) date_to: NaiveDate,
    #[serde(serialize_with = "granularity")]
    pub(crate) granularity: Granularity,
    pub(crate) time_zone: Zone,
    pub(crate) group_by: BTreeSet<GroupKey>,
    pub(crate) filters: Filters,
    pub(crate) order_by: Vec<Order>,
    pub(crate) data_state: DataState,
}

/// Which page of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paging {
    pub(crate) limit: usize,
    pub(crate) cursor: Option<String>,
}

/// A measure of a report: counted, or computed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Additive(Measure),
    Derived(&'static Derived),
}

/// What rows are told apart by, beside their bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GroupKey {
    /// The channel of the source that says the number.
    Channel,
    Source,
    Campaign,
    /// What the observations name of it.
    Dimension(Dimension),
}

/// Which numbers count. An empty list leaves nothing out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Filters {
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) campaign_id: BTreeSet<Uuid>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) channel: BTreeSet<Channel>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) source: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) status: BTreeSet<CampaignStatus>,
}

/// One thing that rows are sorted by. Ties are broken by bucket and then by group, so that the order is total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) by: OrderBy,
    pub(crate) descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderBy {
    Bucket,
    Group(GroupKey),
    Measure(Column),
}

/// Which buckets are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DataState {
    #[default]
    All,
    /// Only those that no source is expected to change any more.
    Final,
}

impl ReportQuery {
    pub(crate) fn groups_by(&self, key: GroupKey) -> bool {
        self.group_by.contains(&key)
    }

    /// The dimension that rows are told apart by.
    pub(crate) fn dimension(&self) -> Option<Dimension> {
        self.group_by.iter().find_map(|key| match key {
            GroupKey::Dimension(dimension) => Some(*dimension),
            GroupKey::Channel | GroupKey::Source | GroupKey::Campaign => None,
        })
    }

    /// Every additive measure that the report needs: those asked for, and both sides of the derived ones.
    pub(crate) fn additive(&self) -> BTreeSet<Measure> {
        self.measures.iter().flat_map(|column| column.parts()).collect()
    }
}

impl Column {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Additive(measure) => measure.name(),
            Self::Derived(derived) => derived.name,
        }
    }

    /// The additive measures that it is made of.
    pub(crate) fn parts(self) -> Vec<Measure> {
        match self {
            Self::Additive(measure) => vec![measure],
            Self::Derived(derived) => vec![derived.numerator, derived.denominator],
        }
    }

    pub(crate) fn find(name: &str) -> Option<Self> {
        let additive = name.parse::<Measure>().ok().map(Self::Additive);
        additive.or_else(|| Derived::find(name).map(Self::Derived))
    }
}

impl GroupKey {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Source => "source",
            Self::Campaign => "campaign",
            Self::Dimension(dimension) => dimension.name(),
        }
    }

    pub(crate) fn find(name: &str) -> Option<Self> {
        let plain = [Self::Channel, Self::Source, Self::Campaign].into_iter().find(|key| key.name() == name);
        plain.or_else(|| name.parse().ok().map(Self::Dimension))
    }
}

impl OrderBy {
    fn name(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::Group(key) => key.name(),
            Self::Measure(column) => column.name(),
        }
    }
}

impl Serialize for GroupKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Serialize for Column {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Serialize for Order {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sign = if self.descending { "-" } else { "" };
        serializer.collect_str(&format_args!("{sign}{}", self.by.name()))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn granularity<S: Serializer>(granularity: &Granularity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(granularity.name())
}
