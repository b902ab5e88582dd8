//! How far the live rows of workspaces are, asked for many requests at once.
//!
//! A request that comes while a question is under way waits for the next one, which then speaks for everyone who came
//! meanwhile. So each gets what was true after it came, and many cost little more than one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use domain::money::Currency;
use domain::zone::Zone;
use sqlx::{PgConnection, PgPool};
use tokio::sync::oneshot;

use crate::MODEL;
use crate::refusal::Refusal;
use crate::version::Revision;

/// Before a question is asked, others may join it for so many turns of the runtime at most: each takes microseconds.
const MOST_TURNS: usize = 32;

/// How far the live rows of one workspace are. Of two that are alike but for the head and its age, the rows are the same.
#[derive(Debug, Clone)]
pub(crate) struct Tip {
    /// The live epoch; 0 while nothing of the workspace was ever projected.
    pub(crate) epoch: i32,
    /// Up to where the log is applied in it.
    pub(crate) applied: i64,
    /// The log's last position.
    pub(crate) head: i64,
    /// What changed its rows without a new event.
    pub(crate) revision: Revision,
    /// When rows that are no longer kept were last dropped from it.
    pub(crate) retained_at: Option<DateTime<Utc>>,
    /// When the first event that it lacks was recorded.
    pub(crate) oldest_unapplied: Option<DateTime<Utc>>,
    /// The model's first epoch is being built: there is nothing to read yet.
    pub(crate) is_building: bool,
    /// The workspace's defaults, once its first event is applied.
    pub(crate) time_zone: Zone,
    pub(crate) currency: Option<Currency>,
}

impl Tip {
    /// Those of some workspaces, at one instant.
    ///
    /// The statement is written so that its prepared plan is made once, which takes longer than to run it: how many workspaces
    /// there are is hidden from the planner, which would plan anew for each number, and each is looked up by itself.
    pub(crate) async fn read(db: &mut PgConnection, workspaces: &[i32]) -> Result<HashMap<i32, Self>, Refusal> {
        let rows = sqlx::query!(
            r#"SELECT a.workspace AS "workspace!", coalesce(l.epoch, 0) AS "epoch!", coalesce(c.position, 0) AS "applied!",
                      coalesce(h.position, 0) AS "head!",
                      coalesce(c.revision, 0) AS "revision!", coalesce(c.revised_at, 0) AS "revised_at!",
                      l.retained_at AS "retained_at?",
                      CASE WHEN h.position > coalesce(c.position, 0)
                           THEN log.recorded_at_of(a.workspace, coalesce(c.position, 0) + 1) END AS oldest_unapplied,
                      l.epoch IS NULL
                      AND EXISTS (SELECT FROM read.epochs e WHERE e.projection = $1 AND e.state = 'building')
                      AND NOT EXISTS (SELECT FROM read.epochs e WHERE e.projection = $1 AND e.state = 'applied') AS "is_building!",
                      w.time_zone AS "time_zone?", w.currency AS "currency?"
               FROM unnest((SELECT $2::integer[])) a (workspace)
               LEFT JOIN LATERAL (SELECT position FROM log.heads WHERE workspace = a.workspace LIMIT 1) h ON true
               LEFT JOIN LATERAL (SELECT epoch,
                                         (SELECT max(r.changed_at) FROM read.epoch_retention r
                                          WHERE r.projection = $1 AND r.epoch = e.epoch) AS retained_at
                                  FROM read.live_epochs e
                                  WHERE e.projection = $1 AND e.workspace = a.workspace LIMIT 1) l ON true
               LEFT JOIN LATERAL (SELECT position, revision, revised_at FROM read.checkpoints
                                  WHERE projection = $1 AND epoch = l.epoch AND workspace = a.workspace LIMIT 1) c ON true
               LEFT JOIN LATERAL (SELECT time_zone, currency FROM read.workspaces
                                  WHERE epoch = l.epoch AND workspace = a.workspace LIMIT 1) w ON true"#,
            MODEL,
            workspaces,
        )
        .fetch_all(db)
        .await?;
        let each = rows.into_iter().map(|row| {
            let tip = Self {
                epoch: row.epoch,
                applied: row.applied,
                head: row.head,
                revision: Revision { count: row.revision, position: row.revised_at },
                retained_at: row.retained_at,
                oldest_unapplied: row.oldest_unapplied,
                is_building: row.is_building,
                time_zone: row.time_zone.as_deref().map_or(Ok(Zone::UTC), str::parse).map_err(Refusal::corrupt)?,
                currency: row.currency.as_deref().map(str::parse).transpose().map_err(Refusal::corrupt)?,
            };
            Ok((row.workspace, tip))
        });
        each.collect()
    }

    /// The age of the oldest event that is not applied yet; zero when everything is.
    pub(crate) fn lag(&self, now: DateTime<Utc>) -> TimeDelta {
        self.oldest_unapplied.map_or(TimeDelta::zero(), |recorded_at| (now - recorded_at).max(TimeDelta::zero()))
    }
}

/// Asks for tips, together. Clones ask together, too.
#[derive(Debug, Clone)]
pub(crate) struct Tips {
    pool: PgPool,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    callers: Vec<Caller>,
    /// Whether somebody asks already, who will ask again for those who came meanwhile.
    is_asking: bool,
}

#[derive(Debug)]
struct Caller {
    workspace: i32,
    answer: oneshot::Sender<Arc<Tip>>,
}

impl Tips {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, waiting: Arc::default() }
    }

    /// How far a workspace is at some instant after this was called. `None` when the database could not be asked.
    pub(crate) async fn latest(&self, workspace: i32) -> Option<Arc<Tip>> {
        let (answer, told) = oneshot::channel();
        if self.join(Caller { workspace, answer }) {
            // A task of its own, because those who wait for it must not depend on whether this caller stays.
            tokio::spawn(self.clone().ask());
        }
        told.await.ok()
    }

    /// Whether it is for this caller to have the question asked.
    fn join(&self, caller: Caller) -> bool {
        let mut waiting = self.waiting();
        waiting.callers.push(caller);
        !std::mem::replace(&mut waiting.is_asking, true)
    }

    /// Asks until nobody waits.
    async fn ask(self) {
        loop {
            self.gather().await;
            let Some(callers) = self.take() else { return };
            let workspaces: HashSet<_> = callers.iter().map(|caller| caller.workspace).collect();
            match self.read(&workspaces.into_iter().collect::<Vec<_>>()).await {
                Ok(tips) => {
                    let tips: HashMap<_, _> = tips.into_iter().map(|(id, tip)| (id, Arc::new(tip))).collect();
                    for Caller { workspace, answer } in callers {
                        // Whoever went away needs no answer.
                        tips.get(&workspace).and_then(|tip| answer.send(Arc::clone(tip)).ok());
                    }
                }
                // Each caller asks by itself then, and tells of it.
                Err(error) => tracing::debug!(%error, "cannot read how far workspaces are"),
            }
        }
    }

    /// Lets the requests that are here already join: those that the runtime has work for run before this goes on.
    async fn gather(&self) {
        let mut joined = 0;
        for _ in 0..MOST_TURNS {
            tokio::task::yield_now().await;
            let now = self.waiting().callers.len();
            if now == std::mem::replace(&mut joined, now) {
                return;
            }
        }
    }

    fn take(&self) -> Option<Vec<Caller>> {
        let mut waiting = self.waiting();
        waiting.is_asking = !waiting.callers.is_empty();
        waiting.is_asking.then(|| std::mem::take(&mut waiting.callers))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, workspaces: &[i32]) -> Result<HashMap<i32, Tip>, Refusal> {
        Tip::read(&mut *self.pool.acquire().await?, workspaces).await
    }
}
