//! The limits of one API, as an operator sets them.

use serde::Deserialize;

use platform::config::{ConfigError, within};

/// The limits of one API. 0 turns a limit off. The default rates are generous: they only stop runaway clients. An
/// operator who shares a machine among tenants sets lower ones.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitConfig {
    /// The most connections; one more is closed at once.
    pub max_connections: u32,
    /// The most requests in flight; one more gets 503.
    pub max_requests_in_flight: u32,
    /// The most bytes of the bodies in flight; a request above it gets 503.
    pub max_body_bytes_in_flight: u64,
    /// The most bytes of a request's header fields; more get 431.
    pub max_header_bytes: u32,
    /// The longest wait for a request's head. After it, the connection is closed.
    pub head_timeout_s: u64,
    /// The longest pause of a body. After it, the request gets 408.
    pub body_pause_s: u64,
    /// The lowest rate of a body. A slower one gets 408.
    pub body_min_bytes_per_s: u64,
    /// Requests of one API key.
    pub key_requests_per_s: u32,
    /// Requests from one address.
    pub address_requests_per_s: u32,
    /// Requests from one address without a valid key.
    pub address_bad_keys_per_s: u32,
    /// Items of one source: observations, statements, syncs.
    pub source_items_per_s: u32,
    /// Campaigns that one source may create on a UTC day, for items that name one that nobody has.
    pub new_campaigns_per_day: u32,
    /// The window of the rates. The amount of a whole window may also arrive at once.
    pub rate_window_s: u32,
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self {
            max_connections: 4_096,
            max_requests_in_flight: 2_048,
            max_body_bytes_in_flight: 64 << 20,
            max_header_bytes: 32 << 10,
            head_timeout_s: 60,
            body_pause_s: 15,
            body_min_bytes_per_s: 1_024,
            key_requests_per_s: 100_000,
            address_requests_per_s: 100_000,
            address_bad_keys_per_s: 50,
            source_items_per_s: 1_000_000,
            new_campaigns_per_day: 1_000,
            rate_window_s: 10,
        }
    }
}

impl LimitConfig {
    /// Rejects limits that do not fit the largest request body.
    pub(super) fn validate(&self, max_body_bytes: usize) -> Result<(), ConfigError> {
        if self.max_body_bytes_in_flight > 0 {
            let least = max_body_bytes as u64;
            within("http.limits.max_body_bytes_in_flight", self.max_body_bytes_in_flight, least, 1 << 40)?;
        }
        if self.max_header_bytes > 0 {
            within("http.limits.max_header_bytes", self.max_header_bytes.into(), 1_024, 1 << 20)?;
        }
        within("http.limits.head_timeout_s", self.head_timeout_s, 1, 3_600)?;
        within("http.limits.body_pause_s", self.body_pause_s, 0, 3_600)?;
        within("http.limits.rate_window_s", self.rate_window_s.into(), 1, 3_600)?;
        for (field, rate) in [
            ("http.limits.key_requests_per_s", self.key_requests_per_s),
            ("http.limits.address_requests_per_s", self.address_requests_per_s),
            ("http.limits.address_bad_keys_per_s", self.address_bad_keys_per_s),
            ("http.limits.source_items_per_s", self.source_items_per_s),
            ("http.limits.new_campaigns_per_day", self.new_campaigns_per_day),
        ] {
            within(field, rate.into(), 0, 100_000_000)?;
        }
        Ok(())
    }
}
