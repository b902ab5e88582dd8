//! JSON numbers, parsed from their text as integers, without floats.

mod schema; // the schemas of numbers

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use domain::decimal::Rounded;
use domain::item::{Amount, ItemError, ItemErrorCode};
use domain::measure::{Measure, MeasureError};
use domain::money::Currency;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

pub(crate) use schema::{Decimal, MeasureValue, StatedValue};

/// A text. It is borrowed from the body if it has no escapes.
#[derive(Debug)]
pub(crate) struct StrictStr<'a>(pub(crate) Cow<'a, str>);

// Not derived: a derived newtype is opaque to serde_path_to_error, which then cannot name a member.
impl<'de: 'a, 'a> Deserialize<'de> for StrictStr<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }

        deserializer.deserialize_str(Read).map(StrictStr)
    }
}

/// An object's members in the order sent. A repeated name is an error, because it is unknown which value was meant.
#[derive(Debug)]
pub(crate) struct UniqueKeyMap<'a, V>(pub(crate) Vec<(Cow<'a, str>, V)>);

impl<V> Default for UniqueKeyMap<'_, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for UniqueKeyMap<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<V>(std::marker::PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Read<V> {
            type Value = Vec<(Cow<'de, str>, V)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(Cow<'de, str>, V)> = Vec::new();
                while let Some(StrictStr(name)) = map.next_key()? {
                    // No valid object has more members, so the rest is not read.
                    if members.len() == MAX_MEMBERS {
                        return Err(A::Error::custom(format!("more than {MAX_MEMBERS} members")));
                    }
                    if members.iter().any(|(seen, _)| *seen == name) {
                        return Err(A::Error::custom(format!("`{name}` occurs twice")));
                    }
                    members.push((name, map.next_value()?));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Read(std::marker::PhantomData)).map(UniqueKeyMap)
    }
}

const MAX_MEMBERS: usize = 64;

/// `12.5`, `"12.50"` or `{"amount": "12.50", "currency": "EUR"}`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawAmount<'a> {
    /// The number's own text.
    pub(crate) text: Cow<'a, str>,
    /// The currency, if one was named.
    pub(crate) currency: Option<Currency>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Money<'a> {
    #[serde(borrow)]
    amount: &'a RawValue,
    #[serde(borrow)]
    currency: Cow<'a, str>,
}

const EXPECTED: &str = "must be a number, a decimal text, or {\"amount\", \"currency\"}";

impl<'a> RawAmount<'a> {
    /// Reads any of the three forms. The error is the end of a sentence that begins with the field.
    pub(crate) fn read(raw: &'a RawValue) -> Result<Self, String> {
        if raw.get().starts_with('{') {
            let money: Money<'a> = serde_json::from_str(raw.get()).map_err(|_| EXPECTED.to_owned())?;
            let text = number_text(money.amount).ok_or(EXPECTED)?;
            let currency = money.currency.parse().map_err(|error| format!("currency {error}"))?;
            return Ok(Self { text, currency: Some(currency) });
        }
        Ok(Self { text: number_text(raw).ok_or(EXPECTED)?, currency: None })
    }

    /// The amount of `measure`. `field` names it in the error.
    pub(crate) fn amount(&self, measure: Measure, field: &str, rounding: &mut Rounding) -> Result<Amount, ItemError> {
        let value = self
            .value(measure, rounding)
            .map_err(|error| ItemError::at(ItemErrorCode::BadValue, field, error.to_string()))?;
        Ok(Amount { value, currency: self.currency })
    }

    /// The integer of `measure`.
    pub(crate) fn value(&self, measure: Measure, rounding: &mut Rounding) -> Result<i64, MeasureError> {
        let Rounded { value, is_exact } = measure.parse_value(&self.text)?;
        rounding.count += usize::from(!is_exact);
        Ok(value)
    }
}

/// The values of a batch that were rounded to six decimal places.
#[derive(Debug, Default)]
pub(crate) struct Rounding {
    /// How many there are.
    pub(crate) count: usize,
}

/// The text of a JSON number or string; `None` for anything else.
fn number_text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    match text.as_bytes().first()? {
        b'"' => serde_json::from_str::<StrictStr<'_>>(text).ok().map(|StrictStr(text)| text),
        b'-' | b'0'..=b'9' => Some(Cow::Borrowed(text)),
        _ => None,
    }
}

/// A decimal with up to six places, read exactly from a number or a text, as millionths. One with more is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Millionths(pub(crate) i64);

impl<'de> Deserialize<'de> for Millionths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = number_text(&raw).ok_or_else(|| D::Error::custom("must be a number or a decimal text"))?;
        domain::decimal::parse_millionths(&text).map(Self).map_err(D::Error::custom)
    }
}

/// A map in which no name may be given twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UniqueKeys<V>(pub(crate) BTreeMap<String, V>);

impl<V> Default for UniqueKeys<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for UniqueKeys<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let UniqueKeyMap(members) = UniqueKeyMap::deserialize(deserializer)?;
        Ok(Self(members.into_iter().map(|(name, value)| (name.into_owned(), value)).collect()))
    }
}

#[cfg(test)]
mod tests;
