//! Dates and instants as RFC 3339 writes them, and in no other way. chrono takes more: `2026-1-1`, a blank in place of
//! the `T`, a leap second that no later computation knows.

use chrono::{DateTime, NaiveDate, Utc};
use thiserror::Error;

/// The error of a text that is not a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not a date such as 2026-11-21")]
pub struct DateError;

/// The error of a text that is not an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not an RFC 3339 instant such as 2026-11-21T22:00:00Z")]
pub struct InstantError;

/// Parses a date: `2026-11-21`.
pub fn parse_date(text: &str) -> Result<NaiveDate, DateError> {
    if !has_form(text.as_bytes(), b"dddd-dd-dd") {
        return Err(DateError);
    }
    text.parse().map_err(|_| DateError)
}

/// Parses an instant: `2026-11-21T22:00:00Z`, with any fraction of a second and any offset.
pub fn parse_instant(text: &str) -> Result<DateTime<Utc>, InstantError> {
    let bytes = text.as_bytes();
    let whole = bytes.get(..19).filter(|start| has_form(start, b"dddd-dd-ddTdd:dd:dd"));
    if whole.is_none_or(|start| start.ends_with(b"60")) {
        return Err(InstantError);
    }
    DateTime::parse_from_rfc3339(text).map(|instant| instant.to_utc()).map_err(|_| InstantError)
}

/// Whether a text has a form, in which `d` is a digit and `T` a letter in either case.
fn has_form(text: &[u8], form: &[u8]) -> bool {
    text.len() == form.len()
        && text.iter().zip(form).all(|(byte, wanted)| match wanted {
            b'd' => byte.is_ascii_digit(),
            letter => byte.eq_ignore_ascii_case(letter),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_one_form() {
        assert_eq!(parse_date("2026-11-21"), Ok(NaiveDate::from_ymd_opt(2026, 11, 21).unwrap()));
        for text in [
            "2026-1-1",
            "26-11-21",
            "+2026-11-21",
            " 2026-11-21",
            "2026- 11-21",
            "2026-11-21 ",
            "2026-02-30",
            "2026/11/21",
            "20261121",
            "2026-11-21T00:00:00Z",
            "",
        ] {
            assert_eq!(parse_date(text), Err(DateError), "{text}");
        }
    }

    #[test]
    fn instants_have_one_form() {
        let at = "2026-11-21T22:00:00Z".parse::<DateTime<Utc>>().unwrap();
        for text in ["2026-11-21T22:00:00Z", "2026-11-21t22:00:00z", "2026-11-21T23:30:00.000+01:30"] {
            assert_eq!(parse_instant(text), Ok(at), "{text}");
        }
        for text in [
            "2026-11-21 22:00:00Z",
            "2026-11-21T22:00:60Z",
            "2026-11-21T22:00Z",
            "26-11-21T22:00:00Z",
            "2026-1-1T22:00:00Z",
            "2026-11-21T22:00:00",
            "2026-11-21T22:00:00+0100",
            "2026-11-21T22:00:00 Z",
            " 2026-11-21T22:00:00Z",
            "2026-11-21",
            "1795298400",
            "",
        ] {
            assert_eq!(parse_instant(text), Err(InstantError), "{text}");
        }
    }
}
