//! The version of a campaign, which a caller names to change the campaign as it saw it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};

/// A version of a campaign, with when the event was recorded that made it. After a restore, other events may make the
/// same number: the instant tells them apart. As text: the number, and the instant in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CampaignVersion {
    /// The number of the campaign's events.
    pub number: i64,
    /// When the last of them was recorded, in microseconds since 1970.
    recorded_at_us: i64,
}

/// The error of a text that is no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a version of a campaign")]
pub struct CampaignVersionError;

impl CampaignVersion {
    /// The version that a campaign reached with its event `number`, which was recorded at `recorded_at`.
    pub fn new(number: i64, recorded_at: DateTime<Utc>) -> Self {
        Self { number, recorded_at_us: recorded_at.timestamp_micros() }
    }
}

impl fmt::Display for CampaignVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.number, self.recorded_at_us)
    }
}

impl FromStr for CampaignVersion {
    type Err = CampaignVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, recorded_at) = text.split_once('.').ok_or(CampaignVersionError)?;
        let number = number.parse().map_err(|_| CampaignVersionError)?;
        let recorded_at_us = recorded_at.parse().map_err(|_| CampaignVersionError)?;
        Ok(Self { number, recorded_at_us })
    }
}

#[cfg(test)]
mod tests {
    use super::{CampaignVersion, CampaignVersionError};

    #[test]
    fn reads_what_it_writes() {
        let version = CampaignVersion::new(3, "2026-11-21T09:30:00.000123999Z".parse().unwrap());
        assert_eq!(version.to_string(), "3.1795253400000123");
        assert_eq!(version.to_string().parse(), Ok(version));
    }

    #[test]
    fn rejects_other_texts() {
        for text in ["", "3", "3.", ".17", "3.x", "3.17.1", "3.99999999999999999999"] {
            assert_eq!(text.parse::<CampaignVersion>(), Err(CampaignVersionError), "{text:?}");
        }
    }
}
