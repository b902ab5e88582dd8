//! The trace of a request: W3C Trace Context in, `Request-Id` out.

use std::convert::Infallible;
use std::fmt::Write as _;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The header with the id of one request, which problems and the log repeat: `<trace id>-<span id>`.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The trace of a request: its cause, and the parent of its effects. A request without a valid `traceparent` begins a
/// new trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace id: the same for everything in one flow.
    pub correlation_id: String,
    /// The span that caused this request: the caller's, or this request's own if the caller named none.
    pub causation_id: String,
    /// The `traceparent` for what this request causes.
    pub traceparent: String,
}

const TRACE_ID: usize = 32;
const SPAN_ID: usize = 16;

impl TraceContext {
    /// Continues the caller's trace or begins one.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let span = hexadecimal(u64::from(rand::random::<std::num::NonZeroU64>()).into(), SPAN_ID);
        let mut sent = headers.get_all(TRACEPARENT).iter();
        let parent = match (sent.next(), sent.next()) {
            (Some(only), None) => only.to_str().ok().and_then(parse),
            (Some(_) | None, _) => None,
        };
        if let Some(Parent { trace, span: caller, sampled }) = parent {
            let flags = if sampled { "01" } else { "00" };
            return Self {
                correlation_id: trace.to_owned(),
                causation_id: caller.to_owned(),
                traceparent: format!("00-{trace}-{span}-{flags}"),
            };
        }
        let trace = hexadecimal(u128::from(rand::random::<std::num::NonZeroU128>()), TRACE_ID);
        Self { traceparent: format!("00-{trace}-{span}-01"), correlation_id: trace, causation_id: span }
    }

    /// `<trace id>-<span id>` of this request.
    pub fn request_id(&self) -> &str {
        &self.traceparent[3..3 + TRACE_ID + 1 + SPAN_ID]
    }

    pub(super) fn request_id_value(&self) -> HeaderValue {
        // Hexadecimal digits and a hyphen are valid in a header.
        HeaderValue::from_str(self.request_id()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

fn hexadecimal(number: u128, digits: usize) -> String {
    let mut text = String::with_capacity(digits);
    // Writing to a string cannot fail.
    let _ = write!(text, "{number:0digits$x}");
    text
}

struct Parent<'a> {
    trace: &'a str,
    span: &'a str,
    sampled: bool,
}

/// Parses version 00 exactly. Later versions may append more after the flags (W3C Trace Context, section 4.3).
fn parse(header: &str) -> Option<Parent<'_>> {
    let mut fields = header.split('-');
    let version = fields.next().filter(|text| is_hex(text, 2) && *text != "ff")?;
    let trace = fields.next().filter(|text| is_hex(text, TRACE_ID) && text.bytes().any(|digit| digit != b'0'))?;
    let span = fields.next().filter(|text| is_hex(text, SPAN_ID) && text.bytes().any(|digit| digit != b'0'))?;
    let flags = fields.next().filter(|text| is_hex(text, 2))?;
    if version == "00" && fields.next().is_some() {
        return None;
    }
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    Some(Parent { trace, span, sampled })
}

/// Whether `text` has so many lower-case hexadecimal digits. Upper case is invalid here.
fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

impl<S: Send + Sync> FromRequestParts<S> for TraceContext {
    type Rejection = Infallible;

    /// The edge has read the trace already. A router without the edge, as in a test, reads it here.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        if let Some(context) = parts.extensions.get::<Self>() {
            return Ok(context.clone());
        }
        let context = Self::from_headers(&parts.headers);
        parts.extensions.insert(context.clone());
        Ok(context)
    }
}

#[cfg(test)]
mod tests;
