//! Rate limits of sources.

use std::num::NonZeroU32;
use std::sync::Arc;

use domain::ids::{SourceId, WorkspaceId};
use platform::clock::SharedClock;
use platform::rate_limit::{RateLimit, RateLimitStatus, RatePolicy};

/// A limit on the items of each source, whatever their key and format. Clones share the counters.
#[derive(Debug, Clone, Default)]
pub struct SourceRateLimiter(Option<Arc<RateLimit<(WorkspaceId, SourceId)>>>);

impl SourceRateLimiter {
    /// A limit of `items_per_s` over a window; 0 means no limit.
    pub fn new(items_per_s: u32, window_s: u32, clock: SharedClock) -> Self {
        let policy = RatePolicy::new("source", "items of this source", items_per_s, window_s);
        Self(policy.map(|policy| Arc::new(RateLimit::new(policy, clock))))
    }

    /// Counts items, or rejects them. A batch above the quota uses all of it.
    pub(crate) fn check(&self, workspace: WorkspaceId, source: SourceId, items: usize) -> Result<(), RateLimitStatus> {
        let Some(limit) = &self.0 else { return Ok(()) };
        let Some(items) = u32::try_from(items).map_or(Some(NonZeroU32::MAX), NonZeroU32::new) else { return Ok(()) };
        let status = limit.spend(&(workspace, source), items);
        if status.wait.is_none() {
            return Ok(());
        }
        metrics::counter!("highwater_http_refused_total", "api" => "command", "cause" => status.policy.name)
            .increment(1);
        Err(status)
    }
}

#[cfg(test)]
mod tests;
