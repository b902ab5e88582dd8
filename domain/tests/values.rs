//! The values that come from outside are right by construction: what parses is valid, and prints as it was read.

use std::fmt::Display;
use std::str::FromStr;

use domain::channel::{Channel, KNOWN};
use domain::ids::CampaignId;
use domain::money::Currency;
use domain::zone::Zone;
use serde::de::DeserializeOwned;

/// These texts are taken, by parsing as by decoding, and printed as they were; those are refused both ways.
#[track_caller]
fn check<T: FromStr + Display + DeserializeOwned>(taken: &[&str], refused: &[&str]) {
    for text in taken {
        assert_eq!(text.parse::<T>().ok().map(|value| value.to_string()).as_deref(), Some(*text));
        let decoded = serde_json::from_value::<T>((*text).into()).ok();
        assert_eq!(decoded.map(|value| value.to_string()).as_deref(), Some(*text));
    }
    for text in refused {
        assert!(text.parse::<T>().is_err(), "{text:?}");
        assert!(serde_json::from_value::<T>((*text).into()).is_err(), "{text:?}");
    }
}

#[test]
fn channels_are_plain_names() {
    check::<Channel>(&KNOWN, &[]);
    let longest = "c".repeat(40);
    let too_long = "c".repeat(41);
    check::<Channel>(
        &["tv", "tv_spots", "podcast2", &longest],
        &["", "TV", "2tv", "_tv", "tv spots", "tv-spots", "té", "tv\n", &too_long],
    );
}

#[test]
fn currencies_are_three_capital_letters() {
    check::<Currency>(&["EUR", "USD", "JPY", "XTS"], &["", "EU", "EURO", "eur", "E1R", "€", "ÄB", "EU\0"]);
}

#[test]
fn zones_are_iana_names() {
    check::<Zone>(
        &[
            "UTC",
            "Europe/Berlin",
            "Asia/Kathmandu",
            "Australia/Lord_Howe",
            "America/Argentina/Buenos_Aires",
            "Etc/GMT+5",
        ],
        &["", "Berlin", "Europe/Atlantis", "+01:00", "UTC+1", "Europe/Berlin\n", "Europe/Berlin\0"],
    );
}

#[test]
fn ids_are_uuids() {
    check::<CampaignId>(&["019abcde-0000-7000-8000-000000000001"], &["", "1", "019abcde-0000-7000-8000-00000000000g"]);
}
