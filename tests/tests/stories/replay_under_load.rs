//! A rebuild at noon: events arrive, readers read, and every row of the new tables is what the log says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use platform::clock::Clock as _;
use serde_json::json;
use sqlx::PgPool;
use tests::{Answer, Caller, Fill, Soak, TestSystem, digest_of_epoch};
use tokio::task::{JoinHandle, JoinSet};

const NOW: &str = "2026-11-20T10:00:00Z";
const WORKSPACES: [&str; 2] = ["acme", "globex"];

/// How much there is, in all workspaces together.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Observations that are in the logs before the rebuild, and how many of them an event holds.
    filled: u64,
    per_event: u64,
    /// Over what time before now they are spread, and over how many campaigns of a workspace.
    over: TimeDelta,
    campaigns: usize,
    /// What arrives meanwhile in each workspace: so many writers, each with so many observations in a request, so often
    /// or one after the other.
    writers: u32,
    per_request: u64,
    every: Option<Duration>,
    /// The longest that it takes to catch up with it.
    patience: Duration,
}

impl Size {
    /// Small, or as large as `make soak` wants it, with 2,000 observations a second.
    fn of_environment() -> Self {
        match Soak::observations() {
            None => Self {
                filled: 400,
                per_event: 1,
                over: TimeDelta::hours(1),
                campaigns: 1,
                writers: 1,
                per_request: 1,
                every: None,
                patience: Duration::from_secs(30),
            },
            Some(filled) => Self {
                filled,
                per_event: 500,
                over: TimeDelta::days(7),
                campaigns: 50,
                writers: 4,
                per_request: 50,
                every: Some(Duration::from_millis(200)),
                patience: Duration::from_mins(20),
            },
        }
    }

    fn filled_each(self) -> u64 {
        self.filled / WORKSPACES.len() as u64
    }
}

/// What a reader polls, with the tags that it was given.
struct Reader {
    caller: Caller,
    metrics: String,
    campaign: String,
    tags: BTreeMap<String, String>,
    applied: i64,
    seen: Seen,
}

/// What a reader saw.
#[derive(Debug, Default)]
struct Seen {
    reads: u64,
    /// Reads that failed, and numbers that went back: each as it was.
    failed: Vec<String>,
    went_back: Vec<String>,
    /// One after the other.
    epochs: Vec<i32>,
}

impl Reader {
    fn of(caller: &Caller, campaign: &str) -> Self {
        let metrics = format!(
            "/v1/campaigns/{campaign}/metrics?date_from=2026-11-13&date_to=2026-11-20&granularity=all&time_zone=UTC&measures=clicks"
        );
        let campaign = format!("/v1/campaigns/{campaign}");
        let (caller, tags) = (caller.clone(), BTreeMap::new());
        Self { caller, metrics, campaign, tags, applied: 0, seen: Seen::default() }
    }

    /// Asks again for what it may have. Gives what is new.
    async fn poll(&mut self, path: &str) -> Option<Answer> {
        let answer = match self.tags.get(path) {
            Some(tag) => self.caller.get_if_none_match(path, tag).await,
            None => self.caller.get(path).await,
        };
        self.seen.reads += 1;
        if ![200, 304].contains(&answer.status) {
            self.seen.failed.push(format!("{path}: {answer:?}"));
            return None;
        }
        if answer.applied() < self.applied {
            self.seen.went_back.push(format!("Data-Position from {} to {answer:?}", self.applied));
        }
        self.applied = answer.applied();
        self.tags.insert(path.to_owned(), answer.header("etag"));
        if self.seen.epochs.last() != Some(&answer.epoch()) {
            self.seen.epochs.push(answer.epoch());
        }
        (answer.status == 200).then_some(answer)
    }

    /// Reads until it is told to stop, and once more.
    async fn read(mut self, done: Arc<AtomicBool>) -> Seen {
        let (metrics, campaign) = (self.metrics.clone(), self.campaign.clone());
        let mut clicks = 0;
        loop {
            let is_last = done.load(Ordering::SeqCst);
            if let Some(answer) = self.poll(&metrics).await {
                let now = answer.body["data"][0]["clicks"].as_u64().unwrap_or(0);
                if now < clicks || now == 0 {
                    self.seen.went_back.push(format!("clicks from {clicks} to {now}"));
                }
                clicks = now;
            }
            if let Some(answer) = self.poll(&campaign).await
                && answer.body["data"]["name"] != "Winter"
            {
                self.seen.failed.push(answer.body.to_string());
            }
            if is_last {
                return self.seen;
            }
        }
    }
}

/// A workspace in which much happened, and still does.
struct Busy {
    caller: Caller,
    campaign: String,
    /// How many requests were sent.
    sent: Arc<AtomicU64>,
    reader: JoinHandle<Seen>,
    writers: JoinSet<()>,
}

impl Busy {
    async fn open(system: &TestSystem, pool: &PgPool, name: &str, size: Size, done: &Arc<AtomicBool>) -> Self {
        let caller = system.workspace(name).await;
        caller.push_source("tracker").await;
        let mut campaigns = Vec::new();
        for _ in 0..size.campaigns {
            campaigns.push(caller.campaign("Winter").await);
        }
        let now = system.clock.now();
        Fill {
            source: "tracker",
            campaigns: &campaigns,
            observations: size.filled_each(),
            per_event: size.per_event,
            between: (now - size.over, now),
        }
        .append(pool, &caller)
        .await;
        caller.caught_up_within(size.patience).await;
        let campaign = campaigns.swap_remove(0);
        let reader = tokio::spawn(Reader::of(&caller, &campaign).read(done.clone()));
        let sent = Arc::new(AtomicU64::new(0));
        let mut writers = JoinSet::new();
        for _ in 0..size.writers {
            let (caller, campaign, sent, done) = (caller.clone(), campaign.clone(), sent.clone(), done.clone());
            writers.spawn(async move {
                let mut turns = size.every.map(tokio::time::interval);
                while !done.load(Ordering::SeqCst) {
                    if let Some(turns) = &mut turns {
                        turns.tick().await;
                    }
                    observe(&caller, &campaign, &sent, size.per_request).await;
                }
            });
        }
        Self { caller, campaign, sent, reader, writers }
    }
}

/// Sends the next request.
async fn observe(caller: &Caller, campaign: &str, sent: &AtomicU64, observations: u64) {
    let request = sent.fetch_add(1, Ordering::SeqCst);
    let ids = (0..observations).map(|n| format!("{request}-{n}"));
    let observations: Vec<_> = ids
        .map(|id| json!({ "id": id, "campaign_id": campaign, "type": "click", "occurred_at": "2026-11-20T09:05:00Z" }))
        .collect();
    let accepted = observations.len();
    let body = json!({ "source": "tracker", "observations": observations });
    let answer = caller.post("/v1/observations", &body).await.expect(200);
    assert_eq!(answer.body["accepted"], accepted, "{}", answer.body);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn readers_see_no_gap_and_replayed_tables_are_equal(pool: PgPool) {
    let size = Size::of_environment();
    let system = TestSystem::start(&pool, NOW).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut busy = Vec::new();
    for name in WORKSPACES {
        busy.push(Busy::open(&system, &pool, name, size, &done).await);
    }

    let requests = |busy: &[Busy]| busy.iter().map(|one| one.sent.load(Ordering::SeqCst)).sum::<u64>();
    let old = system.live_epoch(&busy[0].caller).await;
    let (begun, before) = (Instant::now(), requests(&busy));
    system.replay().await;
    let (switched_after, meanwhile) = (begun.elapsed(), (requests(&busy) - before) * size.per_request);
    let new = system.live_epoch(&busy[0].caller).await;
    println!(
        "{} observations in {} workspaces: every reader was on the new epoch after {switched_after:.1?}, while {meanwhile} more arrived",
        size.filled,
        busy.len()
    );
    assert_ne!(old, new);
    for Busy { caller, campaign, sent, .. } in &busy {
        assert_eq!(system.live_epoch(caller).await, new);
        for _ in 0..20 {
            observe(caller, campaign, sent, size.per_request).await;
        }
        caller.caught_up_within(size.patience).await;
    }
    // The rows are those of a rebuild, while events still arrive.
    let begun = Instant::now();
    system.verify().await;
    println!("verified equal to a rebuild in {:.1?}", begun.elapsed());
    done.store(true, Ordering::SeqCst);
    for Busy { caller, reader, writers, .. } in busy {
        writers.join_all().await;
        let Seen { reads, failed, went_back, epochs } = reader.await.unwrap();
        println!("{reads} reads: {} failed, {} numbers went back, epochs {epochs:?}", failed.len(), went_back.len());
        assert!(failed.is_empty() && went_back.is_empty(), "{failed:?} {went_back:?}");
        assert_eq!(epochs, [old, new], "the epoch of a workspace changes once");
        // The old epoch is kept applied, so both can be compared at the same position.
        caller.caught_up_in_every_epoch_within(size.patience).await;
    }
    assert_eq!(digest_of_epoch(&pool, old).await, digest_of_epoch(&pool, new).await);
    system.stop().await;
}
