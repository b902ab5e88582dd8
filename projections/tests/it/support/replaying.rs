//! What tests of replays share.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::bucket::{Bucket, Grain};
use domain::measure::Measure;
use domain::source::SourceKind;
use platform::clock::ManualClock;
use projections::{
    EpochMaintenance, PROJECTIONS, ProjectorConfig, ReplayError, ReplayOptions, ReplayOutcome, ReplayProgress, replay,
};
use sqlx::{PgPool, Row};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::logs::{Log, at, campaign, clicked, completed, created, date, registered, source, stated};

pub(crate) const MODEL: &str = "campaign_model";

pub(crate) fn unseen(_: ReplayProgress) {}

pub(crate) async fn rebuild(pool: &PgPool) -> ReplayOutcome {
    rebuild_with(pool, &of_all()).await.unwrap()
}

pub(crate) async fn rebuild_with(pool: &PgPool, options: &ReplayOptions) -> Result<ReplayOutcome, ReplayError> {
    replay(pool, MODEL, options, &unseen, CancellationToken::new()).await
}

/// The instant at which replays of these tests take place.
pub(crate) fn noon() -> DateTime<Utc> {
    at("2026-11-22T12:00:00Z")
}

/// A replay of everything.
pub(crate) fn of_all() -> ReplayOptions {
    ReplayOptions::new(ManualClock::new(noon()).shared())
}

/// A projector that looks after epochs.
pub(crate) fn looking_after(upkeep: EpochMaintenance) -> ProjectorConfig {
    let id = Uuid::now_v7();
    ProjectorConfig {
        poll: Duration::from_millis(20),
        upkeep: Some(upkeep),
        ..ProjectorConfig::new(PROJECTIONS, id, id.to_string())
    }
}

/// A replay of some workspaces.
pub(crate) fn only(workspaces: &[i32]) -> ReplayOptions {
    ReplayOptions { workspaces: Some(workspaces.to_vec()), ..of_all() }
}

/// A log with something for every table.
pub(crate) async fn varied(admin: &PgPool, clicks: usize) -> Log {
    let mut log = Log::opened(admin).await;
    log.append_all([
        created(campaign(1)),
        registered(source(1), SourceKind::Push),
        registered(source(2), SourceKind::Pull),
        completed(source(2), "2026-11-21T01:00:00Z", "2026-11-20T23:00:00Z", Grain::Day),
    ])
    .await;
    let day = Bucket::Day(date("2026-11-20"));
    let mut events = Vec::new();
    for n in 0..clicks {
        events.push(clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z")));
        if n % 10 == 0 {
            let spend = [(Measure::Spend, i64::try_from(n).unwrap())];
            let statement = (campaign(1), day, at("2026-11-21T00:00:00Z"), spend.as_slice());
            events.push(stated(source(2), Grain::Day, "Europe/Berlin", &[statement]));
        }
    }
    log.append_all(events).await;
    log
}

pub(crate) async fn epochs(admin: &PgPool) -> Vec<(i32, String)> {
    let rows = sqlx::query("SELECT epoch, state FROM read.epochs ORDER BY epoch").fetch_all(admin).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

pub(crate) fn applied(epochs: &[i32]) -> Vec<(i32, String)> {
    epochs.iter().map(|&epoch| (epoch, "applied".to_owned())).collect()
}
