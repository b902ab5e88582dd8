//! The way of every read from request to answer, the same for each resource.
//!
//! 1. Who asks, and for which form ([`ReadContext`]). What the caller wants of the answer's freshness is read, and how far the
//!    workspace is, which many requests ask at once.
//! 2. If a result of the same query is kept that holds at that tip and at this instant, that is the answer, or the 304.
//! 3. Else one of those who ask the same takes a snapshot and finds out the version of the result ([`Resource::probe`]). The
//!    result itself ([`Resource::render`]) is only computed if nobody has that version: neither the caller nor this process.
//!
//! So a kept result is never older than the request that it answers. A file ([`Table`]) takes a snapshot of its own, and is not
//! kept.

mod caller; // who asks
mod export; // rows as CSV
mod params; // the parameters that reads have in common
mod resource; // what distinguishes one endpoint from the next
mod results; // results that this process keeps
mod trace; // what the headers say of the way an answer took

use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;

use crate::consistency::{ConsistencyRequirement, ConsistentSnapshot};
use crate::defaults::WorkspaceDefaults;
use crate::error::ReadError;
use crate::model_head::ModelHead;
use crate::response::{self, CachePolicy, ETag, FreshnessHeaders};

pub(crate) use caller::ReadContext;
pub(crate) use export::{Column, Table};
pub(crate) use params::{Params, params, query_string};
pub(crate) use resource::{
    HeadContext, QueryDefaults, Rendered, ResolvedQuery, Resource, ResponseParts, Validity, VersionProbe, meta,
};
pub(crate) use results::ResultCache;
use results::{CachedResult, Key, SnapshotStamp};
use trace::{CacheStatus, RequestTiming};

/// One read that a caller asks for.
#[derive(Debug, Clone, Copy)]
struct ReadRequest<'a> {
    caller: &'a ReadContext,
    consistency: ConsistencyRequirement,
}

/// An answer, and what addresses are made of.
#[derive(Debug)]
struct ReadResponse<Q> {
    response: Response,
    query: Q,
    next_cursor: Option<String>,
}

/// What is known of an answer before its result is computed.
struct ProbedResult<R: Resource> {
    sought: ResolvedQuery<R::Query>,
    survey: VersionProbe<R::Prepared>,
    standing: FreshnessHeaders,
    tag: ETag,
}

impl<'a> ReadRequest<'a> {
    fn new<R: Resource>(caller: &'a ReadContext, resource: &R) -> Result<Self, ReadError> {
        let asked = resource.params().consistency();
        let consistency = ConsistencyRequirement::read(&asked, &caller.headers, caller.principal.workspace)?;
        Ok(Self { caller, consistency: if R::WAITS { consistency } else { consistency.without_waiting() } })
    }

    /// The answer, from what is kept or from a snapshot.
    async fn answer<R: Resource>(self, resource: &R) -> Result<ReadResponse<R::Query>, ReadError> {
        let trace = RequestTiming::begin();
        let ReadContext { state, principal, .. } = self.caller;
        let tip = state.tips.load(principal.workspace).await;
        let met = tip.as_deref().filter(|tip| self.consistency.is_satisfied_by(tip, state.clock.now()));
        let Some(tip) = met else {
            // Whoever waits for a position, and where something was ever parked, each asks for itself.
            return Box::pin(self.read_snapshot(resource, trace)).await;
        };
        let defaults = state.defaults.of(&state.pool, principal.workspace, tip.epoch).await?;
        let around = QueryDefaults { time_zone: defaults.time_zone, now: state.clock.now() };
        let sought = ResolvedQuery::new(R::MODEL, principal, resource.query(around)?)?;
        let key = sought.key(R::MODEL, principal);
        if let Some(repeated) = self.cached(&key, tip, &trace) {
            return Ok(self.respond_from_cache(sought.query, &repeated, trace));
        }
        // What is rare is on the heap: the way of what is kept would have to make room for all of it.
        Box::pin(self.compute(resource, (tip, defaults), (sought, key), trace)).await
    }

    /// The answer of one among all who ask the same now.
    async fn compute<R: Resource>(
        self,
        resource: &R,
        (tip, defaults): (&ModelHead, WorkspaceDefaults),
        (sought, key): (ResolvedQuery<R::Query>, Key),
        mut trace: RequestTiming,
    ) -> Result<ReadResponse<R::Query>, ReadError> {
        let ReadContext { state, principal, .. } = self.caller;
        if self.consistency.may_need_second_wait() {
            // Nobody else should wait for what only this caller wants.
            return self.read_snapshot(resource, trace).await;
        }
        let flight = state.results.compute_lock(&key);
        let _turn = if let Ok(turn) = flight.try_lock() {
            turn
        } else {
            trace.collapsed();
            flight.lock().await
        };
        if let Some(repeated) = self.cached(&key, tip, &trace) {
            return Ok(self.respond_from_cache(sought.query, &repeated, trace));
        }
        let now = state.clock.now();
        let standing = FreshnessHeaders::at_tip(tip, now);
        if !standing.meets(self.consistency) {
            // Its turn took so long that the tip is too old.
            return self.read_snapshot(resource, trace).await;
        }
        let at = HeadContext { state, workspace: principal.workspace, tip, defaults, now };
        let Some((survey, told)) = resource.render_at_head(&at, &sought).await? else {
            return self.read_snapshot(resource, trace).await;
        };
        trace.settled();
        let kept = CachedResult {
            taken: SnapshotStamp::at(tip, trace.began, now),
            lasting: survey.lasting,
            standing: standing.satisfied_for(self.consistency),
            tag: sought.tag(R::MODEL, survey.epoch, survey.version),
            body: Some(Bytes::from(told.body)),
            next_cursor: told.next_cursor,
        };
        Ok(self.store(sought.query, key, kept, trace))
    }

    /// The answer from a snapshot; its result from what is kept, if that is of the same version.
    async fn read_snapshot<R: Resource>(
        self,
        resource: &R,
        mut trace: RequestTiming,
    ) -> Result<ReadResponse<R::Query>, ReadError> {
        let ReadContext { state, principal, .. } = self.caller;
        let mut settled = self.settle(resource).await?;
        trace.settled();
        // What is shown may be older than the tip.
        let taken = SnapshotStamp::of(&settled.snapshot);
        let ProbedResult { sought, survey, standing, tag } = self.probe(resource, &mut settled).await?;
        let key = sought.key(R::MODEL, principal);
        // What was parked and is applied since changes rows at the same position: only the version tells.
        let lasting = if settled.snapshot.revision.count > 0 { Validity::Unknown } else { survey.lasting };
        let same = state.results.get(&key).filter(|before| before.tag == tag);
        let (mut body, mut next_cursor) =
            same.map(|same| (same.body.clone(), same.next_cursor.clone())).unwrap_or_default();
        if body.is_some() {
            trace.origin = CacheStatus::SameVersion;
        } else if !self.caller.has_etag(&tag) {
            let told = resource.render(&mut settled.snapshot, &sought, survey).await?;
            (body, next_cursor) = (Some(Bytes::from(told.body)), told.next_cursor);
        }
        let kept = CachedResult { taken, lasting, standing, tag, body, next_cursor };
        Ok(self.store(sought.query, key, kept, trace))
    }

    /// A snapshot that is as fresh as the caller wants it.
    async fn settle<R: Resource>(self, resource: &R) -> Result<ConsistentSnapshot, ReadError> {
        self.consistency.acquire_snapshot(&self.caller.state, self.caller.principal.workspace, &resource.scope()).await
    }

    /// What a snapshot says of a resource.
    async fn probe<R: Resource>(
        self,
        resource: &R,
        settled: &mut ConsistentSnapshot,
    ) -> Result<ProbedResult<R>, ReadError> {
        let around = QueryDefaults { time_zone: settled.snapshot.time_zone, now: settled.snapshot.now };
        let sought = ResolvedQuery::new(R::MODEL, &self.caller.principal, resource.query(around)?)?;
        let found = resource.probe(settled, &sought.query).await?;
        let mut standing = FreshnessHeaders::of(settled);
        let Some(survey) = found else { return Err(ReadError::NotFound(Box::new(standing))) };
        if let Some((state, complete_through)) = survey.numbers {
            standing = standing.with_numbers(state, complete_through);
        }
        let tag = sought.tag(R::MODEL, survey.epoch, survey.version);
        Ok(ProbedResult { sought, survey, standing, tag })
    }

    /// What is kept of this query, if it holds at the tip or was read since the request came, and is as fresh as the caller wants
    /// it: who had it read may have wanted less.
    fn cached(self, key: &Key, tip: &ModelHead, trace: &RequestTiming) -> Option<CacheHit> {
        let kept = self.caller.state.results.get(key)?;
        let now = self.caller.state.clock.now();
        let standing = if kept.taken.after >= trace.began {
            kept.standing.clone()
        } else if kept.is_valid_at(tip, now) {
            kept.standing.at_position(tip, now)
        } else {
            return None;
        };
        let is_there = kept.body.is_some() || self.caller.has_etag(&kept.tag);
        let is_there = is_there && standing.meets(self.consistency);
        is_there.then(|| CacheHit { standing: standing.satisfied_for(self.consistency), kept })
    }

    /// The answer that is kept.
    fn respond_from_cache<Q>(
        self,
        query: Q,
        CacheHit { kept, standing }: &CacheHit,
        mut trace: RequestTiming,
    ) -> ReadResponse<Q> {
        trace.origin = CacheStatus::Kept;
        self.respond(query, kept, standing, &trace)
    }

    /// The answer that was read, and is kept from here on.
    fn store<Q>(self, query: Q, key: Key, kept: CachedResult, mut trace: RequestTiming) -> ReadResponse<Q> {
        if self.caller.has_etag(&kept.tag) {
            trace.origin = CacheStatus::SameVersion;
        }
        let answered = self.respond(query, &kept, &kept.standing, &trace);
        self.caller.state.results.insert(key, kept);
        answered
    }

    /// The result, or that the caller has it; and the way that it took.
    fn respond<Q>(
        self,
        query: Q,
        kept: &CachedResult,
        standing: &FreshnessHeaders,
        trace: &RequestTiming,
    ) -> ReadResponse<Q> {
        self.caller.state.results.count(trace.origin);
        let body = kept.body.as_ref().filter(|_| !self.caller.has_etag(&kept.tag));
        let mut response = match body {
            Some(body) => response::ok(&kept.tag, standing, self.caching(), body.clone()),
            None => response::not_modified(&kept.tag, standing, self.caching()),
        };
        trace.write(response.headers_mut());
        ReadResponse { response, query, next_cursor: body.and(kept.next_cursor.clone()) }
    }

    /// What caches may do with the answer, if it is no file.
    fn caching(self) -> CachePolicy {
        match self.caller.is_conditional {
            true if self.consistency.is_asked_for() => CachePolicy::NoCache,
            true => CachePolicy::StaleWhileRevalidate,
            false => CachePolicy::NoStore,
        }
    }
}

/// A kept result, with what is true beside it now.
struct CacheHit {
    kept: Arc<CachedResult>,
    standing: FreshnessHeaders,
}
