//! The layer that admits requests. It decides by the head alone, before it reads anything of a body.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, StatusCode, Version};

use super::super::health;
use super::super::problem::Problem;
use super::super::request_log::BodyProgress;
use super::body::ThroughputGuardedBody;
use super::{BodyAbort, Head, Limits, RATELIMIT, RequestPermit, announced};

/// The longest refused body that is read and dropped, so that the connection can go on.
const LINGER_BYTES: u64 = 64 << 10;
/// The longest time to read a refused body. It is on its way already, or its sender waits for an answer.
const LINGER: Duration = Duration::from_millis(100);

pub(crate) async fn admit(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    if health::PATHS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let head = Head { uri: request.uri(), headers: request.headers(), extensions: request.extensions() };
    let admission = match limits.admit(&head) {
        Ok(admission) => admission,
        Err(problem) => return refuse(request, problem).await,
    };
    let version = request.version();
    let short = announced(request.headers()).is_some_and(|bytes| bytes <= LINGER_BYTES);

    let mut response = next.run(watch(request, &admission)).await;

    let cut = admission.0.cut.get();
    if let Some(cut) = cut
        && is_refusal(&response)
    {
        // The handler knows only that the body broke off.
        response = match cut {
            BodyAbort::TooSlow => Problem::for_status(StatusCode::REQUEST_TIMEOUT),
            BodyAbort::NoRoom => Problem::overloaded(),
        }
        .into_response();
    }
    let is_left_behind = cut.is_some() || !short;
    if is_refusal(&response) && is_left_behind && !admission.0.whole.load(Ordering::Relaxed) {
        close(&mut response, version);
    }
    if !response.headers().contains_key(RATELIMIT) {
        response.headers_mut().extend(admission.fields().into_iter().flatten());
    }
    response
}

fn is_refusal(response: &Response) -> bool {
    response.status().is_client_error() || response.status().is_server_error()
}

/// Puts the permit into the request, and a guard around its body.
fn watch(mut request: Request, admission: &RequestPermit) -> Request {
    request.extensions_mut().insert(admission.clone());
    if request.body().is_end_stream() {
        admission.0.whole.store(true, Ordering::Relaxed);
        return request;
    }
    let progress = request.extensions().get::<BodyProgress>().cloned();
    request.map(|body| Body::new(ThroughputGuardedBody::new(body, admission.clone(), progress)))
}

async fn refuse(request: Request, problem: Problem) -> Response {
    let (head, body) = request.into_parts();
    // A sender of `Expect: 100-continue` has not sent its body; the answer tells it not to.
    let is_sent = !head.headers.contains_key(EXPECT);
    let is_short = announced(&head.headers).is_none_or(|bytes| bytes <= LINGER_BYTES);
    let is_whole =
        body.is_end_stream() || (head.version < Version::HTTP_2 && is_sent && is_short && discard(body).await);
    let mut response = problem.into_response();
    if !is_whole {
        close(&mut response, head.version);
    }
    response
}

/// Closes the connection in HTTP/1, where an unread body would precede the next request.
fn close(response: &mut Response, version: Version) {
    if version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Reads the rest of a short body. False if it is longer or does not arrive.
async fn discard(mut body: Body) -> bool {
    let read = async {
        let mut left = LINGER_BYTES;
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let Ok(frame) = frame else { return false };
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            match left.checked_sub(bytes) {
                Some(still_left) => left = still_left,
                None => return false,
            }
        }
        true
    };
    tokio::time::timeout(LINGER, read).await.unwrap_or(false)
}
