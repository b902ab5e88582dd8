//! The keys of what a source states: the bucket stands before the campaign, so that a range of buckets is a range of
//! keys. All rows of a campaign's bucket in one breakdown are one claim.

use chrono::{DateTime, SecondsFormat};
use domain::breakdown::Breakdown;
use domain::bucket::Bucket;
use domain::ids::{CampaignId, SourceId};
use domain::statement::BucketSpec;

use super::{STATEMENT, STATEMENT_BREAKDOWN};

/// The keys of one series in one grain and zone: of its totals, or of one breakdown.
#[derive(Debug, Clone)]
pub(crate) struct StatementKeys {
    prefix: String,
}

/// The kind of the claims that hold what is stated in a breakdown.
pub(crate) fn kind_of(breakdown: &Breakdown) -> &'static str {
    if breakdown.is_total() { STATEMENT } else { STATEMENT_BREAKDOWN }
}

impl StatementKeys {
    pub(crate) fn new(source: SourceId, series: SourceId, spec: BucketSpec, breakdown: &Breakdown) -> Self {
        let BucketSpec { grain, zone } = spec;
        let names: Vec<_> = breakdown.dimensions().iter().map(|dimension| dimension.name()).collect();
        let names = if names.is_empty() { String::new() } else { format!("{}/", names.join(",")) };
        Self { prefix: format!("{source}/{series}/{grain}/{zone}/{names}") }
    }

    /// The key of one campaign's bucket.
    pub(crate) fn key(&self, bucket: Bucket, campaign: CampaignId) -> String {
        format!("{}{}/{campaign}", self.prefix, bucket_key(bucket))
    }

    /// The first key of a range of buckets, and what all of its keys sort before. The last bucket belongs to it.
    pub(crate) fn range(&self, from: Bucket, to: Bucket) -> (String, String) {
        // What follows a bucket is a slash, and a zero is the next character.
        (format!("{}{}/", self.prefix, bucket_key(from)), format!("{}{}0", self.prefix, bucket_key(to)))
    }

    /// The bucket and the campaign of a key; `None` if it is none of these.
    pub(crate) fn read(&self, key: &str) -> Option<(Bucket, CampaignId)> {
        let (bucket, campaign) = key.strip_prefix(&self.prefix)?.split_once('/')?;
        let day = bucket.parse().map(Bucket::Day).ok();
        let start = || DateTime::parse_from_rfc3339(bucket).ok().map(|start| Bucket::Starts(start.to_utc()));
        Some((day.or_else(start)?, campaign.parse().ok()?))
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
        StatementKeys::new(source, series, BucketSpec { grain: Grain::Day, zone: Zone::UTC }, &Breakdown::default())
    }

    #[test]
    fn key_of_a_breakdown_names_it_before_the_bucket() {
        let (source, series) = (SourceId(Uuid::from_u128(1)), SourceId(Uuid::from_u128(1)));
        let breakdown = Breakdown::new(["device", "ad"].map(|name| name.parse().unwrap())).unwrap();
        let keys = StatementKeys::new(source, series, BucketSpec { grain: Grain::Day, zone: Zone::UTC }, &breakdown);
        let (bucket, campaign) = (Bucket::Day("2026-11-21".parse().unwrap()), CampaignId(Uuid::from_u128(3)));
        let key = keys.key(bucket, campaign);
        assert!(key.contains("/day/UTC/ad,device/2026-11-21/"), "{key}");
        assert_eq!(keys.read(&key), Some((bucket, campaign)));
    }

    #[test]
    fn key_names_series_then_bucket_then_campaign() {
        let key = keys().key(Bucket::Day("2026-11-21".parse().unwrap()), CampaignId(Uuid::from_u128(3)));
        let id = |number: u32| format!("00000000-0000-0000-0000-{number:012}");
        assert_eq!(key, format!("{}/{}/day/UTC/2026-11-21/{}", id(1), id(2), id(3)));
    }

    #[test]
    fn range_holds_the_keys_of_its_buckets_alone() {
        let campaign = |number| CampaignId(Uuid::from_u128(number));
        let day = |text: &str| Bucket::Day(text.parse().unwrap());
        let (first, end) = keys().range(day("2026-11-20"), day("2026-11-21"));
        let is_within = |key: &str| first.as_str() <= key && key < end.as_str();
        for (bucket, expected) in [
            ("2026-11-19", false),
            ("2026-11-20", true),
            ("2026-11-21", true),
            ("2026-11-22", false),
            ("2027-11-20", false),
        ] {
            for number in [0, u128::MAX] {
                assert_eq!(is_within(&keys().key(day(bucket), campaign(number))), expected, "{bucket}");
            }
        }
    }

    #[test]
    fn reads_back_its_keys() {
        let campaign = CampaignId(Uuid::from_u128(3));
        for bucket in
            [Bucket::Day("2026-11-21".parse().unwrap()), Bucket::Starts("2026-11-21T21:45:00Z".parse().unwrap())]
        {
            assert_eq!(keys().read(&keys().key(bucket, campaign)), Some((bucket, campaign)));
        }
        assert_eq!(keys().read("other/2026-11-21/x"), None);
    }

    #[test]
    fn key_writes_a_bucket_in_one_way() {
        assert_eq!(bucket_key(Bucket::Day("2026-11-21".parse().unwrap())), "2026-11-21");
        assert_eq!(bucket_key(Bucket::Starts("2026-11-21T22:45:00+01:00".parse().unwrap())), "2026-11-21T21:45:00Z");
    }
}
