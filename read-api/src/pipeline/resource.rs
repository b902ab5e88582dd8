//! What distinguishes one endpoint from the next: what is asked, what its version follows from, and what is told.

use std::future::Future;

use chrono::{DateTime, Utc};
use domain::freshness::Finality;
use domain::money::Currency;
use domain::zone::Zone;
use platform::principal::Principal;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::Params;
use super::results::Key;
use crate::ApiState;
use crate::consistency::ConsistentSnapshot;
use crate::cursor::PageRequest;
use crate::defaults::WorkspaceDefaults;
use crate::error::ReadError;
use crate::model_head::ModelHead;
use crate::parked::ResourceScope;
use crate::report::query::Paging;
use crate::response::{ETag, Envelope, Meta, Page, QueryHash, Warning};
use crate::snapshot::Snapshot;
use crate::sources::Freshness;
use crate::version::Version;

/// Something that can be read: what distinguishes one endpoint from the next.
pub(crate) trait Resource: Send + Sync {
    /// The model that it is read from, as answers name it.
    const MODEL: &'static str;
    /// Whether a caller may wait until the projection has come far enough.
    const WAITS: bool = true;
    /// What was asked, as it was sent.
    type Params: Params<Self::Query>;
    /// What was asked, in its canonical form.
    type Query: Serialize + Send + Sync;
    /// What the version of a result follows from, for the result to go on from.
    type Prepared: Send;

    fn params(&self) -> &Self::Params;

    /// What the answer is about, as far as it is known before anything is read.
    fn scope(&self) -> ResourceScope;

    /// The canonical query, with what was left unsaid, and which page of it.
    fn query(&self, around: QueryDefaults) -> Result<(Self::Query, Option<Paging>), ReadError>;

    /// The version of the result, and what it follows from. `None`: there is no such thing.
    fn probe(
        &self,
        settled: &mut ConsistentSnapshot,
        query: &Self::Query,
    ) -> impl Future<Output = Result<Option<VersionProbe<Self::Prepared>>, ReadError>> + Send;

    /// The result.
    fn render(
        &self,
        snapshot: &mut Snapshot,
        sought: &ResolvedQuery<Self::Query>,
        survey: VersionProbe<Self::Prepared>,
    ) -> impl Future<Output = Result<Rendered, ReadError>> + Send;

    /// Version and result by one statement, which is its own snapshot, where one will do. `None`: the workspace is no longer at
    /// this tip, or there is no such thing, or it takes more than one.
    fn render_at_head(
        &self,
        _at: &HeadContext<'_>,
        _sought: &ResolvedQuery<Self::Query>,
    ) -> impl Future<Output = Result<Option<(VersionProbe<()>, Rendered)>, ReadError>> + Send {
        std::future::ready(Ok(None))
    }
}

/// Where a workspace is, to be read from without more ado: nothing of it was ever parked.
#[derive(Debug)]
pub(crate) struct HeadContext<'a> {
    pub(crate) state: &'a ApiState,
    pub(crate) workspace: i32,
    pub(crate) tip: &'a ModelHead,
    pub(crate) defaults: WorkspaceDefaults,
    pub(crate) now: DateTime<Utc>,
}

/// What fills in what a request leaves unsaid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueryDefaults {
    pub(crate) time_zone: Zone,
    pub(crate) now: DateTime<Utc>,
}

/// A canonical query, and the page of it that is wanted.
#[derive(Debug)]
pub(crate) struct ResolvedQuery<Q> {
    pub(crate) query: Q,
    pub(crate) paging: Option<Paging>,
    canonical: QueryHash,
}

/// What is known of a result before it is computed.
#[derive(Debug)]
pub(crate) struct VersionProbe<G> {
    /// The epoch that it is read from.
    pub(crate) epoch: i32,
    pub(crate) version: Version,
    pub(crate) lasting: Validity,
    /// How settled its numbers are, and through when they are complete.
    pub(crate) numbers: Option<(Finality, Option<DateTime<Utc>>)>,
    pub(crate) ground: G,
}

/// How long a version holds if nothing happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    /// Until the clock changes something; `None`: the clock never does.
    Until(Option<DateTime<Utc>>),
    /// It also depends on what the tip does not tell.
    Unknown,
}

/// A result.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(super) body: Vec<u8>,
    /// The cursor behind its last row.
    pub(super) next_cursor: Option<String>,
}

/// What an envelope holds beside what follows from the query.
#[derive(Debug)]
pub(crate) struct ResponseParts<T> {
    pub(crate) data: T,
    /// The cursor behind the last row, of what has pages.
    pub(crate) next_cursor: Option<String>,
    /// The zone that its days and hours are cut in.
    pub(crate) time_zone: Zone,
    pub(crate) freshness: Option<Freshness>,
    pub(crate) warnings: Vec<Warning>,
}

/// The canonical query as answers repeat it.
#[derive(Serialize)]
struct Echo<'a, Q> {
    #[serde(flatten)]
    query: &'a Q,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
}

impl<Q: Serialize> ResolvedQuery<Q> {
    pub(crate) fn new(
        model: &str,
        principal: &Principal,
        (query, paging): (Q, Option<Paging>),
    ) -> Result<Self, ReadError> {
        let canonical = QueryHash::new(model, principal, &query)?;
        Ok(Self { query, paging, canonical })
    }

    /// The page that is wanted, of what has pages in this epoch.
    pub(crate) fn page(&self, epoch: i32) -> Result<PageRequest<'_>, ReadError> {
        let Paging { limit, cursor } = self.paging.as_ref().ok_or_else(|| ReadError::corrupt("it has no pages"))?;
        Ok(PageRequest { limit: *limit, cursor: cursor.as_deref(), hash: &self.canonical.hash, epoch })
    }

    pub(super) fn tag(&self, model: &str, epoch: i32, version: Version) -> ETag {
        match &self.paging {
            None => ETag::new(model, epoch, version, &self.canonical.hash),
            Some(paging) => {
                let page = self.canonical.page_hash(paging.limit, paging.cursor.as_deref());
                ETag::new(model, epoch, version, &page)
            }
        }
    }

    pub(super) fn key(&self, model: &'static str, principal: &Principal) -> Key {
        Key::new(principal.workspace, model, &self.canonical, self.paging.as_ref())
    }

    /// The query as the answer repeats it.
    pub(crate) fn echo(&self) -> Result<Box<RawValue>, ReadError> {
        let limit = self.paging.as_ref().map(|paging| paging.limit);
        to_raw_value(&Echo { query: &self.query, limit }).map_err(ReadError::corrupt)
    }

    /// The result in the envelope that all share.
    pub(crate) fn told<R: Resource<Query = Q>, T: Serialize>(
        &self,
        (epoch, currency): (i32, Option<Currency>),
        version: Version,
        contents: ResponseParts<T>,
    ) -> Result<Rendered, ReadError> {
        let ResponseParts { data, next_cursor, time_zone, freshness, warnings } = contents;
        let echo = self.echo()?;
        let page = self.paging.is_some().then(|| Page { next_cursor: next_cursor.clone() });
        let meta = Meta { freshness, warnings, ..meta(R::MODEL, (epoch, currency), version, time_zone, &echo) };
        Rendered::new(&Envelope { data, page, meta }, next_cursor)
    }
}

/// What an answer says of its data, whatever that is. `echo`: the query as the answer repeats it.
pub(crate) fn meta<'a>(
    model: &'static str,
    (epoch, currency): (i32, Option<Currency>),
    version: Version,
    time_zone: Zone,
    echo: &'a RawValue,
) -> Meta<'a> {
    Meta {
        model,
        epoch,
        version: version.to_string(),
        time_zone: time_zone.name(),
        currency,
        query: echo,
        freshness: None,
        compared: None,
        warnings: Vec::new(),
    }
}

impl Rendered {
    pub(crate) fn written(body: Vec<u8>, next_cursor: Option<String>) -> Self {
        Self { body, next_cursor }
    }

    pub(crate) fn new(body: &impl Serialize, next_cursor: Option<String>) -> Result<Self, ReadError> {
        Ok(Self { body: serde_json::to_vec(body).map_err(ReadError::corrupt)?, next_cursor })
    }
}
