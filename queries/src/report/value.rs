//! Exact numbers as they are written: whole numbers of any size, decimals from millionths, money with its currency.

use domain::decimal::format_millionths;
use domain::measure::{Measure, Unit};
use domain::money::Currency;
use serde::ser::{Error as _, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// The value of a measure in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// No source states it, or it cannot be computed.
    Null,
    /// A whole number.
    Count(i128),
    /// A credit or a ratio, in millionths.
    Millionths(i128),
    /// An amount, in micros of the currency.
    Money(i128, Currency),
}

/// A number, as the OpenAPI document describes it: a count, a credit or a ratio, or an amount of money; null where no
/// source states it or it cannot be computed.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = json!({"amount": "1234.560000", "currency": "EUR"}))]
pub enum NumberOrMoney {
    /// A count, a credit or a ratio.
    Number(f64),
    /// An amount of money.
    Money(Money),
    /// Not known.
    Null,
}

/// An amount of money.
#[derive(ToSchema)]
pub struct Money {
    /// With six places.
    #[schema(example = "1234.560000")]
    pub amount: String,
    /// As ISO 4217 writes it.
    #[schema(example = "EUR")]
    pub currency: String,
}

/// The number of a measure, or the value of the dimension.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = 340)]
pub enum RowMember {
    /// Of a measure.
    Figure(NumberOrMoney),
    /// Of the dimension.
    Value(String),
}

impl Value {
    /// A stored number of a measure, whose money is in `currency`.
    pub fn of(measure: Measure, number: i128, currency: Currency) -> Self {
        match measure.unit() {
            Unit::Count => Self::Count(number),
            Unit::Credit | Unit::Ratio => Self::Millionths(number),
            Unit::Money => Self::Money(number, currency),
        }
    }

    /// Its digits, without the currency; `None` for null.
    pub fn number(self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Count(count) => Some(count.to_string()),
            Self::Millionths(millionths) => Some(short_decimal(millionths)),
            Self::Money(micros, _) => Some(format_millionths(micros)),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Null => serializer.serialize_none(),
            Self::Count(count) => number(count.to_string(), serializer),
            Self::Millionths(millionths) => number(short_decimal(millionths), serializer),
            Self::Money(micros, currency) => money(micros, currency, serializer),
        }
    }
}

/// `{"amount": "1234.560000", "currency": "EUR"}`.
pub fn money<S: Serializer>(micros: i128, currency: Currency, serializer: S) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_struct("Money", 2)?;
    object.serialize_field("amount", &format_millionths(micros))?;
    object.serialize_field("currency", &currency)?;
    object.end()
}

/// A JSON number with exactly these digits, also beyond 2^53.
fn number<S: Serializer>(digits: String, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(digits).map_err(S::Error::custom)?.serialize(serializer)
}

/// Millionths as the shortest decimal: `12`, `0.25`, `-3.141593`.
fn short_decimal(millionths: i128) -> String {
    let all_places = format_millionths(millionths);
    all_places.trim_end_matches('0').trim_end_matches('.').to_owned()
}
