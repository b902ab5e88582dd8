//! The backfill that a request belongs to.

use chrono::{DateTime, Utc};
use commands::ingest::BackfillChunk;
use commands::rejections::ItemForm;
use domain::observation::BackfillName;
use http_edge::problem::Problem;
use http_edge::problem::kinds::INVALID_QUERY;

use super::format::InputFormat;

/// The part of a backfill that one request sends.
#[derive(Debug, Clone)]
pub(super) struct BackfillPart {
    name: BackfillName,
    /// The number of its first chunk.
    first: u64,
    before: Option<DateTime<Utc>>,
}

impl BackfillPart {
    /// Reads the query; `None` without `backfill`.
    pub(super) fn read(
        name: Option<&str>,
        chunk: Option<u64>,
        before: Option<DateTime<Utc>>,
        format: InputFormat,
    ) -> Result<Option<Self>, Problem> {
        let refused = |field: &str, detail: &str| Problem::new(INVALID_QUERY).field(field, detail);
        let Some(name) = name else {
            return match (chunk, before) {
                (None, None) => Ok(None),
                (Some(_), _) => Err(refused("chunk", "belongs to `backfill`, which is not given")),
                (None, Some(_)) => Err(refused("before", "belongs to `backfill`, which is not given")),
            };
        };
        if !matches!(format, InputFormat::Batch | InputFormat::Lines) {
            return Err(refused("backfill", "takes application/json and application/x-ndjson, and no CloudEvents"));
        }
        let name = name
            .parse()
            .map_err(|error: domain::observation::BackfillNameError| refused("backfill", &error.to_string()))?;
        let first = chunk.unwrap_or(1);
        if first == 0 {
            return Err(refused("chunk", "is counted from 1"));
        }
        Ok(Some(Self { name, first, before }))
    }

    /// How its items are sent.
    pub(super) fn form(&self) -> ItemForm {
        ItemForm::Backfill { name: self.name.clone() }
    }

    /// What it adds to the content of the request.
    pub(super) fn content(&self) -> String {
        format!("{} {}", self.name, self.first)
    }

    /// The chunk that is so many behind its first one.
    pub(super) fn chunk(&self, behind: u64, digest: [u8; 32]) -> BackfillChunk {
        let number = self.first.saturating_add(behind);
        BackfillChunk { name: self.name.clone(), before: self.before, number, digest, retry_of: None }
    }
}
