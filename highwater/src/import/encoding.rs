//! The bytes of a file as UTF-8.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use thiserror::Error;

/// How much of a file is looked at.
const SAMPLE: usize = 4_096;

/// The error of a file in another encoding.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodingError {
    /// The name is no encoding.
    #[error("`{0}` is not an encoding; utf-8, utf-16le, utf-16be, windows-1252 and shift_jis are some")]
    Unknown(String),
    /// The bytes do not fit.
    #[error("the file is not {0}")]
    Malformed(&'static str),
}

/// The encoding of this name.
pub fn named(name: &str) -> Result<&'static Encoding, EncodingError> {
    Encoding::for_label(name.as_bytes()).ok_or_else(|| EncodingError::Unknown(name.to_owned()))
}

/// The encoding that the first bytes show.
pub fn guess(bytes: &[u8]) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return encoding;
    }
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    // Every other byte of Latin text in UTF-16 is zero.
    let zeros = |odd: usize| sample.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    match (zeros(0) * 4 > sample.len(), zeros(1) * 4 > sample.len()) {
        (false, true) => UTF_16LE,
        (true, false) => UTF_16BE,
        _ => UTF_8,
    }
}

/// The text without its byte order mark. UTF-8 is not checked here: a bad cell is found by its line.
pub fn decode(bytes: Vec<u8>, encoding: &'static Encoding) -> Result<Vec<u8>, EncodingError> {
    if encoding == UTF_8 {
        return Ok(bytes.strip_prefix("\u{feff}".as_bytes()).map(<[u8]>::to_vec).unwrap_or(bytes));
    }
    let (text, malformed) = encoding.decode_with_bom_removal(&bytes);
    if malformed {
        return Err(EncodingError::Malformed(encoding.name()));
    }
    Ok(match text {
        Cow::Borrowed(text) => text.as_bytes().to_vec(),
        Cow::Owned(text) => text.into_bytes(),
    })
}
