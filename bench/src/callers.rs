//! Callers that each send their next request when the last one is answered, and how fast that goes.

use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

/// Opens connections and fills caches before it counts.
const WARM_UP: Duration = Duration::from_millis(500);

/// Somebody who sends one request at a time.
pub(crate) trait Caller: Send + 'static {
    /// Sends a request, and returns when it is answered.
    fn call(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// How fast callers were served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) per_second: f64,
    /// From sending to the answer, in milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Lets the callers call for so long.
pub(crate) async fn pace<C: Caller>(callers: Vec<C>, length: Duration) -> Result<Pace> {
    let counted_from = Instant::now() + WARM_UP;
    let mut calling = JoinSet::new();
    for caller in callers {
        calling.spawn(call_until(caller, counted_from, counted_from + length));
    }
    let mut took = latencies();
    while let Some(one) = calling.join_next().await {
        took.add(one??)?;
    }
    let seconds = counted_from.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "nobody waits for 2^52 answers")]
    let per_second = took.len() as f64 / seconds;
    Ok(Pace { per_second, p50: milliseconds(&took, 0.5), p99: milliseconds(&took, 0.99) })
}

async fn call_until<C: Caller>(mut caller: C, counted_from: Instant, until: Instant) -> Result<Histogram<u64>> {
    let mut took = latencies();
    loop {
        let began = Instant::now();
        if began >= until {
            return Ok(took);
        }
        caller.call().await?;
        if began >= counted_from {
            record(&mut took, began.elapsed());
        }
    }
}

/// Latencies in microseconds, to three digits.
pub(crate) fn latencies() -> Histogram<u64> {
    const LONGEST: Duration = Duration::from_mins(1);
    let longest = u64::try_from(LONGEST.as_micros()).unwrap_or(u64::MAX);
    Histogram::new_with_max(longest, 3).unwrap_or_else(|_impossible| unreachable!("a minute has three digits"))
}

pub(crate) fn record(latencies: &mut Histogram<u64>, took: Duration) {
    latencies.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
}

pub(crate) fn milliseconds(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    Duration::from_micros(latencies.value_at_quantile(quantile)).as_secs_f64() * 1e3
}
