//! Content codings of responses: zstd, brotli or gzip, chosen by `Accept-Encoding`.
//!
//! Only long texts, and texts of unknown length, are compressed. A stream whose reader waits for each line is never
//! compressed, because the encoder would hold lines back.

use axum::body::HttpBody;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

use super::problem::Problem;
use super::trace::TraceContext;
use super::weights::weighted_items;

/// The shortest body that is compressed. A shorter one fits one packet anyway.
const SHORTEST: u64 = 1_024;

/// The compression level. It saves half as much as the best level, in a tenth of its time.
const LEVEL: CompressionLevel = CompressionLevel::Precise(4);

/// The codings in the order of preference.
const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];
const IDENTITY: &str = "identity";

/// The media types that are compressed: texts, but no stream that is read line by line.
const PACKED: [&str; 7] = [
    "application/json",
    "application/json-patch+json",
    "application/problem+json",
    "text/csv",
    "text/html",
    "text/plain",
    "text/css",
];

/// The layer that compresses.
pub(super) fn layer() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new().quality(LEVEL).compress_when(SizeAbove::new(SHORTEST).and(CompressibleType))
}

#[derive(Debug, Clone, Copy)]
struct CompressibleType;

impl Predicate for CompressibleType {
    fn should_compress<B: HttpBody>(&self, response: &http::Response<B>) -> bool {
        let text = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let media_type = text(CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
        PACKED.contains(&media_type)
            && !text(CACHE_CONTROL).is_some_and(|directives| directives.contains("no-transform"))
    }
}

/// Chooses the coding of the response and tells the layer. Rejects (406), before anything is done, a caller that
/// excludes every coding and the plain body.
pub(super) async fn negotiate(mut request: Request, next: Next) -> Response {
    match choose(request.headers()) {
        EncodingChoice::AsItIs => request.headers_mut().remove(ACCEPT_ENCODING),
        EncodingChoice::Packed(coding) => {
            request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(coding))
        }
        EncodingChoice::Nothing => {
            let offered: Vec<_> = CODINGS.into_iter().chain([IDENTITY]).collect();
            let problem = Problem::not_acceptable("Accept-Encoding", &offered);
            let trace = request.extensions().get::<TraceContext>();
            return match trace {
                Some(trace) => problem.of_request(trace.request_id()),
                None => problem,
            }
            .into_response();
        }
    };
    next.run(request).await
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum EncodingChoice {
    AsItIs,
    Packed(&'static str),
    Nothing,
}

/// Chooses the coding of the highest weight (RFC 9110, 12.5.3). The plain body is acceptable unless it is excluded
/// explicitly.
fn choose(headers: &HeaderMap) -> EncodingChoice {
    // An alternative with an unreadable weight is ignored.
    let accepted: Vec<(String, f32)> = weighted_items(headers, ACCEPT_ENCODING)
        .filter_map(|item| item.weight.map(|weight| (item.name, weight)))
        .collect();
    let weight = |coding: &str| accepted.iter().find(|(name, _)| name == coding).map(|(_, weight)| *weight);
    let others = weight("*");
    let as_it_is = weight(IDENTITY).or(others);
    let packed = CODINGS.map(|coding| (coding, weight(coding).or(others).unwrap_or(0.0)));
    // The first of equal weights wins.
    let best = packed.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best });
    match best {
        Some((coding, weight)) if weight > 0.0 && weight >= as_it_is.unwrap_or(0.0) => EncodingChoice::Packed(coding),
        Some(_) | None if as_it_is == Some(0.0) => EncodingChoice::Nothing,
        Some(_) | None => EncodingChoice::AsItIs,
    }
}

#[cfg(test)]
mod tests;
