//! The way of every read from request to answer, the same for each resource.
//!
//! 1. Who asks, and for which form ([`Caller`]). What the caller wants of the answer's freshness is read, and how far the
//!    workspace is, which many requests ask at once.
//! 2. If a result of the same query is kept that holds at that tip and at this instant, that is the answer, or the 304.
//! 3. Else one of those who ask the same takes a snapshot and finds out the version of the result ([`Resource::survey`]). The
//!    result itself ([`Resource::result`]) is only computed if nobody has that version: neither the caller nor this process.
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

use crate::answer::{self, Caching, Standing, Tag};
use crate::consistency::{Consistency, Settled};
use crate::defaults::Defaults;
use crate::refusal::Refusal;
use crate::tip::Tip;

pub(crate) use caller::Caller;
pub(crate) use export::{Column, Table};
pub(crate) use params::{Params, params, query_string};
pub(crate) use resource::{Around, AtTip, Contents, Lasting, Resource, Sought, Survey, Told, meta};
pub(crate) use results::Results;
use results::{Kept, Key, Taken};
use trace::{Origin, Trace};

/// One read that a caller asks for.
#[derive(Debug, Clone, Copy)]
struct Read<'a> {
    caller: &'a Caller,
    consistency: Consistency,
}

/// An answer, and what addresses are made of.
#[derive(Debug)]
struct Answered<Q> {
    response: Response,
    query: Q,
    next_cursor: Option<String>,
}

/// What is known of an answer before its result is computed.
struct Surveyed<R: Resource> {
    sought: Sought<R::Query>,
    survey: Survey<R::Ground>,
    standing: Standing,
    tag: Tag,
}

impl<'a> Read<'a> {
    fn new<R: Resource>(caller: &'a Caller, resource: &R) -> Result<Self, Refusal> {
        let asked = resource.params().asked();
        let consistency = Consistency::read(&asked, &caller.headers, caller.principal.workspace)?;
        Ok(Self { caller, consistency: if R::WAITS { consistency } else { consistency.at_once() } })
    }

    /// The answer, from what is kept or from a snapshot.
    async fn answer<R: Resource>(self, resource: &R) -> Result<Answered<R::Query>, Refusal> {
        let trace = Trace::begin();
        let Caller { state, principal, .. } = self.caller;
        let tip = state.tips.ask(principal.workspace).await;
        let met = tip.as_deref().filter(|tip| self.consistency.is_met_by(tip, state.clock.now()));
        let Some(tip) = met else {
            // Whoever waits for a position, and where something was ever parked, each asks for itself.
            return Box::pin(self.read_snapshot(resource, trace)).await;
        };
        let defaults = state.defaults.of(&state.pool, principal.workspace, tip.epoch).await?;
        let around = Around { time_zone: defaults.time_zone, now: state.clock.now() };
        let sought = Sought::new(R::MODEL, principal, resource.query(around)?)?;
        let key = sought.key(R::MODEL, principal);
        if let Some(repeated) = self.kept(&key, tip, &trace) {
            return Ok(self.repeat(sought.query, &repeated, trace));
        }
        // What is rare is on the heap: the way of what is kept would have to make room for all of it.
        Box::pin(self.compute(resource, (tip, defaults), (sought, key), trace)).await
    }

    /// The answer of one among all who ask the same now.
    async fn compute<R: Resource>(
        self,
        resource: &R,
        (tip, defaults): (&Tip, Defaults),
        (sought, key): (Sought<R::Query>, Key),
        mut trace: Trace,
    ) -> Result<Answered<R::Query>, Refusal> {
        let Caller { state, principal, .. } = self.caller;
        if self.consistency.may_wait_again() {
            // Nobody else should wait for what only this caller wants.
            return self.read_snapshot(resource, trace).await;
        }
        let flight = state.results.flight(&key);
        let _turn = if let Ok(turn) = flight.try_lock() {
            turn
        } else {
            trace.collapsed();
            flight.lock().await
        };
        if let Some(repeated) = self.kept(&key, tip, &trace) {
            return Ok(self.repeat(sought.query, &repeated, trace));
        }
        let now = state.clock.now();
        let standing = Standing::at_tip(tip, now);
        if !standing.meets(self.consistency) {
            // Its turn took so long that the tip is too old.
            return self.read_snapshot(resource, trace).await;
        }
        let at = AtTip { state, workspace: principal.workspace, tip, defaults, now };
        let Some((survey, told)) = resource.at_tip(&at, &sought).await? else {
            return self.read_snapshot(resource, trace).await;
        };
        trace.settled();
        let kept = Kept {
            taken: Taken::at(tip, trace.began, now),
            lasting: survey.lasting,
            standing: standing.met(self.consistency),
            tag: sought.tag(R::MODEL, survey.epoch, survey.version),
            body: Some(Bytes::from(told.body)),
            next_cursor: told.next_cursor,
        };
        Ok(self.keep(sought.query, key, kept, trace))
    }

    /// The answer from a snapshot; its result from what is kept, if that is of the same version.
    async fn read_snapshot<R: Resource>(self, resource: &R, mut trace: Trace) -> Result<Answered<R::Query>, Refusal> {
        let Caller { state, principal, .. } = self.caller;
        let mut settled = self.settle(resource).await?;
        trace.settled();
        // What is shown may be older than the tip.
        let taken = Taken::of(&settled.snapshot);
        let Surveyed { sought, survey, standing, tag } = self.survey(resource, &mut settled).await?;
        let key = sought.key(R::MODEL, principal);
        // What was parked and is applied since changes rows at the same position: only the version tells.
        let lasting = if settled.snapshot.revision.count > 0 { Lasting::Unknown } else { survey.lasting };
        let same = state.results.get(&key).filter(|before| before.tag == tag);
        let (mut body, mut next_cursor) =
            same.map(|same| (same.body.clone(), same.next_cursor.clone())).unwrap_or_default();
        if body.is_some() {
            trace.origin = Origin::SameVersion;
        } else if !self.caller.holds(&tag) {
            let told = resource.result(&mut settled.snapshot, &sought, survey).await?;
            (body, next_cursor) = (Some(Bytes::from(told.body)), told.next_cursor);
        }
        let kept = Kept { taken, lasting, standing, tag, body, next_cursor };
        Ok(self.keep(sought.query, key, kept, trace))
    }

    /// A snapshot that is as fresh as the caller wants it.
    async fn settle<R: Resource>(self, resource: &R) -> Result<Settled, Refusal> {
        self.consistency.settle(&self.caller.state, self.caller.principal.workspace, &resource.about()).await
    }

    /// What a snapshot says of a resource.
    async fn survey<R: Resource>(self, resource: &R, settled: &mut Settled) -> Result<Surveyed<R>, Refusal> {
        let around = Around { time_zone: settled.snapshot.time_zone, now: settled.snapshot.now };
        let sought = Sought::new(R::MODEL, &self.caller.principal, resource.query(around)?)?;
        let found = resource.survey(settled, &sought.query).await?;
        let mut standing = Standing::of(settled);
        let Some(survey) = found else { return Err(Refusal::NotFound(Box::new(standing))) };
        if let Some((state, complete_through)) = survey.numbers {
            standing = standing.with_numbers(state, complete_through);
        }
        let tag = sought.tag(R::MODEL, survey.epoch, survey.version);
        Ok(Surveyed { sought, survey, standing, tag })
    }

    /// What is kept of this query, if it holds at the tip or was read since the request came, and is as fresh as the caller wants
    /// it: who had it read may have wanted less.
    fn kept(self, key: &Key, tip: &Tip, trace: &Trace) -> Option<Repeated> {
        let kept = self.caller.state.results.get(key)?;
        let now = self.caller.state.clock.now();
        let standing = if kept.taken.after >= trace.began {
            kept.standing.clone()
        } else if kept.holds_at(tip, now) {
            kept.standing.moved_to(tip, now)
        } else {
            return None;
        };
        let is_there = kept.body.is_some() || self.caller.holds(&kept.tag);
        let is_there = is_there && standing.meets(self.consistency);
        is_there.then(|| Repeated { standing: standing.met(self.consistency), kept })
    }

    /// The answer that is kept.
    fn repeat<Q>(self, query: Q, Repeated { kept, standing }: &Repeated, mut trace: Trace) -> Answered<Q> {
        trace.origin = Origin::Kept;
        self.told(query, kept, standing, &trace)
    }

    /// The answer that was read, and is kept from here on.
    fn keep<Q>(self, query: Q, key: Key, kept: Kept, mut trace: Trace) -> Answered<Q> {
        if self.caller.holds(&kept.tag) {
            trace.origin = Origin::SameVersion;
        }
        let answered = self.told(query, &kept, &kept.standing, &trace);
        self.caller.state.results.keep(key, kept);
        answered
    }

    /// The result, or that the caller has it; and the way that it took.
    fn told<Q>(self, query: Q, kept: &Kept, standing: &Standing, trace: &Trace) -> Answered<Q> {
        self.caller.state.results.count(trace.origin);
        let body = kept.body.as_ref().filter(|_| !self.caller.holds(&kept.tag));
        let mut response = match body {
            Some(body) => answer::ok(&kept.tag, standing, self.caching(), body.clone()),
            None => answer::not_modified(&kept.tag, standing, self.caching()),
        };
        trace.write(response.headers_mut());
        Answered { response, query, next_cursor: body.and(kept.next_cursor.clone()) }
    }

    /// What caches may do with the answer, if it is no file.
    fn caching(self) -> Caching {
        match self.caller.is_conditional {
            true if self.consistency.is_asked_for() => Caching::AskFirst,
            true => Caching::ShowMeanwhile,
            false => Caching::KeepNone,
        }
    }
}

/// A kept result, with what is true beside it now.
struct Repeated {
    kept: Arc<Kept>,
    standing: Standing,
}
