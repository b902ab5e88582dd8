//! A rebuild at noon: events arrive, readers read, and every row of the new tables is what the log says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sqlx::PgPool;
use tests::{Answer, Caller, TestSystem, digest_of_epoch};

/// What a reader polls, with the tags that it was given.
struct Reader {
    caller: Caller,
    metrics: String,
    campaign: String,
    tags: BTreeMap<String, String>,
    epochs: Vec<i32>,
    applied: i64,
}

impl Reader {
    fn of(caller: &Caller, campaign: &str) -> Self {
        let metrics = format!(
            "/v1/campaigns/{campaign}/metrics?date_from=2026-11-20&date_to=2026-11-20&granularity=all&time_zone=UTC&measures=clicks"
        );
        let campaign = format!("/v1/campaigns/{campaign}");
        Self { caller: caller.clone(), metrics, campaign, tags: BTreeMap::new(), epochs: Vec::new(), applied: 0 }
    }

    /// Asks again for what it may have; neither position nor epoch goes back.
    async fn poll(&mut self, path: &str) -> Answer {
        let answer = match self.tags.get(path) {
            Some(tag) => self.caller.get_if_none_match(path, tag).await,
            None => self.caller.get(path).await,
        };
        assert!([200, 304].contains(&answer.status), "{path}: {answer:?}");
        assert!(answer.applied() >= self.applied, "Data-Position went back from {} to {answer:?}", self.applied);
        self.applied = answer.applied();
        self.tags.insert(path.to_owned(), answer.header("etag"));
        if self.epochs.last() != Some(&answer.epoch()) {
            self.epochs.push(answer.epoch());
        }
        answer
    }

    /// Reads until it is told to stop, and once more; gives the epochs that it saw, one after the other.
    async fn read(mut self, mut clicks: u64, done: Arc<AtomicBool>) -> Vec<i32> {
        let (metrics, campaign) = (self.metrics.clone(), self.campaign.clone());
        loop {
            let is_last = done.load(Ordering::SeqCst);
            let answer = self.poll(&metrics).await;
            if answer.status == 200 {
                let now = answer.body["data"][0]["clicks"].as_u64().unwrap_or(0);
                assert!(now >= clicks, "a number went back from {clicks} to {now}");
                clicks = now;
            }
            let answer = self.poll(&campaign).await;
            assert!(answer.status == 304 || answer.body["data"]["name"] == "Winter", "{}", answer.body);
            if is_last {
                return self.epochs;
            }
        }
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn readers_see_no_hole_and_the_tables_are_equal(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for name in ["acme", "globex"] {
        let caller = system.workspace(name).await;
        caller.push_source("tracker").await;
        let campaign = caller.campaign("Winter").await;
        for id in 0..200 {
            caller.observe("tracker", &campaign, id, 1).await;
        }
        caller.caught_up().await;
        let reader = tokio::spawn(Reader::of(&caller, &campaign).read(200, done.clone()));
        let next = Arc::new(AtomicU64::new(200));
        let writer = {
            let (caller, campaign, next, done) = (caller.clone(), campaign.clone(), next.clone(), done.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    caller.observe("tracker", &campaign, next.fetch_add(1, Ordering::SeqCst), 1).await;
                }
            })
        };
        tasks.push((caller, campaign, next, reader, writer));
    }

    let old = system.live_epoch(&tasks[0].0).await;
    system.replay().await;
    let new = system.live_epoch(&tasks[0].0).await;
    assert_ne!(old, new);
    for (caller, campaign, next, ..) in &tasks {
        assert_eq!(system.live_epoch(caller).await, new);
        for _ in 0..20 {
            caller.observe("tracker", campaign, next.fetch_add(1, Ordering::SeqCst), 1).await;
        }
        caller.caught_up().await;
    }
    // The rows are those of a rebuild, while events still arrive.
    system.verify().await;
    done.store(true, Ordering::SeqCst);
    for (caller, _, _, reader, writer) in tasks {
        writer.await.unwrap();
        assert_eq!(reader.await.unwrap(), [old, new], "the epoch of a workspace changes once");
        // The old epoch is kept applied, so both can be compared at the same position.
        caller.caught_up_in_every_epoch().await;
    }
    assert_eq!(digest_of_epoch(&pool, old).await, digest_of_epoch(&pool, new).await);
    system.verify().await;
    system.stop().await;
}
