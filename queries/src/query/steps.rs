//! The steps of a read that depend on the kind of the query: its probe, and the computation of its result.

use super::{CanonicalQuery, Data, QueryResult, ResolvedQuery};
use crate::consistency::ConsistentSnapshot;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::probe::Probe;
use crate::{activity, campaign, campaigns, corrections, dashboard, leaderboard, pacing, report, workspace};

/// What a probe has loaded for the computation of the result, by the kind of the query.
#[derive(Debug)]
pub(crate) enum Prepared {
    Campaigns(campaigns::NamedSources),
    Campaign(campaign::CampaignRow),
    Activity,
    Corrections(corrections::CorrectionsRange),
    Pacing(Box<pacing::PacingInputs>),
    PacingList(Box<pacing::PacingListInputs>),
    Report(Box<report::ReportContext>),
    Dashboard(dashboard::DashboardContexts),
    Leaderboard(Box<leaderboard::LeaderboardInputs>),
    Workspace(workspace::LimitMicros),
}

/// Computes the version of a result in a snapshot, and how long it holds. `None`: the resource does not exist.
#[tracing::instrument(level = "debug", name = "probe_version", skip_all)]
pub(crate) async fn probe(
    consistent: &mut ConsistentSnapshot,
    query: &ResolvedQuery,
) -> Result<Option<Probe<Prepared>>, ReadError> {
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
            let found = pacing::single::probe(snapshot, query.campaign_id).await?;
            found.map(|probe| probe.map(|inputs| Prepared::Pacing(Box::new(inputs))))
        }
        CanonicalQuery::PacingList(_) => {
            Some(pacing::list::probe(snapshot).await?.map(|inputs| Prepared::PacingList(Box::new(inputs))))
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
        CanonicalQuery::Workspace(_) => workspace::probe(snapshot).await?.map(|probe| probe.map(Prepared::Workspace)),
    })
}

/// Computes the result of a query that was probed in this snapshot.
#[tracing::instrument(level = "debug", name = "load_result", skip_all, fields(epoch = probe.epoch))]
pub(crate) async fn load(
    snapshot: &mut Snapshot,
    query: &ResolvedQuery,
    probe: Probe<Prepared>,
) -> Result<QueryResult, ReadError> {
    let Probe { epoch, version, prepared, .. } = probe;
    let page = || query.page(epoch, version);
    let mut moved = None;
    if query.paging.is_some() {
        let page = page()?;
        if let Some(event) = page.first_page_event()? {
            event.check(snapshot.recorded_at(event.position).await?)?;
        }
        moved = page.moved();
    }
    let result = match (&query.query, prepared) {
        (CanonicalQuery::Campaigns(query), Prepared::Campaigns(named)) => {
            campaigns::load(snapshot, query, page()?, version, named).await?.map(Data::Campaigns)
        }
        (CanonicalQuery::Campaign(query), Prepared::Campaign(row)) => {
            campaign::load(snapshot, query.campaign_id, version, row)?
                .map(|campaign| Data::Campaign(Box::new(campaign)))
        }
        (CanonicalQuery::Activity(query), Prepared::Activity) => {
            activity::load(snapshot, query.campaign_id, page()?, version).await?.map(Data::Activity)
        }
        (CanonicalQuery::Corrections(query), Prepared::Corrections(range)) => {
            corrections::load(snapshot, query, page()?, version, range).await?.map(Data::Corrections)
        }
        (CanonicalQuery::Pacing(_), Prepared::Pacing(inputs)) => {
            pacing::single::load(snapshot, version, *inputs).await?.map(|body| Data::Pacing(Box::new(body)))
        }
        (CanonicalQuery::PacingList(query), Prepared::PacingList(inputs)) => {
            pacing::list::load(snapshot, query, page()?, version, *inputs).await?.map(Data::PacingList)
        }
        (CanonicalQuery::Report { query, .. }, Prepared::Report(context)) => {
            report::load(&context, snapshot, query, page()?).await?.map(|report| Data::Report(Box::new(report)))
        }
        (CanonicalQuery::Dashboard(query), Prepared::Dashboard(contexts)) => {
            dashboard::load(snapshot, query, version, contexts).await?.map(Data::Dashboard)
        }
        (CanonicalQuery::Leaderboard(query), Prepared::Leaderboard(inputs)) => {
            leaderboard::load(snapshot, query, page()?, version, *inputs).await?.map(Data::Leaderboard)
        }
        (CanonicalQuery::Workspace(query), Prepared::Workspace(limit)) => {
            workspace::load(snapshot, query, limit, version)?.map(Data::Workspace)
        }
        // Each variant by name, so that one without a `load` above does not compile.
        (
            CanonicalQuery::Campaigns(_)
            | CanonicalQuery::Campaign(_)
            | CanonicalQuery::Activity(_)
            | CanonicalQuery::Corrections(_)
            | CanonicalQuery::Pacing(_)
            | CanonicalQuery::PacingList(_)
            | CanonicalQuery::Report { .. }
            | CanonicalQuery::Dashboard(_)
            | CanonicalQuery::Leaderboard(_)
            | CanonicalQuery::Workspace(_),
            _,
        ) => return Err(ReadError::corrupt("the probe is of another kind of query")),
    };
    Ok(QueryResult { moved, ..result })
}
