//! The check that stored JSON can be read back.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

/// JSON that a load can read, which is less than the database accepts. It has no number beyond a double, no half of a
/// surrogate pair and no deep nesting. It has no NUL, which a text column could not hold.
pub(super) struct StorableJson;

impl<'de> Deserialize<'de> for StorableJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadableVisitor)
    }
}

struct ReadableVisitor;

impl<'de> Visitor<'de> for ReadableVisitor {
    type Value = StorableJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<StorableJson, E> {
        Ok(StorableJson)
    }

    fn visit_bool<E>(self, _value: bool) -> Result<StorableJson, E> {
        Ok(StorableJson)
    }

    fn visit_i64<E>(self, _value: i64) -> Result<StorableJson, E> {
        Ok(StorableJson)
    }

    fn visit_u64<E>(self, _value: u64) -> Result<StorableJson, E> {
        Ok(StorableJson)
    }

    fn visit_f64<E>(self, _value: f64) -> Result<StorableJson, E> {
        Ok(StorableJson)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<StorableJson, E> {
        if text.contains('\0') { Err(E::custom("a NUL")) } else { Ok(StorableJson) }
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut elements: S) -> Result<StorableJson, S::Error> {
        while let Some(StorableJson) = elements.next_element()? {}
        Ok(StorableJson)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut entries: M) -> Result<StorableJson, M::Error> {
        while let Some((StorableJson, StorableJson)) = entries.next_entry()? {}
        Ok(StorableJson)
    }
}
