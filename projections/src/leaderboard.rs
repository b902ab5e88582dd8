//! Refreshes the leaderboard, `read.leaderboard`: a materialized view over the live rows of every workspace.
//!
//! It is no view of a projection, because ranks concern all campaigns at once, and its days move with the clock. So one
//! statement computes it anew in one snapshot, and stores the instant, epochs and positions that it is true of.
//! Calendar and catalogue are the domain's: a refresh passes them to the statement in tables.
//!
//! Readers continue meanwhile (CONCURRENTLY). One process refreshes at a time, under an advisory lock. The statement
//! locks the read tables as any reader does. Dropping an epoch waits for it in short tries, behind which no session
//! waits.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, SubsecRound, Utc};
use domain::bucket::{day_end, day_start, local_date};
use domain::ids::SourceId;
use domain::source::{SourceDefinition, SourceDetails, SourceEvent};
use domain::zone::{Zone, ZoneError};
use platform::clock::SharedClock;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use thiserror::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::views::CAMPAIGN_MODEL;

/// The days of the longest window, today included.
const DAYS: u64 = 30;
/// How often a process checks whether a refresh is due.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The pause after a refresh, as a multiple of its duration, so that refreshes never take most of a processor.
const PAUSES: u32 = 9;

/// Why the leaderboard was not refreshed.
#[derive(Debug, Error)]
pub enum RefreshError {
    /// A workspace's time zone is unknown.
    #[error("the zone of workspace {workspace} is not known")]
    Zone {
        /// The workspace.
        workspace: i32,
        /// The cause.
        #[source]
        source: ZoneError,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// The result of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refreshed {
    /// The instant that it is true of.
    pub as_of: DateTime<Utc>,
    /// The number of workspaces that it ranks.
    pub workspaces: i64,
}

/// Refreshes until shutdown, whenever [`refresh_if_due`] finds it due. A failure is retried after `every`.
pub async fn run(pool: PgPool, clock: SharedClock, every: Duration, shutdown: CancellationToken) {
    describe();
    loop {
        let started = Instant::now();
        let mut least = every.min(LOOK_EVERY);
        match shutdown.run_until_cancelled(refresh_if_due(&pool, clock.now(), every)).await {
            None => return,
            Some(Ok(true)) => {
                metrics::gauge!("highwater_leaderboard_refresh_seconds").set(started.elapsed().as_secs_f64());
            }
            Some(Ok(false)) => {}
            Some(Err(error)) => {
                least = every;
                tracing::warn!(error = &error as &dyn std::error::Error, "the leaderboard was not refreshed");
            }
        }
        if let Ok(Some(as_of)) = last(&pool).await {
            let age = (clock.now() - as_of).to_std().unwrap_or_default();
            metrics::gauge!("highwater_leaderboard_age_seconds").set(age.as_secs_f64());
        }
        let pause = least.max(started.elapsed() * PAUSES);
        if shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// Refreshes now, after a refresh that is running.
pub async fn refresh(pool: &PgPool, now: DateTime<Utc>) -> Result<Refreshed, RefreshError> {
    let mut tx = pool.begin().await?;
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('highwater.leaderboard'))").execute(&mut *tx).await?;
    let refreshed = refresh_locked(&mut tx, now).await?;
    tx.commit().await?;
    Ok(refreshed)
}

/// Refreshes if `every` has passed since the last refresh, or if it lacks a workspace. Returns `false` if neither is
/// true, or if another process refreshes.
pub async fn refresh_if_due(pool: &PgPool, now: DateTime<Utc>, every: Duration) -> Result<bool, RefreshError> {
    let mut tx = pool.begin().await?;
    let is_alone =
        sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock(hashtext('highwater.leaderboard')) AS "is_alone!""#)
            .fetch_one(&mut *tx)
            .await?;
    if !is_alone {
        return Ok(false);
    }
    // An instant in the future comes from another process' clock, or from one that was set back: it does not count.
    let last = last(&mut *tx).await?.filter(|last| *last <= now);
    let is_fresh = last.is_some_and(|last| (now - last).to_std().is_ok_and(|age| age < every));
    if is_fresh && !lacks_a_workspace(&mut tx).await? {
        // Rolled back at once, because the lock would otherwise stay until the connection is used again.
        tx.rollback().await?;
        return Ok(false);
    }
    refresh_locked(&mut tx, now).await?;
    tx.commit().await?;
    Ok(true)
}

/// Whether the leaderboard lacks a workspace that began since the last refresh.
async fn lacks_a_workspace(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM read.live_epochs l
               JOIN read.checkpoints c USING (projection, epoch, workspace)
               JOIN read.workspaces w ON w.epoch = l.epoch AND w.workspace = l.workspace
               WHERE l.projection = $1
                 AND NOT EXISTS (SELECT FROM read.leaderboard b
                                 WHERE b.workspace = l.workspace AND b.days = 7 AND b.measure = '')
           ) AS "lacks!""#,
        CAMPAIGN_MODEL.name
    )
    .fetch_one(conn)
    .await
}

async fn last<'c>(db: impl sqlx::PgExecutor<'c>) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!("SELECT as_of FROM read.leaderboard_refresh").fetch_optional(db).await
}

async fn refresh_locked(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Refreshed, RefreshError> {
    // Versions have instants in seconds, so the leaderboard's instant is a whole one.
    let as_of = now.trunc_subsecs(0);
    sqlx::query!(
        "INSERT INTO read.leaderboard_refresh (as_of) VALUES ($1)
         ON CONFLICT (single) DO UPDATE SET as_of = excluded.as_of",
        as_of
    )
    .execute(&mut *conn)
    .await?;
    hand_over_days(conn, as_of).await?;
    let mut cuts = cuts(conn).await?;
    loop {
        hand_over_cuts(conn, &cuts).await?;
        sqlx::query!("REFRESH MATERIALIZED VIEW CONCURRENTLY read.leaderboard").execute(&mut *conn).await?;
        // A change of a source that was applied meanwhile may be in the view, whose sums are not cut at it.
        let now = self::cuts(conn).await?;
        if now == cuts {
            break;
        }
        cuts = now;
    }
    let workspaces =
        sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM read.leaderboard WHERE measure = '' AND days = 7"#)
            .fetch_one(&mut *conn)
            .await?;
    Ok(Refreshed { as_of, workspaces })
}

/// Writes the last days of every workspace in which a new day began since they were written.
async fn hand_over_days(conn: &mut PgConnection, as_of: DateTime<Utc>) -> Result<(), RefreshError> {
    let due = sqlx::query!(
        "SELECT l.workspace, w.time_zone FROM read.live_epochs l
         JOIN read.workspaces w ON w.epoch = l.epoch AND w.workspace = l.workspace
         LEFT JOIN read.leaderboard_days d
           ON d.workspace = l.workspace AND d.days_ago = 0 AND d.starts_at <= $1 AND d.ends_at > $1
         WHERE l.projection = $2 AND d.workspace IS NULL",
        as_of,
        CAMPAIGN_MODEL.name
    )
    .fetch_all(&mut *conn)
    .await?;
    let (mut workspaces, mut days_ago, mut dates) = (Vec::new(), Vec::new(), Vec::new());
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for row in due {
        let workspace = row.workspace;
        let zone: Zone = row.time_zone.parse().map_err(|source| RefreshError::Zone { workspace, source })?;
        let today = local_date(as_of, zone);
        for (ago, date) in (0..).zip(last_days(today)) {
            workspaces.push(workspace);
            days_ago.push(ago);
            dates.push(date);
            starts.push(day_start(date, zone));
            ends.push(day_end(date, zone));
        }
    }
    sqlx::query!(
        "INSERT INTO read.leaderboard_days (workspace, days_ago, date, starts_at, ends_at)
         SELECT * FROM unnest($1::integer[], $2::integer[], $3::date[], $4::timestamptz[], $5::timestamptz[])
         ON CONFLICT (workspace, days_ago) DO UPDATE
         SET date = excluded.date, starts_at = excluded.starts_at, ends_at = excluded.ends_at",
        &workspaces,
        &days_ago,
        &dates,
        &starts,
        &ends
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The days from which numbers of a source count otherwise, by workspace and first instant.
type Cuts = BTreeMap<(i32, DateTime<Utc>), NaiveDate>;

async fn cuts(conn: &mut PgConnection) -> Result<Cuts, RefreshError> {
    let rows = sqlx::query!(
        r#"SELECT l.workspace, s.source_id, s.definition AS "definition: Json<SourceDefinition>",
                  ARRAY(SELECT c.event FROM read.source_changes c
                        WHERE c.epoch = l.epoch AND c.workspace = l.workspace AND c.source_id = s.source_id
                        ORDER BY c.position) AS "changes!: Vec<Json<SourceEvent>>"
           FROM read.live_epochs l
           JOIN read.sources s ON s.epoch = l.epoch AND s.workspace = l.workspace
           WHERE l.projection = $1
             AND EXISTS (SELECT FROM read.source_changes c
                         WHERE c.epoch = l.epoch AND c.workspace = l.workspace AND c.source_id = s.source_id)"#,
        CAMPAIGN_MODEL.name
    )
    .fetch_all(conn)
    .await?;
    let mut cuts = Cuts::new();
    for row in rows {
        let mut details = SourceDetails::new(SourceId(row.source_id), row.definition.0);
        row.changes.into_iter().for_each(|event| details.apply(event.0));
        for day in details.turning_days() {
            let date = cuts.entry((row.workspace, day.at)).or_insert(day.date);
            *date = day.date.min(*date);
        }
    }
    Ok(cuts)
}

async fn hand_over_cuts(conn: &mut PgConnection, cuts: &Cuts) -> Result<(), RefreshError> {
    let (workspaces, instants): (Vec<i32>, Vec<DateTime<Utc>>) = cuts.keys().copied().unzip();
    let dates: Vec<NaiveDate> = cuts.values().copied().collect();
    sqlx::query!("DELETE FROM read.leaderboard_cuts").execute(&mut *conn).await?;
    sqlx::query!(
        "INSERT INTO read.leaderboard_cuts (workspace, at, date)
         SELECT * FROM unnest($1::integer[], $2::timestamptz[], $3::date[])",
        &workspaces,
        &instants,
        &dates
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Today and the days before it, newest first.
fn last_days(today: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    (0..DAYS).filter_map(move |ago| today.checked_sub_days(Days::new(ago)))
}

fn describe() {
    metrics::describe_gauge!("highwater_leaderboard_age_seconds", "How long ago the leaderboard was refreshed.");
    metrics::describe_gauge!(
        "highwater_leaderboard_refresh_seconds",
        "How long its last refresh by this process took."
    );
}
