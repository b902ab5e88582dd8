//! Breakdowns: the dimensions by which a source states its totals.
//!
//! A source declares its dimensions in an order. A *partition* is one whose values sum to the total, because each thing
//! that is counted has one of them. Where no total is stated, the rows of the first partition are the total.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::item::{ItemError, ItemErrorCode, truncate};
use crate::observation::{Dimension, MAX_DIMENSION_VALUE};

/// The value under which reports show what a total has beside its breakdown, or the breakdown beside its total.
pub const NOT_BROKEN_DOWN: &str = "(not broken down)";

/// The most rows of one campaign and bucket in a breakdown.
pub const MAX_BREAKDOWN_ROWS: usize = 1_000;

/// The most dimensions that a source declares.
pub const MAX_SOURCE_DIMENSIONS: usize = 16;

/// A dimension that a source declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SourceDimension {
    /// Its name.
    pub name: Dimension,
    /// Whether its values sum to the total: each thing that is counted has one of them.
    pub partition: bool,
}

/// The dimensions that each statement of a batch names: none, one or two, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Breakdown(Vec<Dimension>);

/// Why a batch cannot be broken down so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BreakdownError {
    /// More than two dimensions.
    #[error("must name one dimension or two; state further ones in batches of their own")]
    TooMany,
    /// The same dimension twice.
    #[error("names {0} twice")]
    Repeated(Dimension),
    /// The source does not declare it.
    #[error(
        "names {dimension}, which the source does not declare ({declared}); PATCH /v1/sources/{{name}} adds it to \
         dimensions"
    )]
    Undeclared {
        /// The dimension.
        dimension: Dimension,
        /// What it declares, for people.
        declared: String,
    },
    /// Values of which several may be of the same thing, so that nothing can be said of pairs.
    #[error("pairs {0}, which is not a partition, with another dimension; state it in a batch of its own")]
    NoPartition(Dimension),
}

impl Breakdown {
    /// The breakdown by these dimensions, in any order.
    pub fn new(dimensions: impl IntoIterator<Item = Dimension>) -> Result<Self, BreakdownError> {
        let mut dimensions: Vec<_> = dimensions.into_iter().collect();
        dimensions.sort_unstable_by_key(|dimension| dimension.name());
        if let Some(twice) = dimensions.iter().zip(dimensions.iter().skip(1)).find(|(one, next)| one == next) {
            return Err(BreakdownError::Repeated(*twice.0));
        }
        if dimensions.len() > 2 { Err(BreakdownError::TooMany) } else { Ok(Self(dimensions)) }
    }

    /// Whether it names no dimension: the batch states totals.
    pub fn is_total(&self) -> bool {
        self.0.is_empty()
    }

    /// The dimensions, in the order of their names.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.0
    }

    /// Its place among the breakdowns whose rows sum to the total: the lowest one that a bucket has makes its total.
    /// Dimensions by themselves come in the order in which the source declares them, pairs after them. `None` for
    /// totals, and for a dimension that is no partition.
    pub fn precedence(&self, declared: &[SourceDimension]) -> Result<Option<u16>, BreakdownError> {
        let mut places = Vec::with_capacity(self.0.len());
        for dimension in &self.0 {
            let place = declared.iter().position(|one| one.name == *dimension);
            let place = place.ok_or_else(|| BreakdownError::Undeclared {
                dimension: *dimension,
                declared: list_of(declared.iter().map(|one| one.name)),
            })?;
            places.push((place, declared.get(place).is_some_and(|one| one.partition)));
        }
        match (self.0.as_slice(), places.as_slice()) {
            (_, [(place, true)]) => Ok(u16::try_from(*place).ok()),
            ([..], [] | [_]) => Ok(None),
            (dimensions, places) => {
                let overlapping = dimensions.iter().zip(places).find(|(_, (_, partition))| !partition);
                if let Some((dimension, _)) = overlapping {
                    return Err(BreakdownError::NoPartition(*dimension));
                }
                let (first, second) = (places.iter().map(|at| at.0).min(), places.iter().map(|at| at.0).max());
                let place = first.zip(second).map(|(first, second)| (first + 1) * MAX_SOURCE_DIMENSIONS + second);
                Ok(place.and_then(|place| u16::try_from(place).ok()))
            }
        }
    }

    /// The values of a row, in the order of the dimensions, which it must name all and no others.
    pub fn values(&self, named: &BTreeMap<String, String>) -> Result<Vec<String>, ItemError> {
        let reject = |field: String, detail: String| Err(ItemError::at(ItemErrorCode::BadDimensions, &field, detail));
        let is_of = |key: &String| self.0.iter().any(|dimension| dimension.name() == key);
        if let Some(other) = named.keys().find(|key| !is_of(key)) {
            let detail = format!("names \"{}\", which is not in the batch's breakdown ({self})", truncate(other));
            return reject("dimensions".to_owned(), detail);
        }
        let mut values = Vec::with_capacity(self.0.len());
        for dimension in &self.0 {
            let field = format!("dimensions.{dimension}");
            let Some(value) = named.get(dimension.name()) else {
                return reject(field, "must be given, as the batch's breakdown names it".to_owned());
            };
            if value.chars().count() > MAX_DIMENSION_VALUE || value.chars().any(char::is_control) {
                let detail = format!("must be at most {MAX_DIMENSION_VALUE} characters, none a control character");
                return reject(field, detail);
            }
            if value == NOT_BROKEN_DOWN {
                return reject(field, format!("must not be {NOT_BROKEN_DOWN}, which stands for the rest of a total"));
            }
            values.push(value.clone());
        }
        Ok(values)
    }
}

fn list_of(names: impl Iterator<Item = Dimension>) -> String {
    let names: Vec<_> = names.map(Dimension::name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl fmt::Display for Breakdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&list_of(self.0.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::Dimension::{Ad, ConversionAction, Country, Device};
    use super::*;

    fn declared() -> [SourceDimension; 4] {
        let of = |name, partition| SourceDimension { name, partition };
        [of(Device, true), of(ConversionAction, false), of(Country, true), of(Ad, true)]
    }

    fn breakdown<const N: usize>(dimensions: [Dimension; N]) -> Breakdown {
        Breakdown::new(dimensions).unwrap()
    }

    #[test]
    fn names_at_most_two_dimensions_and_none_twice() {
        assert_eq!(breakdown([Device, Ad]), breakdown([Ad, Device]));
        assert_eq!(Breakdown::new([Device, Country, Device]), Err(BreakdownError::Repeated(Device)));
        assert_eq!(Breakdown::new([Device, Country, Ad]), Err(BreakdownError::TooMany));
        assert!(breakdown([]).is_total());
    }

    #[test]
    fn partitions_precede_pairs_in_the_order_of_their_declaration() {
        let order = [breakdown([Device]), breakdown([Country]), breakdown([Ad]), breakdown([Device, Country])];
        let order = order.into_iter().chain([breakdown([Device, Ad]), breakdown([Country, Ad])]);
        let places: Vec<_> = order.map(|one| one.precedence(&declared()).unwrap().unwrap()).collect();
        assert!(places.is_sorted_by(|before, after| before < after), "{places:?}");
    }

    #[test]
    fn what_is_no_partition_makes_no_total() {
        assert_eq!(breakdown([ConversionAction]).precedence(&declared()), Ok(None));
        assert_eq!(breakdown([]).precedence(&declared()), Ok(None));
        let paired = breakdown([ConversionAction, Device]).precedence(&declared());
        assert_eq!(paired, Err(BreakdownError::NoPartition(ConversionAction)));
        let unknown = breakdown([Ad]).precedence(&declared()[..1]);
        assert_eq!(unknown, Err(BreakdownError::Undeclared { dimension: Ad, declared: "device".to_owned() }));
    }

    #[test]
    fn a_row_names_each_dimension_and_no_other() {
        let named = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            breakdown([Device, Ad]).values(&pairs).map_err(|error| error.field.unwrap())
        };
        assert_eq!(named(&[("device", "tv"), ("ad", "1")]), Ok(vec!["1".to_owned(), "tv".to_owned()]));
        assert_eq!(named(&[("device", "tv")]), Err("dimensions.ad".to_owned()));
        assert_eq!(named(&[("device", "tv"), ("ad", "1"), ("country", "DE")]), Err("dimensions".to_owned()));
        assert_eq!(named(&[("device", NOT_BROKEN_DOWN), ("ad", "1")]), Err("dimensions.device".to_owned()));
        assert_eq!(named(&[("device", "\u{7}"), ("ad", "1")]), Err("dimensions.device".to_owned()));
    }
}
