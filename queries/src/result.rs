//! Typed results, and the encodings that callers make of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use domain::money::Currency;
use domain::zone::Zone;

use crate::activity::ActivityEntry;
use crate::campaign::Campaign;
use crate::corrections::Correction;
use crate::error::ReadError;
use crate::leaderboard::Leaderboard;
use crate::pacing::PacingBody;
use crate::report::ReportData;
use crate::sources::Freshness;
use crate::version::Version;
use crate::warning::Warning;

/// The result of a query. It holds only what follows from its version.
#[derive(Debug)]
pub struct QueryResult {
    pub meta: ResultMeta,
    /// The cursor behind its last row, if another page follows.
    pub next_cursor: Option<String>,
    pub data: Data,
}

/// What a result is of.
#[derive(Debug)]
pub struct ResultMeta {
    /// The model that it was read from, as answers name it.
    pub model: &'static str,
    /// Which built instance of it. Versions of different epochs cannot be compared.
    pub epoch: i32,
    pub version: Version,
    /// The zone that its days and hours are cut in.
    pub time_zone: Zone,
    /// The workspace's reporting currency.
    pub currency: Option<Currency>,
    /// How fresh its numbers are, if it has any.
    pub freshness: Option<Freshness>,
    pub warnings: Vec<Warning>,
}

/// The data of a result, typed.
#[derive(Debug)]
pub enum Data {
    Campaigns(Vec<Campaign>),
    Campaign(Box<Campaign>),
    Activity(Vec<ActivityEntry>),
    Corrections(Vec<Correction>),
    Pacing(Box<PacingBody>),
    Report(Box<ReportData>),
    /// Each report by its name, or why it has no result.
    Dashboard(BTreeMap<String, Result<Box<QueryResult>, ReadError>>),
    Leaderboard(Leaderboard),
}

impl QueryResult {
    /// The bytes that it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let Self { meta, next_cursor, data } = self;
        let warnings: usize = meta.warnings.iter().map(Warning::weight).sum();
        let freshness = meta.freshness.as_ref().map_or(0, Freshness::weight);
        size_of::<Self>() + warnings + freshness + next_cursor.as_ref().map_or(0, String::len) + data.weight()
    }
}

impl Data {
    fn weight(&self) -> usize {
        match self {
            Self::Campaigns(campaigns) => campaigns.iter().map(Campaign::weight).sum(),
            Self::Campaign(campaign) => campaign.weight(),
            Self::Activity(entries) => entries.iter().map(ActivityEntry::weight).sum(),
            Self::Corrections(corrections) => corrections.iter().map(Correction::weight).sum(),
            Self::Pacing(_) => size_of::<PacingBody>(),
            Self::Report(report) => report.weight(),
            Self::Dashboard(reports) => {
                let each = |(name, report): (&String, &Result<Box<QueryResult>, ReadError>)| {
                    name.len() + report.as_ref().map_or(size_of::<ReadError>(), |report| report.weight())
                };
                reports.iter().map(each).sum()
            }
            Self::Leaderboard(leaderboard) => leaderboard.weight(),
        }
    }
}

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
        // Whoever wants the same at the same time waits: it is made once.
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
        self.result.weight() + encodings.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }
}

impl fmt::Debug for EncodedResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedResult").field("result", &self.result).finish_non_exhaustive()
    }
}
