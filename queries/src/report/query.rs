//! The canonical query of a report: defaults resolved, lists sorted and without repeats. Two requests that mean the
//! same have the same canonical query, and so the same ETag.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use domain::bucket::{Granularity, day_end, day_start, local_date};
use domain::measure::{DERIVED, DerivedMeasure, Measure, NET, NetMeasure, Side, Unit};
use domain::observation::Dimension;
use domain::zone::Zone;
use serde::{Serialize, Serializer};

use super::calendar::QueryCalendar;
use super::comparison::CompareTo;
use super::dates::QueryDates;
use super::filter::Filter;

/// A report's canonical query. Paging is not part of it: a cursor stays valid whatever the size of the pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportQuery {
    pub measures: Vec<MeasureColumn>,
    #[serde(flatten)]
    pub dates: QueryDates,
    #[serde(serialize_with = "granularity")]
    pub granularity: Granularity,
    #[serde(flatten)]
    pub calendar: QueryCalendar,
    pub time_zone: Zone,
    pub group_by: BTreeSet<GroupKey>,
    pub filters: Filter,
    pub order_by: Vec<Order>,
    pub data_state: DataState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare_to: Option<CompareTo>,
    /// Whether both ranges end with the last bucket that is closed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub compare_elapsed: bool,
    #[serde(skip_serializing_if = "Fill::is_none")]
    pub fill: Fill,
    #[serde(skip_serializing_if = "RatioBasis::is_printed")]
    pub ratios: RatioBasis,
    /// Whether totals are added.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub totals: bool,
    /// The key of the subtotals that are added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtotals: Option<SubtotalKey>,
}

/// A measure of a report: added up, or derived from sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeasureColumn {
    Additive(Measure),
    /// A signed sum.
    Net(&'static NetMeasure),
    Derived(&'static DerivedMeasure),
    /// What a derived measure divides.
    Operand(&'static DerivedMeasure, Side),
}

/// A key that rows are grouped by, beside their bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupKey {
    /// The channel of the source.
    Channel,
    Source,
    Campaign,
    /// The value of a dimension.
    Dimension(Dimension),
}

/// A key that rows are sorted by. Ties are broken by bucket and then by group, so that the order is total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    pub by: OrderBy,
    pub descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderBy {
    Bucket,
    Group(GroupKey),
    Measure(MeasureColumn),
    /// The difference of a measure from the other range.
    Change(MeasureColumn),
    /// That difference, divided by the value in the other range.
    RelativeChange(MeasureColumn),
}

/// The numbers that efficiencies are computed from. Rates are computed from covered numbers in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RatioBasis {
    /// All that a row shows.
    #[default]
    Printed,
    /// The numbers of cells of which primary sources state both sides.
    Covered,
}

/// The rows of cells without numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// No row.
    #[default]
    None,
    /// Zero.
    Zero,
    /// Zero if the sources of the measure are complete past the cell, else null.
    ZeroIfComplete,
}

/// The key of a subtotal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubtotalKey {
    Bucket,
    Group(GroupKey),
}

/// Which buckets are requested.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum DataState {
    #[default]
    All,
    /// Only final buckets.
    Final,
}

/// The error of a name that is no data state.
#[derive(Debug, thiserror::Error)]
#[error("is neither all nor final")]
pub struct UnknownDataState;

impl ReportQuery {
    pub fn groups_by(&self, key: GroupKey) -> bool {
        self.group_by.contains(&key)
    }

    /// The dimensions of groups and filters.
    pub fn dimensions(&self) -> BTreeSet<Dimension> {
        let grouped = self.group_by.iter().filter_map(|key| match key {
            GroupKey::Dimension(dimension) => Some(*dimension),
            GroupKey::Channel | GroupKey::Source | GroupKey::Campaign => None,
        });
        grouped.chain(self.filters.dimensions()).collect()
    }

    /// The dimension that rows are grouped by.
    pub fn dimension(&self) -> Option<Dimension> {
        self.group_by.iter().find_map(|key| match key {
            GroupKey::Dimension(dimension) => Some(*dimension),
            GroupKey::Channel | GroupKey::Source | GroupKey::Campaign => None,
        })
    }

    /// Whether it means these days at this instant.
    pub(crate) fn holds_at(&self, now: DateTime<Utc>) -> bool {
        self.dates.today().is_none_or(|today| today == local_date(now, self.time_zone))
    }

    /// The first instant at which it means these days, and the first after them, if the days depend on when it is
    /// asked.
    pub(super) fn midnights(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        self.dates.today().map(|today| (day_start(today, self.time_zone), day_end(today, self.time_zone)))
    }

    /// Whether rows may be of buckets that are cut.
    pub fn has_partial_buckets(&self) -> bool {
        self.granularity.unit().is_some() || self.compare_elapsed && self.granularity != Granularity::All
    }

    /// Every additive measure that the report needs: the requested ones, and both sides of the derived ones.
    pub fn additive(&self) -> BTreeSet<Measure> {
        self.measures.iter().flat_map(|column| column.parts()).collect()
    }
}

impl MeasureColumn {
    pub fn name(self) -> &'static str {
        match self {
            Self::Additive(measure) => measure.name(),
            Self::Net(net) => net.name,
            Self::Derived(derived) => derived.name,
            Self::Operand(derived, side) => derived.operand(side),
        }
    }

    /// The ratio that it is, or is an operand of.
    pub fn ratio(self) -> Option<&'static DerivedMeasure> {
        match self {
            Self::Additive(_) | Self::Net(_) => None,
            Self::Derived(derived) | Self::Operand(derived, _) => Some(derived),
        }
    }

    /// The net measure that it is.
    pub fn net(self) -> Option<&'static NetMeasure> {
        match self {
            Self::Net(net) => Some(net),
            Self::Additive(_) | Self::Derived(_) | Self::Operand(..) => None,
        }
    }

    /// The unit of its values.
    pub fn unit(self) -> Unit {
        match self {
            Self::Additive(measure) => measure.unit(),
            Self::Net(net) => net.gross.unit(),
            Self::Derived(derived) => derived.unit,
            Self::Operand(derived, side) => derived.side(side).unit(),
        }
    }

    /// The additive measures that it is made of.
    pub fn parts(self) -> Vec<Measure> {
        match self {
            Self::Additive(measure) => vec![measure],
            Self::Net(net) => net.terms().map(|(measure, _)| measure).collect(),
            Self::Derived(derived) | Self::Operand(derived, _) => vec![derived.numerator, derived.denominator],
        }
    }

    pub fn find(name: &str) -> Option<Self> {
        Self::all().find(|column| column.name() == name)
    }

    /// All of them in catalogue order: additive, net and derived ones, each of these before its operands.
    pub fn all() -> impl Iterator<Item = Self> {
        let additive = Measure::ALL.iter().copied().map(Self::Additive);
        let derived = DERIVED.iter().flat_map(|derived| {
            let operands = Side::ALL.map(|side| Self::Operand(derived, side));
            std::iter::once(Self::Derived(derived)).chain(operands)
        });
        additive.chain(NET.iter().map(Self::Net)).chain(derived)
    }
}

impl GroupKey {
    pub fn name(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Source => "source",
            Self::Campaign => "campaign",
            Self::Dimension(dimension) => dimension.name(),
        }
    }

    pub fn find(name: &str) -> Option<Self> {
        let plain = [Self::Channel, Self::Source, Self::Campaign].into_iter().find(|key| key.name() == name);
        plain.or_else(|| name.parse().ok().map(Self::Dimension))
    }
}

impl DataState {
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Final => "final",
        }
    }
}

impl FromStr for DataState {
    type Err = UnknownDataState;

    fn from_str(text: &str) -> Result<Self, UnknownDataState> {
        [Self::All, Self::Final].into_iter().find(|state| state.name() == text).ok_or(UnknownDataState)
    }
}

impl RatioBasis {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    fn is_printed(&self) -> bool {
        *self == Self::Printed
    }
}

impl Fill {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

impl SubtotalKey {
    fn name(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::Group(key) => key.name(),
        }
    }
}

impl OrderBy {
    /// The change of one of these measures, by the name that its column has in CSV.
    pub fn find_change(name: &str, measures: &[MeasureColumn]) -> Option<Self> {
        let of = |suffix: &str| {
            let measure = name.strip_suffix(suffix)?;
            measures.iter().find(|column| column.name() == measure).copied()
        };
        of("_relative_change").map(Self::RelativeChange).or_else(|| of("_change").map(Self::Change))
    }
}

impl fmt::Display for OrderBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket => f.write_str("bucket"),
            Self::Group(key) => f.write_str(key.name()),
            Self::Measure(column) => f.write_str(column.name()),
            Self::Change(column) => write!(f, "{}_change", column.name()),
            Self::RelativeChange(column) => write!(f, "{}_relative_change", column.name()),
        }
    }
}

impl Serialize for DataState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Serialize for GroupKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Serialize for MeasureColumn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Serialize for SubtotalKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Serialize for Order {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sign = if self.descending { "-" } else { "" };
        serializer.collect_str(&format_args!("{sign}{}", self.by))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn granularity<S: Serializer>(granularity: &Granularity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(granularity.name())
}
