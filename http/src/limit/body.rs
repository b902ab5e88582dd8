//! Guards a request body: counts its bytes as they arrive, and aborts it when it stalls.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Error;
use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::super::request_log::BodyProgress;
use super::{BodyAbort, RequestPermit};

/// The lowest speed of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MinThroughput {
    longest_pause: Option<Duration>,
    min_bytes_per_s: u64,
}

impl MinThroughput {
    pub(super) fn new(longest_pause_s: u64, min_bytes_per_s: u64) -> Self {
        let longest_pause = (longest_pause_s > 0).then(|| Duration::from_secs(longest_pause_s));
        Self { longest_pause, min_bytes_per_s }
    }
}

/// The window in which a body's rate is measured. Only time spent waiting for the caller counts.
const THROUGHPUT_WINDOW: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
enum BodyCut {
    #[error("the body came too slowly")]
    TooSlow,
    #[error("there was no room for the body")]
    NoRoom,
}

/// The body of an admitted request.
pub(super) struct ThroughputGuardedBody {
    body: Body,
    admission: RequestPermit,
    pace: MinThroughput,
    progress: Option<BodyProgress>,
    /// The timer since the last bytes arrived, while none arrive.
    waiting: Option<StallTimer>,
    /// The time waited in the current window.
    waited: Duration,
    arrived: u64,
}

struct StallTimer {
    since: Instant,
    too_long: Pin<Box<Sleep>>,
}

impl ThroughputGuardedBody {
    pub(super) fn new(body: Body, admission: RequestPermit, progress: Option<BodyProgress>) -> Self {
        let pace = admission.0.limits.0.pace;
        Self { body, admission, pace, progress, waiting: None, waited: Duration::ZERO, arrived: 0 }
    }

    /// Polls whether the caller's pause is still within the limit.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(progress) = &self.progress {
            progress.reading();
        }
        // Without a limit the timer only records its start, so its end can be far away.
        let longest = self.pace.longest_pause.unwrap_or(Duration::from_hours(24));
        let waiting = self
            .waiting
            .get_or_insert_with(|| StallTimer { since: Instant::now(), too_long: Box::pin(sleep(longest)) });
        match waiting.too_long.as_mut().poll(context) {
            Poll::Ready(()) if self.pace.longest_pause.is_some() => self.cut(BodyAbort::TooSlow),
            Poll::Ready(()) | Poll::Pending => Poll::Pending,
        }
    }

    fn arrive(&mut self, bytes: u64) -> Result<(), BodyAbort> {
        if let Some(progress) = &self.progress {
            progress.done();
        }
        if bytes > 0 {
            self.waited += self.waiting.take().map(|waiting| waiting.since.elapsed()).unwrap_or_default();
            self.arrived += bytes;
        }
        if self.is_over() {
            self.admission.0.whole.store(true, Ordering::Relaxed);
        } else if self.waited >= THROUGHPUT_WINDOW {
            if self.arrived < self.pace.min_bytes_per_s * THROUGHPUT_WINDOW.as_secs() {
                return Err(BodyAbort::TooSlow);
            }
            (self.waited, self.arrived) = (Duration::ZERO, 0);
        }
        if self.admission.take(bytes) { Ok(()) } else { Err(BodyAbort::NoRoom) }
    }

    fn is_over(&self) -> bool {
        http_body::Body::is_end_stream(&self.body)
    }

    fn cut(&self, cut: BodyAbort) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.admission.cut(cut);
        Poll::Ready(Some(Err(Error::new(match cut {
            BodyAbort::TooSlow => BodyCut::TooSlow,
            BodyAbort::NoRoom => BodyCut::NoRoom,
        }))))
    }
}

impl http_body::Body for ThroughputGuardedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let watched = self.get_mut();
        watched.admission.release_consumed();
        match Pin::new(&mut watched.body).poll_frame(context) {
            Poll::Pending => watched.wait(context),
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                match watched.arrive(bytes) {
                    Ok(()) => Poll::Ready(Some(Ok(frame))),
                    Err(cut) => watched.cut(cut),
                }
            }
            Poll::Ready(over) => {
                if let Some(progress) = &watched.progress {
                    progress.done();
                }
                watched.admission.0.whole.store(over.is_none(), Ordering::Relaxed);
                Poll::Ready(over)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(&self.body)
    }
}
