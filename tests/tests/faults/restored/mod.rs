//! The database goes back to an earlier state under a running process, in each way that a database does. What was handed
//! out for the lost part fits nothing that came instead, and what the process remembers of it decides nothing.

mod postgres; // the database, and how it goes back

use std::time::Duration;

use chrono::{DateTime, Utc};
use event_store::{GenerationCause, generation_heads, generations};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Answer, Caller, Soak, TestSystem};

use self::postgres::{Restorable, Target, Way};

const NOW: &str = "2026-11-20T10:00:00Z";
/// The longest time that a process takes to reach a database that was started again.
const REACHED_WITHIN: Duration = Duration::from_mins(1);

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

/// Which generation the logs are in after the way back.
async fn check_generation(pool: &PgPool, way: Way, workspace: i32, kept_head: i64) {
    let newest = generations(pool).await.unwrap().pop().unwrap();
    let expected = match way {
        // Nothing tells it.
        Way::CopiedDirectory => (1, GenerationCause::First),
        Way::PointInTime | Way::PromotedStandby => (2, GenerationCause::OtherTimeline),
        Way::Dump { .. } => (2, GenerationCause::OtherDatabase),
    };
    assert_eq!((newest.number, newest.cause), expected);
    if newest.number > 1 {
        let heads = generation_heads(pool, newest.number).await.unwrap();
        assert_eq!(heads[&workspace].position, kept_head, "where the lost part began");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copied_directory_fits_nothing_lost() {
    nothing_of_a_lost_part_fits_what_came_instead(Way::CopiedDirectory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovery_to_a_point_in_time_fits_nothing_lost() {
    nothing_of_a_lost_part_fits_what_came_instead(Way::PointInTime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promoted_standby_fits_nothing_lost() {
    nothing_of_a_lost_part_fits_what_came_instead(Way::PromotedStandby).await;
}

/// Of the four, `make soak` runs all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dumps_fit_nothing_lost() {
    let dump = |with_read, target| Way::Dump { with_read, target };
    nothing_of_a_lost_part_fits_what_came_instead(dump(false, Target::NewCluster)).await;
    nothing_of_a_lost_part_fits_what_came_instead(dump(true, Target::SameCluster)).await;
    if Soak::of_environment(0).rounds > 1 {
        nothing_of_a_lost_part_fits_what_came_instead(dump(true, Target::NewCluster)).await;
        nothing_of_a_lost_part_fits_what_came_instead(dump(false, Target::SameCluster)).await;
    }
}

async fn nothing_of_a_lost_part_fits_what_came_instead(way: Way) {
    let mut postgres = Restorable::start(way).await;
    let pool = postgres.pool().await;
    let system = TestSystem::start(&pool, NOW).await;
    let acme = system.workspace("acme").await;
    acme.push_source("tracker").await;
    let campaign = acme.campaign("Winter").await;
    let other = acme.campaign("Spring").await;
    acme.observe("tracker", &campaign, 1, 5).await;
    acme.caught_up().await;
    let kept_token = rename(&acme, &campaign, "Winter 26").await.header("consistency-token");
    let kept_head = acme.head().await;
    postgres.keep().await;

    // What will be lost: version 3 of a campaign, the launch of another, and clicks.
    system.clock.set(at("2026-11-20T10:01:00Z"));
    let lost_name = rename(&acme, &campaign, "Lost").await;
    acme.post(&format!("/v1/campaigns/{other}/launch"), &json!({})).await.expect(200);
    let key = [("idempotency-key", "clicks-of-09-05")];
    let lost = acme.post_with("/v1/observations", &clicks(&campaign, "lost", 7), &key).await.expect(200);
    acme.caught_up().await;
    let report = format!("/v1/campaigns/{campaign}/metrics?date_from=2026-11-20&date_to=2026-11-20&measures=clicks");
    let named = format!("/v1/campaigns/{campaign}");
    let wait = [("prefer", "wait=20")];
    let lost_report = acme.get_with(&report, &wait).await.expect(200);
    assert_eq!(lost_report.body["data"][0]["clicks"], 12);
    let lost_campaign = acme.get(&named).await.expect(200);
    let page = acme.get("/v1/campaigns?limit=1&sort=-changed_at").await.expect(200);
    let cursor = page.body["page"]["next_cursor"].as_str().unwrap().to_owned();

    postgres.go_back().await;
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

    // What was lost and is sent again, under its old key and ids, is recorded, once.
    for replayed in ["", "true"] {
        let again = acme.post_with("/v1/observations", &clicks(&campaign, "lost", 7), &key).await.expect(200);
        assert_eq!(again.body["accepted"], 1);
        assert_eq!(again.header("idempotency-replayed"), replayed);
    }
    acme.caught_up().await;
    assert_eq!(acme.get(&report).await.expect(200).body["data"][0]["clicks"], 1_012);
    system.verify().await;
    system.stop().await;
    check_generation(&pool, way, acme.workspace(), kept_head).await;
    pool.close().await;
    postgres.stop().await;
}
