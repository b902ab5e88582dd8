//! The database is put back to an earlier state under a running process. What was handed out for the lost part fits
//! nothing that came instead, and what the process remembers of it decides nothing.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, Utc};
use platform::local_postgres::{LocalPostgres, LocalPostgresConfig};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tests::{Answer, Caller, TestSystem};

const NOW: &str = "2026-11-20T10:00:00Z";
/// The longest time that a process takes to reach a database that was started again.
const REACHED_WITHIN: Duration = Duration::from_mins(1);

/// A private PostgreSQL whose files can be put back.
struct Restorable {
    config: LocalPostgresConfig,
    running: Option<LocalPostgres>,
    scratch: tempfile::TempDir,
}

impl Restorable {
    async fn start() -> Self {
        let scratch = tests::Program::scratch();
        let config = LocalPostgresConfig { durable: false, ..LocalPostgresConfig::new(scratch.path().join("live")) };
        let running = Some(LocalPostgres::start(config.clone()).await.unwrap());
        Self { config, running, scratch }
    }

    async fn pool(&self) -> PgPool {
        let url = self.running.as_ref().unwrap().url();
        let pool = PgPoolOptions::new().connect(url.expose_secret()).await.unwrap();
        event_store::MIGRATOR.run(&pool).await.unwrap();
        pool
    }

    /// Copies the files, between two runs of the server.
    async fn back_up(&mut self) {
        let (live, backup) = (self.config.data_dir.clone(), self.scratch.path().join("backup"));
        self.between_runs(|| copy(&live, &backup)).await;
    }

    /// Puts the copy back, between two runs of the server.
    async fn restore(&mut self) {
        let (live, backup) = (self.config.data_dir.clone(), self.scratch.path().join("backup"));
        self.between_runs(|| {
            std::fs::remove_dir_all(&live).unwrap();
            copy(&backup, &live);
        })
        .await;
    }

    async fn between_runs(&mut self, act: impl FnOnce()) {
        self.running.take().unwrap().stop().await.unwrap();
        act();
        self.running = Some(LocalPostgres::start(self.config.clone()).await.unwrap());
    }
}

/// Copies a directory with its owners and modes.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(status.success());
}

/// Asks until the process has reached its database again.
async fn reached(ask: impl AsyncFn() -> Answer) -> Answer {
    let asking = async {
        loop {
            let answer = ask().await;
            if answer.status != 503 {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(REACHED_WITHIN, asking).await.unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn rename(acme: &Caller, campaign: &str, name: &str) -> Answer {
    let path = format!("/v1/campaigns/{campaign}");
    reached(async || acme.patch(&path, &json!({ "name": name })).await).await.expect(200)
}

fn clicks(campaign: &str, id: &str, count: u32) -> Value {
    json!({ "source": "tracker", "observations": [{
        "id": id, "campaign_id": campaign, "type": "click", "occurred_at": "2026-11-20T09:05:00Z", "count": count
    }]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_lost_part_fits_what_came_instead() {
    let mut postgres = Restorable::start().await;
    let pool = postgres.pool().await;
    let system = TestSystem::start(&pool, NOW).await;
    let acme = system.workspace("acme").await;
    acme.push_source("tracker").await;
    let campaign = acme.campaign("Winter").await;
    let other = acme.campaign("Spring").await;
    acme.observe("tracker", &campaign, 1, 5).await;
    acme.caught_up().await;
    let kept_token = rename(&acme, &campaign, "Winter 26").await.header("consistency-token");
    postgres.back_up().await;

    // What will be lost: version 3 of a campaign, the launch of another, and clicks.
    system.clock.set(at("2026-11-20T10:01:00Z"));
    let lost_name = rename(&acme, &campaign, "Lost").await;
    acme.post(&format!("/v1/campaigns/{other}/launch"), &json!({})).await.expect(200);
    let lost = acme.post("/v1/observations", &clicks(&campaign, "lost", 7)).await.expect(200);
    acme.caught_up().await;
    let report = format!("/v1/campaigns/{campaign}/metrics?date_from=2026-11-20&date_to=2026-11-20&measures=clicks");
    let named = format!("/v1/campaigns/{campaign}");
    let wait = [("prefer", "wait=20")];
    let lost_report = acme.get_with(&report, &wait).await.expect(200);
    assert_eq!(lost_report.body["data"][0]["clicks"], 12);
    let lost_campaign = acme.get(&named).await.expect(200);
    let page = acme.get("/v1/campaigns?limit=1&sort=-changed_at").await.expect(200);
    let cursor = page.body["page"]["next_cursor"].as_str().unwrap().to_owned();

    postgres.restore().await;
    system.clock.set(at("2026-11-20T10:02:00Z"));
    // What the process remembers of the launch decides nothing: the campaign is a draft again.
    let paused = reached(async || acme.post(&format!("/v1/campaigns/{other}/pause"), &json!({})).await).await;
    assert_eq!((paused.status, paused.problem().rsplit('/').next()), (422, Some("not-launched")), "{}", paused.body);
    // Right after the restore, the lost positions are past the head.
    let headers = [("consistency-token", &*lost.header("consistency-token"))];
    let gone = reached(async || acme.get_with(&named, &headers).await).await.expect(410);
    assert_eq!((gone.problem().rsplit('/').next(), &gone.body["reset"]), (Some("log-restored"), &json!("restored")));

    // Other events come to stand at the same positions, and make the same versions.
    let renamed = rename(&acme, &campaign, "Instead").await;
    assert_eq!(renamed.body["version"], lost_name.body["version"]);
    assert_eq!(renamed.body["position"], lost_name.body["position"]);
    rename(&acme, &other, "Spring 26").await;
    let instead = acme.post("/v1/observations", &clicks(&campaign, "instead", 1_000)).await.expect(200);
    assert_eq!(instead.body["position"], lost.body["position"]);
    acme.caught_up().await;
    for answer in [&lost_name, &lost] {
        let token = answer.header("consistency-token");
        let refused = acme.get_with(&named, &[("consistency-token", &token)]).await.expect(410);
        assert_eq!(refused.problem().rsplit('/').next(), Some("log-restored"));
    }
    let kept = acme.get_with(&named, &[("consistency-token", &kept_token)]).await.expect(200);
    assert!(kept.header("data-freshness").contains("satisfied=?1"), "from before the fork");
    let answer = acme.get_if_none_match(&report, &lost_report.header("etag")).await.expect(200);
    assert_eq!(answer.body["data"][0]["clicks"], 1_005);
    let answer = acme.get_if_none_match(&named, &lost_campaign.header("etag")).await.expect(200);
    assert_eq!(answer.body["data"]["name"], "Instead");
    assert_ne!(answer.body["data"]["etag"], lost_campaign.body["data"]["etag"]);
    acme.get(&format!("/v1/campaigns?limit=1&sort=-changed_at&cursor={cursor}")).await.expect(410);

    // A change meant for the lost version 3 is not made to the other one.
    let lost_tag = lost_campaign.body["data"]["etag"].as_str().unwrap();
    let change = json!({ "name": "Overwritten" });
    acme.patch_with(&named, &change, &[("if-match", lost_tag)]).await.expect(412);
    let tag = answer.body["data"]["etag"].as_str().unwrap();
    assert_eq!(tag, renamed.header("etag"));
    acme.patch_with(&named, &change, &[("if-match", tag)]).await.expect(200);
    acme.caught_up().await;
    system.verify().await;
    system.stop().await;
    pool.close().await;
    postgres.running.take().unwrap().stop().await.unwrap();
}
