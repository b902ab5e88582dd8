//! The keys of what a source states: the bucket stands before the campaign, so that a range of buckets is a range of
//! keys.

use chrono::SecondsFormat;
use domain::bucket::Bucket;
use domain::ids::{CampaignId, SourceId};
use domain::statement::BucketSpec;

/// The keys of one series in one grain and zone.
#[derive(Debug, Clone)]
pub(crate) struct StatementKeys {
    prefix: String,
}

impl StatementKeys {
    pub(crate) fn new(source: SourceId, series: SourceId, spec: BucketSpec) -> Self {
        let BucketSpec { grain, zone } = spec;
        Self { prefix: format!("{source}/{series}/{grain}/{zone}/") }
    }

    /// The key of one campaign's bucket.
    pub(crate) fn key(&self, bucket: Bucket, campaign: CampaignId) -> String {
        format!("{}{}/{campaign}", self.prefix, bucket_key(bucket))
    }
}

/// A bucket in the one way in which keys write it, whose order is that of time.
fn bucket_key(bucket: Bucket) -> String {
    match bucket {
        Bucket::Day(date) => date.to_string(),
        Bucket::Starts(start) => start.to_rfc3339_opts(SecondsFormat::Secs, true),
    }
}

#[cfg(test)]
mod tests {
    use domain::bucket::Grain;
    use domain::zone::Zone;
    use uuid::Uuid;

    use super::*;

    fn keys() -> StatementKeys {
        let (source, series) = (SourceId(Uuid::from_u128(1)), SourceId(Uuid::from_u128(2)));
        StatementKeys::new(source, series, BucketSpec { grain: Grain::Day, zone: Zone::UTC })
    }

    #[test]
    fn key_names_series_then_bucket_then_campaign() {
        let key = keys().key(Bucket::Day("2026-11-21".parse().unwrap()), CampaignId(Uuid::from_u128(3)));
        let id = |number: u32| format!("00000000-0000-0000-0000-{number:012}");
        assert_eq!(key, format!("{}/{}/day/UTC/2026-11-21/{}", id(1), id(2), id(3)));
    }

    #[test]
    fn key_writes_a_bucket_in_one_way() {
        assert_eq!(bucket_key(Bucket::Day("2026-11-21".parse().unwrap())), "2026-11-21");
        assert_eq!(bucket_key(Bucket::Starts("2026-11-21T22:45:00+01:00".parse().unwrap())), "2026-11-21T21:45:00Z");
    }
}
