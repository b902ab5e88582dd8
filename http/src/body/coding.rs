//! Content codings of request bodies: one of gzip and zstd, or none.

use std::error::Error;
use std::io;

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use axum::body::Bytes;
use futures_util::TryStreamExt;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use super::{BodyChunks, BodyError, unsupported_media_type};
use crate::problem::Problem;

/// The content coding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentEncoding {
    Identity,
    Gzip,
    Zstd,
}

/// The largest window that RFC 9659 requires (2^23 bytes). A larger one would let any caller demand more memory.
const LARGEST_WINDOW_LOG: u32 = 23;

/// The number of bytes that are decoded at a time.
const PIECE_BYTES: usize = 32 << 10;

impl ContentEncoding {
    /// Reads the coding. Rejects an unknown coding, and several codings at once, with 415 and the supported ones.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut codings = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .flat_map(|value| value.to_str().unwrap_or("?").split(','))
            .map(str::trim)
            .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"));
        let refused = |detail: &str| {
            Err(unsupported_media_type(detail).header(ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd")))
        };
        match (codings.next(), codings.next()) {
            (None, _) => Ok(Self::Identity),
            (Some(coding), None) => match coding.to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => Ok(Self::Gzip),
                "zstd" => Ok(Self::Zstd),
                _ => refused("Send the body with `Content-Encoding: gzip`, `zstd` or none."),
            },
            (Some(_), Some(_)) => refused("Send the body in one content coding, not in several."),
        }
    }

    /// Decodes the pieces. Files that were compressed separately may follow one another.
    pub(super) fn decode(self, pieces: BodyChunks) -> BodyChunks {
        match self {
            Self::Identity => pieces,
            Self::Gzip => {
                let mut decoder = GzipDecoder::new(StreamReader::new(pieces));
                decoder.multiple_members(true);
                decoded("gzip", decoder)
            }
            Self::Zstd => {
                let window = [DParameter::window_log_max(LARGEST_WINDOW_LOG)];
                let mut decoder = ZstdDecoder::with_params(StreamReader::<_, Bytes>::new(pieces), &window);
                decoder.multiple_members(true);
                decoded("zstd", decoder)
            }
        }
    }
}

fn decoded(coding: &'static str, decoder: impl AsyncRead + Send + 'static) -> BodyChunks {
    let pieces = ReaderStream::with_capacity(decoder, PIECE_BYTES);
    Box::pin(pieces.map_err(move |error| {
        if error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<BodyError>) {
            return error;
        }
        io::Error::other(BodyError::Undecodable { coding, source: error })
    }))
}
