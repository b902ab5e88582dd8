use std::convert::Infallible;
use std::io::Cursor;

use async_compression::Level;
use async_compression::tokio::bufread::{GzipEncoder, ZstdEncoder};
use async_compression::zstd::CParameter;
use axum::extract::DefaultBodyLimit;
use axum::response::IntoResponse;
use futures_util::stream;
use http::HeaderValue;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use tokio::io::AsyncReadExt;

use super::*;

const LIMIT: usize = 1 << 20;

async fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    GzipEncoder::new(Cursor::new(text)).read_to_end(&mut packed).await.unwrap();
    packed
}

async fn zstd(text: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    ZstdEncoder::new(Cursor::new(text)).read_to_end(&mut packed).await.unwrap();
    packed
}

/// A request in pieces of seven bytes, as a slow network delivers it.
fn request(codings: &[&str], body: &[u8]) -> Request {
    let pieces: Vec<_> = body.chunks(7).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
    let mut request = Request::post("/");
    for coding in codings {
        request = request.header(CONTENT_ENCODING, *coding);
    }
    let mut request = request.body(Body::from_stream(stream::iter(pieces))).unwrap();
    DefaultBodyLimit::max(LIMIT).apply(&mut request);
    request
}

async fn read(codings: &[&str], body: Vec<u8>) -> Result<Bytes, Problem> {
    read_to_end(request(codings, &body), &()).await
}

#[track_caller]
fn refused(read: Result<Bytes, Problem>) -> (u16, String) {
    let problem = read.unwrap_err();
    (problem.status().as_u16(), problem.code().to_owned())
}

#[tokio::test]
async fn decodes_compressed_bodies() {
    let text = "{\"name\": \"a\"}\n".repeat(5_000).into_bytes();
    for codings in [&[][..], &["identity"], &[""]] {
        assert_eq!(read(codings, text.clone()).await.unwrap(), text);
    }
    for codings in [&["gzip"][..], &["GZIP"], &["x-gzip"], &["identity, gzip"], &["identity", "gzip"]] {
        assert_eq!(read(codings, gzip(&text).await).await.unwrap(), text, "{codings:?}");
    }
    assert_eq!(read(&["zstd"], zstd(&text).await).await.unwrap(), text);

    // Two packed files, one after the other.
    let both = [gzip(b"[1,").await, gzip(b"2]").await].concat();
    assert_eq!(read(&["gzip"], both).await.unwrap(), "[1,2]");
    let both = [zstd(b"[1,").await, zstd(b"2]").await].concat();
    assert_eq!(read(&["zstd"], both).await.unwrap(), "[1,2]");
}

#[tokio::test]
async fn limit_counts_decoded_bytes_and_stops_bombs_early() {
    let bomb = vec![b' '; LIMIT + 1];
    let too_large = (413, "payload-too-large".to_owned());
    assert_eq!(refused(read(&["gzip"], gzip(&bomb).await).await), too_large);
    assert_eq!(refused(read(&["zstd"], zstd(&bomb).await).await), too_large);
    assert_eq!(read(&["gzip"], gzip(&bomb[1..]).await).await.unwrap().len(), LIMIT);

    // Nothing beyond the limit is read.
    let packed = zstd(&vec![b' '; 4 * LIMIT]).await;
    let pieces = stream::once(async { Ok::<_, Infallible>(Bytes::from(packed)) }).chain(stream::pending());
    let mut request = Request::post("/").header(CONTENT_ENCODING, "zstd").body(Body::from_stream(pieces)).unwrap();
    DefaultBodyLimit::max(LIMIT).apply(&mut request);
    assert_eq!(refused(read_to_end(request, &()).await), too_large);
}

#[tokio::test]
async fn corrupt_body_is_a_client_error() {
    let undecodable = (400, "undecodable-body".to_owned());
    let text = "0123456789".repeat(500).into_bytes();
    for (coding, packed) in [("gzip", gzip(&text).await), ("zstd", zstd(&text).await)] {
        let middle = packed.len() / 2;
        let mut flipped = packed.clone();
        flipped[middle] ^= 0xff;
        let trailing = [packed.as_slice(), b"trailing"].concat();
        let broken_off = packed[..packed.len() - 1].to_vec();
        let mut damage = vec![text.clone(), Vec::new(), trailing, broken_off, packed[..middle].to_vec()];
        if coding == "gzip" {
            // A zstd frame need not have a checksum.
            damage.push(flipped);
        }
        for (which, damaged) in damage.into_iter().enumerate() {
            assert_eq!(refused(read(&[coding], damaged).await), undecodable, "{coding} {which}");
        }
    }
}

#[tokio::test]
async fn rejects_large_zstd_windows() {
    let text = vec![7; 20 << 20];
    for (log, fits) in [(23, true), (24, false)] {
        let mut packed = Vec::new();
        let parameters = [CParameter::window_log(log)];
        let mut encoder = ZstdEncoder::with_quality_and_params(Cursor::new(&text), Level::Fastest, &parameters);
        encoder.read_to_end(&mut packed).await.unwrap();
        let request = Request::post("/").header(CONTENT_ENCODING, "zstd").body(Body::from(packed)).unwrap();
        let mut body = BodyStream::of(request).unwrap();
        let first = body.next().await;
        assert_eq!(first.is_ok(), fits, "{log}: {first:?}");
    }
}

#[tokio::test]
async fn unknown_coding_lists_the_supported_ones() {
    for codings in [&["br"][..], &["deflate"], &["gzip, zstd"], &["gzip", "gzip"], &["*"]] {
        let problem = read(codings, b"{}".to_vec()).await.unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (415, "unsupported-media-type"), "{codings:?}");
        let response = problem.into_response();
        assert_eq!(response.headers()[ACCEPT_ENCODING], "gzip, zstd");
    }
}

#[tokio::test]
async fn streams_bytes_in_chunks() {
    let text = "line\n".repeat(40_000).into_bytes();
    let mut body = BodyStream::of(request(&["gzip"], &gzip(&text).await)).unwrap();
    let mut read = Vec::new();
    while let Some(piece) = body.next().await.unwrap() {
        assert!(piece.len() <= 64 << 10);
        read.extend_from_slice(&piece);
    }
    assert_eq!(read, text);
    assert!(BodyStream::of(request(&["br"], &[])).is_err());
}

#[tokio::test]
async fn truncated_stream_is_an_error() {
    for (coding, sent) in [("identity", b"a".to_vec()), ("gzip", gzip(b"a").await[..12].to_vec())] {
        let pieces = stream::iter([Ok(sent), Err(io::Error::other("reset"))]);
        let request = Request::post("/").header(CONTENT_ENCODING, coding).body(Body::from_stream(pieces)).unwrap();
        let mut body = BodyStream::of(request).unwrap();
        let problem = loop {
            match body.next().await {
                Ok(piece) => assert!(piece.is_some()),
                Err(problem) => break problem,
            }
        };
        assert_eq!(problem.code(), "unreadable-body", "{coding}");
    }
}

#[test]
fn accepts_media_types_in_utf_8_only() {
    let of = |value: &str| media_type(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(value).unwrap())]));
    for json in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\"; v=1"] {
        assert_eq!(of(json).as_deref(), Some("application/json"), "{json}");
    }
    assert_eq!(of("application/json; charset=utf-16"), None);
    assert_eq!(of("text/plain").as_deref(), Some("text/plain"));
    assert_eq!(media_type(&HeaderMap::new()), None);
}
