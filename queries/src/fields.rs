//! Validation of requests: the errors of all fields are collected, each under the path of its field.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use uuid::Uuid;

/// The most values in one list of a request.
pub const MAX_LIST: usize = 1_000;

/// The error of one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The path of the field, such as `filters.source[3]`.
    pub field: String,
    pub detail: String,
}

/// The errors of a request, collected while it is read.
#[derive(Debug, Default)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    pub fn push(&mut self, field: impl Into<String>, detail: impl Display) {
        self.0.push(FieldError { field: field.into(), detail: detail.to_string() });
    }

    pub fn finish<T>(self, read: T) -> Result<T, Vec<FieldError>> {
        if self.0.is_empty() { Ok(read) } else { Err(self.0) }
    }

    /// Whether no field at this path or below it has an error so far.
    pub fn is_valid_below(&self, path: &str) -> bool {
        !self.0.iter().any(|error| error.field.starts_with(path))
    }

    pub fn parse<T: FromStr<Err: Display>>(&mut self, field: &str, text: Option<&str>) -> Option<T> {
        text?.parse().map_err(|error| self.push(field, error)).ok()
    }

    /// Parses each value of a list, into a set.
    pub fn set<T: FromStr<Err: Display> + Ord>(&mut self, field: &str, texts: &[String]) -> BTreeSet<T> {
        let each = self.limited(field, texts).iter().enumerate();
        each.filter_map(|(index, text)| self.parse(&format!("{field}[{index}]"), Some(text))).collect()
    }

    /// Parses a list of ids, into a set.
    pub fn ids(&mut self, field: &str, texts: &[String]) -> BTreeSet<Uuid> {
        let mut ids = BTreeSet::new();
        for (index, text) in self.limited(field, texts).iter().enumerate() {
            match text.parse() {
                Ok(id) => drop(ids.insert(id)),
                Err(_) => self.push(format!("{field}[{index}]"), "is not a UUID"),
            }
        }
        ids
    }

    /// The list; an empty one and an error, if it is too long.
    pub fn limited<'a, T>(&mut self, field: &str, values: &'a [T]) -> &'a [T] {
        if values.len() <= MAX_LIST {
            return values;
        }
        self.push(field, format_args!("must not name more than {MAX_LIST} values"));
        &[]
    }
}
