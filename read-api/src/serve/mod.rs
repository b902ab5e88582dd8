//! The way of every read from request to answer, the same for each resource.
//!
//! 1. What the caller wants of the answer's freshness is read, and how far the workspace is, which many requests ask at once.
//! 2. If a result of the same query is kept that holds at that tip and at this instant, that is the answer, or the 304.
//! 3. Else one of those who ask the same takes a snapshot and finds out the version of the result ([`Resource::survey`]). The
//!    result itself ([`Resource::result`]) is only computed if nobody has that version: neither the caller nor this process.
//!
//! So a kept result is never older than the request that it answers.

mod export; // rows as CSV
mod resource; // what distinguishes one endpoint from the next
mod results; // results that this process keeps
mod trace; // what the headers say of the way an answer took

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderMap;
use platform::keys::Principal;

use crate::answer::{self, Standing};
use crate::consistency::{Asked, Consistency};
use crate::refusal::Refusal;
use crate::tip::Tip;
use crate::{ApiState, format};

pub(crate) use export::{Column, Table, export};
pub(crate) use resource::{Around, AtTip, Contents, Lasting, Resource, Sought, Survey, Told, meta};
pub(crate) use results::Results;
use results::{Kept, Key};
use trace::{Origin, Trace};

/// One read that a caller asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read<'a> {
    pub(crate) state: &'a ApiState,
    pub(crate) principal: &'a Principal,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) asked: Asked<'a>,
    /// Whether a result that the caller has need not be told again: 304 is an answer to GET alone (RFC 9110, 13.1.2).
    pub(crate) is_conditional: bool,
}

/// An answer, and what links are made of.
#[derive(Debug)]
pub(crate) struct Answered<Q> {
    pub(crate) response: Response,
    /// `None` where there is no such thing.
    pub(crate) query: Option<Q>,
    pub(crate) next_cursor: Option<String>,
}

impl Read<'_> {
    /// The answer, from what is kept or from a snapshot.
    pub(crate) async fn answer<R: Resource>(&self, resource: &R) -> Result<Answered<R::Query>, Refusal> {
        let mut trace = Trace::begin();
        format::require_json(self.headers)?;
        let (state, workspace) = (self.state, self.principal.workspace);
        let consistency = Consistency::read(self.asked, self.headers, workspace)?;
        let consistency = if R::WAITS { consistency } else { consistency.at_once() };
        let tip = state.tips.latest(workspace).await;
        let met = tip.as_deref().filter(|tip| consistency.is_met_by(tip, state.clock.now()));
        let Some(tip) = met else {
            // Whoever waits for a position, and where something was ever parked, each asks for itself.
            return self.survey(resource, consistency, trace).await;
        };
        let around = Around { time_zone: tip.time_zone, now: state.clock.now() };
        let sought = Sought::new(R::MODEL, self.principal, resource.query(around)?)?;
        let key = sought.key(R::MODEL, self.principal);
        if let Some(kept) = self.kept(&key, tip, consistency, &trace) {
            return Ok(self.repeat(sought.query, kept, trace));
        }
        if consistency.may_wait_again() {
            // Nobody else should wait for what only this caller wants.
            return self.survey(resource, consistency, trace).await;
        }
        let flight = state.results.flight(&key);
        let _turn = if let Ok(turn) = flight.try_lock() {
            turn
        } else {
            trace.collapsed();
            flight.lock().await
        };
        if let Some(kept) = self.kept(&key, tip, consistency, &trace) {
            return Ok(self.repeat(sought.query, kept, trace));
        }
        let at = AtTip { pool: &state.pool, workspace, tip, now: around.now };
        let Some((survey, told)) = resource.at_tip(&at, &sought).await? else {
            return self.survey(resource, consistency, trace).await;
        };
        trace.settled();
        let mut kept = Kept {
            epoch: tip.epoch,
            applied: tip.applied,
            retained_at: tip.retained_at,
            taken_after: trace.began,
            now: around.now,
            lasting: survey.lasting,
            standing: Standing::new(workspace, tip, around.now).met(consistency),
            tag: sought.tag(R::MODEL, survey.epoch, survey.version),
            body: None,
            next_cursor: told.next_cursor,
        };
        let body = Bytes::from(told.body);
        let is_held = self.is_conditional && kept.tag.is_held_by(self.headers);
        if is_held {
            trace.origin = Origin::SameVersion;
        }
        kept.body = Some(body.clone());
        state.results.count(trace.origin);
        let mut response = if is_held {
            answer::not_modified(&kept.tag, &kept.standing)
        } else {
            answer::ok(&kept.tag, &kept.standing, body)
        };
        trace.write(response.headers_mut());
        let next_cursor = kept.next_cursor.clone().filter(|_| !is_held);
        state.results.keep(key, kept);
        Ok(Answered { response, query: Some(sought.query), next_cursor })
    }

    /// What is kept of this query, if it holds at the tip, or was read since the request came.
    fn kept(&self, key: &Key, tip: &Tip, consistency: Consistency, trace: &Trace) -> Option<Repeated> {
        let kept = self.state.results.get(key)?;
        let now = self.state.clock.now();
        let standing = if kept.taken_after >= trace.began {
            kept.standing
        } else if kept.holds_at(tip, now) {
            kept.standing.at(tip, now)
        } else {
            return None;
        };
        let is_held = self.is_conditional && kept.tag.is_held_by(self.headers);
        (is_held || kept.body.is_some()).then(|| Repeated { standing: standing.met(consistency), is_held, kept })
    }

    fn repeat<Q>(&self, query: Q, repeated: Repeated, mut trace: Trace) -> Answered<Q> {
        let Repeated { kept, standing, is_held } = repeated;
        trace.origin = Origin::Kept;
        self.state.results.count(trace.origin);
        let body = kept.body.as_ref().filter(|_| !is_held);
        let mut response = match body {
            Some(body) => answer::ok(&kept.tag, &standing, body.clone()),
            None => answer::not_modified(&kept.tag, &standing),
        };
        trace.write(response.headers_mut());
        let next_cursor = body.and(kept.next_cursor.clone());
        Answered { response, query: Some(query), next_cursor }
    }

    /// The answer from a snapshot; its result from what is kept, if that is of the same version.
    async fn survey<R: Resource>(
        &self,
        resource: &R,
        consistency: Consistency,
        mut trace: Trace,
    ) -> Result<Answered<R::Query>, Refusal> {
        let (state, workspace) = (self.state, self.principal.workspace);
        let mut settled = consistency.settle(state, workspace, &resource.about()).await?;
        trace.settled();
        let around = Around { time_zone: settled.snapshot.time_zone, now: settled.snapshot.now };
        let sought = Sought::new(R::MODEL, self.principal, resource.query(around)?)?;
        // What is shown may be older than the tip.
        let (applied, epoch) = (settled.snapshot.applied, settled.snapshot.epoch);
        let Some(survey) = resource.survey(&mut settled, &sought.query).await? else {
            let mut response = Refusal::NotFound.into_response();
            Standing::of(&settled).write(response.headers_mut());
            return Ok(Answered { response, query: None, next_cursor: None });
        };
        let mut standing = Standing::of(&settled);
        if let Some((state, complete_through)) = survey.numbers {
            standing = standing.with_numbers(state, complete_through);
        }
        let tag = sought.tag(R::MODEL, survey.epoch, survey.version);
        let key = sought.key(R::MODEL, self.principal);
        let mut kept = Kept {
            epoch,
            applied,
            retained_at: settled.snapshot.retained_at,
            taken_after: settled.snapshot.taken_after,
            now: settled.snapshot.now,
            lasting: survey.lasting,
            standing,
            tag,
            body: None,
            next_cursor: None,
        };
        // What was parked and is applied since changes rows at the same position: only the version tells.
        if settled.snapshot.revision.count > 0 {
            kept.lasting = Lasting::Unknown;
        }
        if let Some(before) = state.results.get(&key).filter(|before| before.tag == kept.tag) {
            (kept.body, kept.next_cursor) = (before.body.clone(), before.next_cursor.clone());
        }
        if self.is_conditional && kept.tag.is_held_by(self.headers) {
            trace.origin = Origin::SameVersion;
            state.results.count(trace.origin);
            let mut response = answer::not_modified(&kept.tag, &kept.standing);
            trace.write(response.headers_mut());
            state.results.keep(key, kept);
            return Ok(Answered { response, query: Some(sought.query), next_cursor: None });
        }
        let body = if let Some(body) = kept.body.clone() {
            trace.origin = Origin::SameVersion;
            body
        } else {
            let told = resource.result(&mut settled.snapshot, &sought, survey).await?;
            kept.next_cursor = told.next_cursor;
            kept.body.insert(Bytes::from(told.body)).clone()
        };
        state.results.count(trace.origin);
        let mut response = answer::ok(&kept.tag, &kept.standing, body);
        trace.write(response.headers_mut());
        let next_cursor = kept.next_cursor.clone();
        state.results.keep(key, kept);
        Ok(Answered { response, query: Some(sought.query), next_cursor })
    }
}

/// A kept result, with what is true beside it now.
struct Repeated {
    kept: Arc<Kept>,
    standing: Standing,
    /// Whether the caller has it, too.
    is_held: bool,
}
