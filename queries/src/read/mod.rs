//! The read of a query, from its request to its result, with the same steps for each query. The crate's documentation
//! describes them.

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
use crate::database::defaults::WorkspaceDefaults;
use crate::database::model_head::{HeadContext, ModelHead};
use crate::error::ReadError;
use crate::probe::{Probe, Validity};
use crate::query::{CanonicalQuery, Data, Prepared, Query, QueryResult, ResolvedQuery, load, probe};
use crate::resolved::ResultId;
use crate::status::ReadStatus;

pub use pages::PageReader;
pub use read_model::ReadModel;
pub use trace::{CacheStatus, ReadTrace};

/// A query of a caller, and how fresh the result must be.
#[derive(Clone, Copy)]
pub struct ReadRequest<'a> {
    pub access: Access,
    pub query: &'a Query,
    pub consistency: ConsistencyRequirement,
    /// Whether the caller has the result with this id, so that it need not be computed.
    pub client_has: &'a (dyn Fn(&ResultId) -> bool + Sync),
}

/// A result, or the id of a result that the caller has, with the present status.
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

    /// The result. `None` if the caller has it.
    pub fn result(&self) -> Option<&QueryResult> {
        self.cached.encoded.as_ref().map(|encoded| &encoded.result)
    }

    /// The encoding of this name, made by `encode` at its first use. `None` if the caller has the result.
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
    /// The result of a query: from the cache if that holds, else from a snapshot.
    pub async fn read(&self, request: ReadRequest<'_>) -> Result<Answer, ReadError> {
        let request = request.drop_wait_if_unsupported();
        let trace = ReadTrace::begin();
        let head = self.load_head(request.access.workspace).await;
        let satisfying =
            head.as_deref().filter(|head| request.consistency.is_satisfied_by(head, self.database.clock.now()));
        let Some(head) = satisfying else {
            // The caller waits for the projection, or something was parked: then each read takes its own snapshot.
            return Box::pin(self.read_snapshot(request, None, trace)).await;
        };
        let (workspace, version) = (request.access.workspace, head.defaults_version());
        request.consistency.check_seen(&self.database, workspace, head).await?;
        let defaults = self.database.defaults.of(&self.database.pool, workspace, version).await?;
        let query = request.query.resolve(request.access, defaults.at(self.database.clock.now()))?;
        let key = Key::new(request.access, &query);
        if let Some((cached, status)) = self.cached(request, &key, head, &trace) {
            return Ok(self.answer(query, key, cached, status, ReadTrace { status: CacheStatus::Hit, ..trace }));
        }
        // Boxed, so that the future of a cache hit stays small.
        Box::pin(self.compute(request, head, defaults, query, key, trace)).await
    }

    /// Computes the answer, as the only one among concurrent requests for the same result.
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
            // Other requests should not wait while this caller does.
            return self.read_snapshot(request, Some((query, key)), trace).await;
        }
        let lock = self.results.compute_lock(&key);
        let _turn = if let Ok(turn) = lock.try_lock() {
            turn
        } else {
            trace.is_collapsed = true;
            lock.lock().await
        };
        if let Some((cached, status)) = self.cached(request, &key, head, &trace) {
            return Ok(self.answer(query, key, cached, status, ReadTrace { status: CacheStatus::Hit, ..trace }));
        }
        let now = self.database.clock.now();
        let workspace = request.access.workspace;
        let status = head.status(workspace, now);
        if !request.consistency.is_met_by(&status) {
            // It waited so long for the lock that the head is too old.
            return self.read_snapshot(request, Some((query, key)), trace).await;
        }
        let at = HeadContext { workspace, head, defaults, now };
        let Some((probe, result)) = self.load_at_head(at, &query.query).await? else {
            return self.read_snapshot(request, Some((query, key)), trace).await;
        };
        trace.has_snapshot();
        let cached = CachedResult {
            stamp: SnapshotStamp::at_head(head, trace.began, now),
            validity: probe.validity,
            status: request.consistency.met(status),
            id: query.result_id(request.query.model(), probe.epoch, probe.version),
            encoded: Some(Arc::new(EncodedResult::new(result))),
        };
        Ok(self.store(request, query, key, cached, trace))
    }

    /// Version and result by one statement, which is its own snapshot, where one will do. `None`: the workspace is no
    /// longer at this head, or there is no such thing, or it takes more than one.
    #[tracing::instrument(level = "debug", name = "load_at_head", skip_all)]
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
        // Midnight may have passed since, and a relative range means other days.
        let resolved = resolved.filter(|(query, _)| query.query.holds_at(consistent.snapshot.now));
        let (query, key) = if let Some(resolved) = resolved {
            resolved
        } else {
            let query = request.query.resolve(request.access, consistent.snapshot.query_defaults())?;
            let key = Key::new(request.access, &query);
            (query, key)
        };
        // The snapshot may be set to an older state by the probe.
        let stamp = SnapshotStamp::of(&consistent.snapshot);
        let Probed { probe, status, id } = Probed::find(request, &query, &mut consistent).await?;
        // A retry of parked events changes rows at the same position: only the version shows it.
        let validity = if consistent.snapshot.revision.count > 0 { Validity::AlwaysProbe } else { probe.validity };
        let same = self.results.get(&key).filter(|cached| cached.id == id);
        let mut encoded = same.and_then(|same| same.encoded.clone());
        if encoded.is_some() {
            trace.status = CacheStatus::SameVersion;
        } else if !(request.client_has)(&id) {
            let result = load(&mut consistent.snapshot, &query, probe).await?;
            encoded = Some(Arc::new(EncodedResult::new(result)));
        }
        let cached = CachedResult { stamp, validity, status, id, encoded };
        Ok(self.store(request, query, key, cached, trace))
    }

    /// The model head of a workspace. `None`: nothing is projected of it, or the head cannot be read.
    #[tracing::instrument(level = "debug", name = "load_head", skip(self))]
    async fn load_head(&self, workspace: i32) -> Option<Arc<ModelHead>> {
        self.heads.load(workspace).await
    }

    /// A snapshot that is as fresh as the caller requires.
    #[tracing::instrument(level = "debug", name = "take_snapshot", skip_all)]
    async fn acquire_snapshot(&self, request: ReadRequest<'_>) -> Result<ConsistentSnapshot, ReadError> {
        request.consistency.acquire_snapshot(&self.database, request.access.workspace, &request.query.scope()).await
    }

    /// The cached result, if it holds at the head or was read after the request arrived. Only if its status meets the
    /// caller's requirement: another caller may have required less.
    fn cached(
        &self,
        request: ReadRequest<'_>,
        key: &Key,
        head: &ModelHead,
        trace: &ReadTrace,
    ) -> Option<(Arc<CachedResult>, ReadStatus)> {
        let cached = self.results.get(key)?;
        let now = self.database.clock.now();
        let status = if cached.stamp.after >= trace.began {
            cached.status
        } else if cached.is_valid_at(head, now) {
            ReadStatus { head: head.head, lag: head.lag(now), ..cached.status }
        } else {
            return None;
        };
        let is_available = cached.encoded.is_some() || (request.client_has)(&cached.id);
        let is_usable = is_available && request.consistency.is_met_by(&status);
        is_usable.then(|| (cached, request.consistency.met(status)))
    }

    /// Caches the result that was read, and answers with it.
    fn store(
        &self,
        request: ReadRequest<'_>,
        query: ResolvedQuery,
        key: Key,
        cached: CachedResult,
        mut trace: ReadTrace,
    ) -> Answer {
        if (request.client_has)(&cached.id) {
            trace.status = CacheStatus::SameVersion;
        }
        let (status, cached) = (cached.status, Arc::new(cached));
        self.results.insert(key.clone(), Arc::clone(&cached));
        self.answer(query, key, cached, status, trace)
    }

    fn answer(
        &self,
        query: ResolvedQuery,
        key: Key,
        cached: Arc<CachedResult>,
        status: ReadStatus,
        trace: ReadTrace,
    ) -> Answer {
        self.results.count(trace.status);
        Answer { query, status, trace, cached, key }
    }
}

impl ReadRequest<'_> {
    /// The same request without a wait, if the query allows none.
    fn drop_wait_if_unsupported(self) -> Self {
        let consistency = if self.query.may_wait() { self.consistency } else { self.consistency.without_waiting() };
        Self { consistency, ..self }
    }
}

/// The probe of a result in a snapshot, with its status and id.
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
