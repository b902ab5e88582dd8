//! Probes: what is known about a result before it is computed. `load` computes the result from there.

use chrono::{DateTime, Utc};
use domain::freshness::Finality;

use crate::consistency::ConsistentSnapshot;
use crate::error::ReadError;
use crate::query::{CanonicalQuery, ResolvedQuery};
use crate::result::QueryResult;
use crate::snapshot::Snapshot;
use crate::version::Version;
use crate::{activity, campaign, campaigns, corrections, dashboard, leaderboard, pacing, report};

/// What is known of a result before it is computed.
#[derive(Debug)]
pub struct Probe<P = Prepared> {
    /// The epoch that it is read from.
    pub epoch: i32,
    pub version: Version,
    pub validity: Validity,
    /// How settled its numbers are, and through when they are complete, if it has numbers.
    pub numbers: Option<(Finality, Option<DateTime<Utc>>)>,
    pub(crate) prepared: P,
}

/// How long a version holds if nothing happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Until the clock changes something; `None`: the clock never does.
    Until(Option<DateTime<Utc>>),
    /// It also depends on what the model head does not say.
    AlwaysProbe,
}

/// What a probe found out that the result goes on from, by the kind of the query.
#[derive(Debug)]
pub enum Prepared {
    Campaigns(campaigns::NamedSources),
    Campaign(campaign::CampaignRow),
    Activity,
    Corrections(corrections::CorrectionsRange),
    Pacing(Box<pacing::PacingInputs>),
    Report(Box<report::ReportContext>),
    Dashboard(dashboard::DashboardContexts),
    Leaderboard(Box<leaderboard::LeaderboardInputs>),
}

impl<P> Probe<P> {
    pub(crate) fn map<Q>(self, prepared: impl FnOnce(P) -> Q) -> Probe<Q> {
        let Self { epoch, version, validity, numbers, prepared: from } = self;
        Probe { epoch, version, validity, numbers, prepared: prepared(from) }
    }
}

/// Finds out the version of a result in a snapshot, and how long it holds. Several queries may be probed in one snapshot.
/// `None`: there is no such thing.
pub async fn probe(consistent: &mut ConsistentSnapshot, query: &ResolvedQuery) -> Result<Option<Probe>, ReadError> {
    let snapshot = &mut consistent.snapshot;
    Ok(match &query.query {
        CanonicalQuery::Campaigns(query) => Some(campaigns::probe(snapshot, query).await?.map(Prepared::Campaigns)),
        CanonicalQuery::Campaign(query) => {
            campaign::probe(snapshot, query.campaign_id).await?.map(|probe| probe.map(Prepared::Campaign))
        }
        CanonicalQuery::Activity(query) => {
            activity::probe(snapshot, query.campaign_id).await?.map(|probe| probe.map(|()| Prepared::Activity))
        }
        CanonicalQuery::Corrections(query) => {
            corrections::probe(snapshot, query).await?.map(|probe| probe.map(Prepared::Corrections))
        }
        CanonicalQuery::Pacing(query) => {
            let found = pacing::probe(snapshot, query.campaign_id).await?;
            found.map(|probe| probe.map(|inputs| Prepared::Pacing(Box::new(inputs))))
        }
        CanonicalQuery::Report { query, campaign } => {
            let found = report::probe(snapshot, query, *campaign).await?;
            found.map(|probe| probe.map(|context| Prepared::Report(Box::new(context))))
        }
        CanonicalQuery::Dashboard(query) => Some(dashboard::probe(snapshot, query).await?.map(Prepared::Dashboard)),
        CanonicalQuery::Leaderboard(query) => {
            let found = leaderboard::probe(consistent, query).await?;
            Some(found.map(|inputs| Prepared::Leaderboard(Box::new(inputs))))
        }
    })
}

/// Computes the result of a query that was probed in this snapshot.
pub async fn load(snapshot: &mut Snapshot, query: &ResolvedQuery, probe: Probe) -> Result<QueryResult, ReadError> {
    let Probe { version, prepared, .. } = probe;
    match (&query.query, prepared) {
        (CanonicalQuery::Campaigns(canonical), Prepared::Campaigns(named)) => {
            campaigns::load(snapshot, canonical, query.page(snapshot.epoch)?, version, named).await
        }
        (CanonicalQuery::Campaign(canonical), Prepared::Campaign(row)) => {
            campaign::load(snapshot, canonical.campaign_id, version, row)
        }
        (CanonicalQuery::Activity(canonical), Prepared::Activity) => {
            activity::load(snapshot, canonical.campaign_id, query.page(snapshot.epoch)?, version).await
        }
        (CanonicalQuery::Corrections(canonical), Prepared::Corrections(range)) => {
            corrections::load(snapshot, canonical, query.page(snapshot.epoch)?, version, range).await
        }
        (CanonicalQuery::Pacing(canonical), Prepared::Pacing(inputs)) => {
            pacing::load(snapshot, canonical.campaign_id, version, *inputs).await
        }
        (CanonicalQuery::Report { query: canonical, .. }, Prepared::Report(context)) => {
            report::load(&context, snapshot, canonical, query.page(snapshot.epoch)?).await
        }
        (CanonicalQuery::Dashboard(canonical), Prepared::Dashboard(contexts)) => {
            dashboard::load(snapshot, canonical, version, contexts).await
        }
        (CanonicalQuery::Leaderboard(canonical), Prepared::Leaderboard(inputs)) => {
            leaderboard::load(snapshot, canonical, query, version, *inputs).await
        }
        // Each variant by name, so that one without a `load` above does not compile.
        (
            CanonicalQuery::Campaigns(_)
            | CanonicalQuery::Campaign(_)
            | CanonicalQuery::Activity(_)
            | CanonicalQuery::Corrections(_)
            | CanonicalQuery::Pacing(_)
            | CanonicalQuery::Report { .. }
            | CanonicalQuery::Dashboard(_)
            | CanonicalQuery::Leaderboard(_),
            _,
        ) => Err(ReadError::corrupt("the probe is of another kind of query")),
    }
}
