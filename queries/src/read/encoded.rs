//! Results with the encodings that were made of them.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::query::{Data, QueryResult};

/// A result with the encodings that were made of it. Each is made once, at its first use.
pub(crate) struct EncodedResult {
    pub(crate) result: QueryResult,
    encodings: Mutex<Vec<(&'static str, Bytes)>>,
}

impl EncodedResult {
    pub(crate) fn new(result: QueryResult) -> Self {
        Self { result, encodings: Mutex::default() }
    }

    /// The encoding of this name, and whether it was made just now.
    pub(crate) fn encoding<E>(
        &self,
        name: &'static str,
        encode: impl FnOnce(&QueryResult) -> Result<Vec<u8>, E>,
    ) -> Result<(Bytes, bool), E> {
        // Concurrent callers wait, so that the encoding is made once.
        let mut encodings = self.encodings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = encodings.iter().find(|(known, _)| *known == name) {
            return Ok((bytes.clone(), false));
        }
        let bytes = Bytes::from(encode(&self.result)?);
        encodings.push((name, bytes.clone()));
        Ok((bytes, true))
    }

    /// The bytes that it takes with its encodings.
    pub(crate) fn weight(&self) -> usize {
        let encodings = self.encodings.lock().unwrap_or_else(PoisonError::into_inner);
        self.result.weight(Data::weight) + encodings.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }
}

impl fmt::Debug for EncodedResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedResult").field("result", &self.result).finish_non_exhaustive()
    }
}
