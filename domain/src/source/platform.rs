//! Known ad platforms, and what their numbers are worth when: the settings that a source of a platform begins with.

use std::collections::BTreeMap;

use super::horizon::{Horizon, Horizons};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;

/// The days that a platform reports in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneRule {
    /// Those of the account's time zone.
    Account,
    /// Those of UTC, whatever the account's zone.
    Utc,
}

/// What is known of a platform.
#[derive(Debug, Clone, Copy)]
pub struct Platform {
    /// Its name, as `platform` takes it.
    pub name: &'static str,
    /// In whose days it reports.
    pub zone_rule: ZoneRule,
    /// How many seconds after a bucket closes its numbers usually arrive.
    pub expected_delay_s: i64,
    /// When what was delivered has settled.
    pub delivery: Horizon,
    /// When conversions have settled.
    pub conversions: Horizon,
    /// Where the platform says so.
    pub reference: &'static str,
}

const fn days(days: i64) -> Horizon {
    Horizon::Seconds(days * DAY_S)
}

/// The table; docs/sources.md prints it.
pub const PLATFORMS: &[Platform] = &[
    Platform {
        name: "google_ads",
        zone_rule: ZoneRule::Account,
        expected_delay_s: 3 * HOUR_S,
        delivery: days(3),
        conversions: days(30),
        reference: "support.google.com/google-ads 2544985, 16826168",
    },
    Platform {
        name: "meta",
        zone_rule: ZoneRule::Account,
        expected_delay_s: 6 * HOUR_S,
        delivery: days(3),
        conversions: days(28),
        reference: "developers.facebook.com/docs/marketing-api/insights/best-practices",
    },
    Platform {
        name: "microsoft_ads",
        zone_rule: ZoneRule::Account,
        expected_delay_s: 6 * HOUR_S,
        delivery: days(3),
        conversions: days(90),
        reference: "help.ads.microsoft.com hlp_BA_CONC_ConversionDelay",
    },
    Platform {
        name: "linkedin",
        zone_rule: ZoneRule::Utc,
        expected_delay_s: 24 * HOUR_S,
        delivery: days(3),
        conversions: days(90),
        reference: "learn.microsoft.com ads-reporting; fivetran/dbt_ad_reporting DECISIONLOG",
    },
    Platform {
        name: "tiktok",
        zone_rule: ZoneRule::Account,
        expected_delay_s: 12 * HOUR_S,
        delivery: days(3),
        conversions: days(28),
        reference: "seatunnel.apache.org TikTokAds",
    },
    Platform {
        name: "pinterest",
        zone_rule: ZoneRule::Utc,
        expected_delay_s: 24 * HOUR_S,
        delivery: days(3),
        conversions: days(60),
        reference: "pinterest-python-generated-api-client; fivetran/dbt_ad_reporting DECISIONLOG",
    },
    Platform {
        name: "snapchat",
        zone_rule: ZoneRule::Account,
        expected_delay_s: 24 * HOUR_S,
        delivery: days(3),
        conversions: days(28),
        reference: "fivetran.com/docs/connectors/applications/snapchat-ads",
    },
    Platform {
        name: "ga4",
        zone_rule: ZoneRule::Account,
        expected_delay_s: 48 * HOUR_S,
        delivery: days(2),
        conversions: days(12),
        reference: "support.google.com/analytics/answer/11198161",
    },
    Platform {
        name: "affiliate_network",
        zone_rule: ZoneRule::Account,
        expected_delay_s: 24 * HOUR_S,
        delivery: days(3),
        conversions: Horizon::MonthEnd { days: 40 },
        reference: "the lock date of the network's contract",
    },
];

impl Platform {
    /// The platform of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PLATFORMS.iter().find(|platform| platform.name == name)
    }

    /// Its horizons, unless a source gives its own.
    pub fn horizons(&self) -> Horizons {
        Horizons { delivery: self.delivery, conversions: self.conversions, measures: BTreeMap::new() }
    }
}
