//! The read of a query, from its request to its result: the same way for each query. The crate's documentation says its
//! steps.

mod cache; // the results that this process keeps
mod encoded; // a result with its encodings
mod pages; // all pages of a query from one snapshot
mod read_model; // what every read works with
mod trace; // how a read got its result

use std::sync::Arc;

use bytes::Bytes;

use self::cache::{CachedResult, Key, SnapshotStamp};
use self::encoded::EncodedResult;
use crate::access::Access;
use crate::campaign;
use crate::consistency::{ConsistencyRequirement, ConsistentSnapshot};
use crate::database::defaults::{QueryDefaults, WorkspaceDefaults};
use crate::database::model_head::{HeadContext, ModelHead};
use crate::error::ReadError;
use crate::probe::{Probe, Validity};
use crate::query::{CanonicalQuery, Data, Prepared, Query, QueryResult, ResolvedQuery, load, probe};
use crate::resolved::ResultId;
use crate::status::ReadStatus;

pub use pages::PageReader;
pub use read_model::ReadModel;
pub use trace::{CacheStatus, ReadTrace};

/// A query, and who wants its result how fresh.
#[derive(Clone, Copy)]
pub struct ReadRequest<'a> {
    pub access: Access,
    pub query: &'a Query,
    pub consistency: ConsistencyRequirement,
    /// Whether the caller has the result of this id, so that it need not be computed.
    pub client_has: &'a (dyn Fn(&ResultId) -> bool + Sync),
}

/// A result, or the id of one that the caller has, with what is true beside it now.
#[derive(Debug)]
pub struct Answer {
    pub query: ResolvedQuery,
    pub status: ReadStatus,
    pub trace: ReadTrace,
    cached: Arc<CachedResult>,
    key: Key,
}

impl Answer {
    pub fn id(&self) -> &ResultId {
        &self.cached.id
    }

    /// The result. `None` where the caller has it.
    pub fn result(&self) -> Option<&QueryResult> {
        self.cached.encoded.as_ref().map(|encoded| &encoded.result)
    }

    /// The encoding of this name, made by `encode` if nobody wanted it before. `None` where the caller has the result.
    pub fn encoding<E>(
        &self,
        model: &ReadModel,
        name: &'static str,
        encode: impl FnOnce(&QueryResult) -> Result<Vec<u8>, E>,
    ) -> Result<Option<Bytes>, E> {
        let Some(encoded) = &self.cached.encoded else { return Ok(None) };
        let (bytes, is_new) = encoded.encoding(name, encode)?;
        if is_new {
            model.results.reweigh(&self.key, encoded);
        }
        Ok(Some(bytes))
    }
}

impl ReadModel {
    /// The result of a query: from the cache where it holds, else from a snapshot.
    pub async fn read(&self, request: ReadRequest<'_>) -> Result<Answer, ReadError> {
        let request = request.drop_wait_if_unsupported();
        let trace = ReadTrace::begin();
        let head = self.heads.load(request.access.workspace).await;
        let met = head.as_deref().filter(|head| request.consistency.is_satisfied_by(head, self.database.clock.now()));
        let Some(head) = met else {
            // Whoever waits for a position, and where something was ever parked, each reads for itself.
            return Box::pin(self.read_snapshot(request, None, trace)).await;
        };
        let defaults = self.database.defaults.of(&self.database.pool, request.access.workspace, head.epoch).await?;
        let at = QueryDefaults { time_zone: defaults.time_zone, now: self.database.clock.now() };
        let query = request.query.resolve(request.access, at)?;
        let key = Key::new(request.access, &query);
        if let Some((kept, status)) = self.cached(request, &key, head, &trace) {
            return Ok(self.answer(query, key, kept, status, ReadTrace { status: CacheStatus::Hit, ..trace }));
        }
        // Boxed, so that the future of a cache hit stays small.
        Box::pin(self.compute(request, head, defaults, query, key, trace)).await
    }

    /// The answer of one among all who want the same now.
    async fn compute(
        &self,
        request: ReadRequest<'_>,
        head: &ModelHead,
        defaults: WorkspaceDefaults,
        query: ResolvedQuery,
        key: Key,
        mut trace: ReadTrace,
    ) -> Result<Answer, ReadError> {
        if request.consistency.may_need_second_wait() {
            // Nobody else should wait for what only this caller wants.
            return self.read_snapshot(request, Some((query, key)), trace).await;
        }
        let lock = self.results.compute_lock(&key);
        let _turn = if let Ok(turn) = lock.try_lock() {
            turn
        } else {
            trace.is_collapsed = true;
            lock.lock().await
        };
        if let Some((kept, status)) = self.cached(request, &key, head, &trace) {
            return Ok(self.answer(query, key, kept, status, ReadTrace { status: CacheStatus::Hit, ..trace }));
        }
        let now = self.database.clock.now();
        let workspace = request.access.workspace;
        let status = head.status(workspace, now);
        if !request.consistency.is_met_by(&status) {
            // Its turn took so long that the head is too old.
            return self.read_snapshot(request, Some((query, key)), trace).await;
        }
        let at = HeadContext { workspace, head, defaults, now };
        let Some((probe, result)) = self.load_at_head(at, &query.query).await? else {
            return self.read_snapshot(request, Some((query, key)), trace).await;
        };
        trace.has_snapshot();
        let kept = CachedResult {
            stamp: SnapshotStamp::at_head(head, trace.began, now),
            validity: probe.validity,
            status: status.satisfied(request.consistency.wait_s),
            id: query.result_id(request.query.model(), probe.epoch, probe.version),
            encoded: Some(Arc::new(EncodedResult::new(result))),
        };
        Ok(self.store(request, query, key, kept, trace))
    }

    /// Version and result by one statement, which is its own snapshot, where one will do. `None`: the workspace is no
    /// longer at this head, or there is no such thing, or it takes more than one.
    async fn load_at_head(
        &self,
        at: HeadContext<'_>,
        query: &CanonicalQuery,
    ) -> Result<Option<(Probe<()>, QueryResult)>, ReadError> {
        let CanonicalQuery::Campaign(query) = query else { return Ok(None) };
        let found = campaign::load_at_head(&self.campaigns, at, query.campaign_id).await?;
        Ok(found.map(|(probe, result)| (probe, result.map(|campaign| Data::Campaign(Box::new(campaign))))))
    }

    /// The answer from a snapshot; its result from the cache, if that is of the same version.
    async fn read_snapshot(
        &self,
        request: ReadRequest<'_>,
        resolved: Option<(ResolvedQuery, Key)>,
        mut trace: ReadTrace,
    ) -> Result<Answer, ReadError> {
        let mut consistent = self.acquire_snapshot(request).await?;
        trace.has_snapshot();
        let (query, key) = if let Some(resolved) = resolved {
            resolved
        } else {
            let query = request.query.resolve(request.access, consistent.snapshot.query_defaults())?;
            let key = Key::new(request.access, &query);
            (query, key)
        };
        // What is shown may be older than the model head.
        let stamp = SnapshotStamp::of(&consistent.snapshot);
        let Probed { probe, status, id } = Probed::find(request, &query, &mut consistent).await?;
        // What was parked and is applied since changes rows at the same position: only the version tells.
        let validity = if consistent.snapshot.revision.count > 0 { Validity::AlwaysProbe } else { probe.validity };
        let same = self.results.get(&key).filter(|before| before.id == id);
        let mut encoded = same.and_then(|same| same.encoded.clone());
        if encoded.is_some() {
            trace.status = CacheStatus::SameVersion;
        } else if !(request.client_has)(&id) {
            let result = load(&mut consistent.snapshot, &query, probe).await?;
            encoded = Some(Arc::new(EncodedResult::new(result)));
        }
        let kept = CachedResult { stamp, validity, status, id, encoded };
        Ok(self.store(request, query, key, kept, trace))
    }

    /// A snapshot that is as fresh as the caller requires.
    async fn acquire_snapshot(&self, request: ReadRequest<'_>) -> Result<ConsistentSnapshot, ReadError> {
        request.consistency.acquire_snapshot(&self.database, request.access.workspace, &request.query.scope()).await
    }

    /// The cached result, if it holds at the head or was read since the request came, and its status if that is as
    /// fresh as the caller requires: whoever had it read may have required less.
    fn cached(
        &self,
        request: ReadRequest<'_>,
        key: &Key,
        head: &ModelHead,
        trace: &ReadTrace,
    ) -> Option<(Arc<CachedResult>, ReadStatus)> {
        let kept = self.results.get(key)?;
        let now = self.database.clock.now();
        let status = if kept.stamp.after >= trace.began {
            kept.status
        } else if kept.is_valid_at(head, now) {
            ReadStatus { head: head.head, lag: head.lag(now), ..kept.status }
        } else {
            return None;
        };
        let is_there = kept.encoded.is_some() || (request.client_has)(&kept.id);
        let is_there = is_there && request.consistency.is_met_by(&status);
        is_there.then(|| (kept, status.satisfied(request.consistency.wait_s)))
    }

    /// Keeps the answer that was read.
    fn store(
        &self,
        request: ReadRequest<'_>,
        query: ResolvedQuery,
        key: Key,
        kept: CachedResult,
        mut trace: ReadTrace,
    ) -> Answer {
        if (request.client_has)(&kept.id) {
            trace.status = CacheStatus::SameVersion;
        }
        let (status, kept) = (kept.status, Arc::new(kept));
        self.results.insert(key.clone(), Arc::clone(&kept));
        self.answer(query, key, kept, status, trace)
    }

    fn answer(
        &self,
        query: ResolvedQuery,
        key: Key,
        kept: Arc<CachedResult>,
        status: ReadStatus,
        trace: ReadTrace,
    ) -> Answer {
        self.results.count(trace.status);
        Answer { query, status, trace, cached: kept, key }
    }
}

impl ReadRequest<'_> {
    /// The same, without waiting where nobody may wait.
    fn drop_wait_if_unsupported(self) -> Self {
        let consistency = if self.query.may_wait() { self.consistency } else { self.consistency.without_waiting() };
        Self { consistency, ..self }
    }
}

/// What a snapshot says of a result.
struct Probed {
    probe: Probe<Prepared>,
    status: ReadStatus,
    id: ResultId,
}

impl Probed {
    async fn find(
        request: ReadRequest<'_>,
        query: &ResolvedQuery,
        consistent: &mut ConsistentSnapshot,
    ) -> Result<Self, ReadError> {
        let found = probe(consistent, query).await?;
        let status = consistent.status();
        let Some(probe) = found else { return Err(ReadError::NotFound(Box::new(status))) };
        let status = ReadStatus { numbers: probe.numbers, ..status };
        let id = query.result_id(request.query.model(), probe.epoch, probe.version);
        Ok(Self { probe, status, id })
    }
}
