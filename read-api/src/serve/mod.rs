//! The way of every read from request to answer, the same for each resource.
//!
//! 1. What the caller wants of the answer's freshness is read, and how far the workspace is, which many requests ask at once.
//! 2. If a result of the same query is kept that holds at that tip and at this instant, that is the answer, or the 304.
//! 3. Else one of those who ask the same takes a snapshot and finds out the version of the result ([`Resource::survey`]). The
//!    result itself ([`Resource::result`]) is only computed if nobody has that version: neither the caller nor this process.
//!
//! So a kept result is never older than the request that it answers.

mod results; // results that this process keeps
mod trace; // what the headers say of the way an answer took

use std::future::Future;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::freshness::State;
use domain::zone::Zone;
use http::HeaderMap;
use platform::keys::Principal;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::ApiState;
use crate::answer::{self, Canonical, Envelope, Meta, Page, Standing, Tag, Warning};
use crate::consistency::{Asked, Consistency, Settled};
use crate::parked::About;
use crate::refusal::Refusal;
use crate::report::query::Paging;
use crate::snapshot::Snapshot;
use crate::sources::Freshness;
use crate::tip::Tip;
use crate::version::Version;

pub(crate) use results::Results;
use results::{Kept, Key};
use trace::{Origin, Trace};

/// Something that can be read: what distinguishes one endpoint from the next.
pub(crate) trait Resource: Sync {
    /// The model that it is read from, as answers name it.
    const MODEL: &'static str;
    /// Whether a caller may wait until the projection has come far enough.
    const WAITS: bool = true;
    /// What was asked, in its canonical form.
    type Query: Serialize + Send + Sync;
    /// What the version of a result follows from, for the result to go on from.
    type Ground: Send;

    /// What the answer is about, as far as it is known before anything is read.
    fn about(&self) -> About;

    /// The canonical query, with what was left unsaid, and which page of it.
    fn query(&self, around: Around) -> Result<(Self::Query, Option<Paging>), Refusal>;

    /// The version of the result, and what it follows from. `None`: there is no such thing.
    fn survey(
        &self,
        settled: &mut Settled,
        query: &Self::Query,
    ) -> impl Future<Output = Result<Option<Survey<Self::Ground>>, Refusal>> + Send;

    /// The result.
    fn result(
        &self,
        snapshot: &mut Snapshot,
        sought: &Sought<Self::Query>,
        survey: Survey<Self::Ground>,
    ) -> impl Future<Output = Result<Told, Refusal>> + Send;
}

/// What fills in what a request leaves unsaid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around {
    pub(crate) time_zone: Zone,
    pub(crate) now: DateTime<Utc>,
}

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

/// A canonical query, and the page of it that is wanted.
#[derive(Debug)]
pub(crate) struct Sought<Q> {
    pub(crate) query: Q,
    pub(crate) paging: Option<Paging>,
    canonical: Canonical,
}

/// What is known of a result before it is computed.
#[derive(Debug)]
pub(crate) struct Survey<G> {
    /// The epoch that it is read from.
    pub(crate) epoch: i32,
    pub(crate) version: Version,
    pub(crate) lasting: Lasting,
    /// How settled its numbers are, and through when they are complete.
    pub(crate) numbers: Option<(State, Option<DateTime<Utc>>)>,
    pub(crate) ground: G,
}

/// How long a version holds if nothing happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// Until the clock changes something; `None`: the clock never does.
    Until(Option<DateTime<Utc>>),
    /// It also depends on what the tip does not tell.
    Unknown,
}

/// A result.
#[derive(Debug)]
pub(crate) struct Told {
    body: Vec<u8>,
    /// The cursor behind its last row.
    next_cursor: Option<String>,
}

/// What an envelope holds beside what follows from the query.
#[derive(Debug)]
pub(crate) struct Contents<T> {
    pub(crate) data: T,
    /// The cursor behind the last row, of what has pages.
    pub(crate) next_cursor: Option<String>,
    /// The zone that its days and hours are cut in.
    pub(crate) time_zone: Zone,
    pub(crate) freshness: Option<Freshness>,
    pub(crate) warnings: Vec<Warning>,
}

/// An answer, and what links are made of.
#[derive(Debug)]
pub(crate) struct Answered<Q> {
    pub(crate) response: Response,
    /// `None` where there is no such thing.
    pub(crate) query: Option<Q>,
    pub(crate) next_cursor: Option<String>,
}

/// The canonical query as answers repeat it.
#[derive(Serialize)]
struct Echo<'a, Q> {
    #[serde(flatten)]
    query: &'a Q,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
}

impl<Q: Serialize> Sought<Q> {
    pub(crate) fn new(
        model: &str,
        principal: &Principal,
        (query, paging): (Q, Option<Paging>),
    ) -> Result<Self, Refusal> {
        let canonical = Canonical::new(model, principal, &query)?;
        Ok(Self { query, paging, canonical })
    }

    /// What its cursors are bound to.
    pub(crate) fn hash(&self) -> &str {
        &self.canonical.hash
    }

    fn tag(&self, model: &str, epoch: i32, version: Version) -> Tag {
        match &self.paging {
            None => Tag::new(model, epoch, version, self.hash()),
            Some(paging) => {
                let page = self.canonical.page_hash(paging.limit, paging.cursor.as_deref());
                Tag::new(model, epoch, version, &page)
            }
        }
    }

    fn key(&self, model: &'static str, principal: &Principal) -> Key {
        Key::new(principal.workspace, model, &self.canonical, self.paging.as_ref())
    }

    /// The query as the answer repeats it.
    pub(crate) fn echo(&self) -> Result<Box<RawValue>, Refusal> {
        let limit = self.paging.as_ref().map(|paging| paging.limit);
        to_raw_value(&Echo { query: &self.query, limit }).map_err(Refusal::corrupt)
    }

    /// The result in the envelope that all share.
    pub(crate) fn told<R: Resource<Query = Q>, T: Serialize>(
        &self,
        snapshot: &Snapshot,
        version: Version,
        contents: Contents<T>,
    ) -> Result<Told, Refusal> {
        let Contents { data, next_cursor, time_zone, freshness, warnings } = contents;
        let echo = self.echo()?;
        let page = self.paging.is_some().then(|| Page { next_cursor: next_cursor.clone() });
        let meta = Meta { freshness, warnings, ..meta::<R>(snapshot, version, time_zone, &echo) };
        Told::new(&Envelope { data, page, meta }, next_cursor)
    }
}

/// What an answer says of its data, whatever that is. `echo`: the query as the answer repeats it.
pub(crate) fn meta<'a, R: Resource>(
    snapshot: &Snapshot,
    version: Version,
    time_zone: Zone,
    echo: &'a RawValue,
) -> Meta<'a> {
    Meta {
        model: R::MODEL,
        epoch: snapshot.epoch,
        version: version.to_string(),
        time_zone: time_zone.name(),
        currency: snapshot.currency,
        query: echo,
        freshness: None,
        compared: None,
        warnings: Vec::new(),
    }
}

impl Told {
    pub(crate) fn written(body: Vec<u8>, next_cursor: Option<String>) -> Self {
        Self { body, next_cursor }
    }

    pub(crate) fn new(body: &impl Serialize, next_cursor: Option<String>) -> Result<Self, Refusal> {
        Ok(Self { body: serde_json::to_vec(body).map_err(Refusal::corrupt)?, next_cursor })
    }
}

impl Read<'_> {
    /// The answer, from what is kept or from a snapshot.
    pub(crate) async fn answer<R: Resource>(&self, resource: &R) -> Result<Answered<R::Query>, Refusal> {
        let mut trace = Trace::begin();
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
        self.survey(resource, consistency, trace).await
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
