//! Cursors: whole, in order, and bound to what they were made for.

use domain::campaign::CampaignEvent;
use platform::keys::{NewKey, insert_key};
use platform::principal::Scope;
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::support::given::{at, campaign, changed, clicks, created, observed, opened, pushing};
use crate::support::{Reply, World, report_path};

async fn shops(world: &mut World) {
    world.given([pushing(1, "tracker", "paid_search"), pushing(2, "mailer", "email")]).await;
    for n in 1..=7 {
        // Names repeat, so that ties must be broken.
        world.given([created(n, &format!("Shop {}", n % 3), &["email"])]).await;
        for day in 18..=20 {
            let count = i64::try_from(n % 4).unwrap();
            world.given([clicks(1, n, &format!("2026-11-{day}T10:00:00Z"), count)]).await;
        }
    }
    world
        .given([observed(2, 1, &[(domain::observation::ObservationType::Open, "2026-11-18T10:00:00Z", 1, None)])])
        .await;
}

/// Follows `Link: rel="next"` to the end.
async fn all_pages(world: &World, first: &str) -> Vec<Reply> {
    let mut pages = vec![world.get(first).await.ok()];
    while let Some(link) = pages.last().unwrap().headers.get("link") {
        let next = link.to_str().unwrap().strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        pages.push(world.get(next).await.ok());
        assert!(pages.len() < 100);
    }
    assert_eq!(pages.last().unwrap().body["page"]["next_cursor"], json!(null));
    pages
}

fn rows(pages: &[Reply]) -> Vec<Value> {
    pages.iter().flat_map(|page| page.body["data"].as_array().unwrap().clone()).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn pages_of_campaigns_contain_the_whole_list(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shops(&mut world).await;
    for sort in ["name", "-name", "created_at", "-changed_at", "starts_on", "-starts_on"] {
        let whole = rows(&[world.get(&format!("/v1/campaigns?sort={sort}")).await.ok()]);
        let pages = all_pages(&world, &format!("/v1/campaigns?sort={sort}&limit=2")).await;
        assert_eq!(pages.len(), 4);
        assert_eq!(rows(&pages), whole, "{sort}");
    }
    let names = world.get("/v1/campaigns?sort=-name&fields=name").await.ok().column("name");
    assert_eq!(names, ["Shop 2", "Shop 2", "Shop 1", "Shop 1", "Shop 1", "Shop 0", "Shop 0"].map(|name| json!(name)));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn pages_of_a_report_contain_the_whole_report(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shops(&mut world).await;
    let query = |order_by: &Value, limit: usize| {
        json!({"date_from": "2026-11-18", "date_to": "2026-11-20", "time_zone": "UTC", "granularity": "day", "limit": limit,
               "measures": ["clicks", "opens"], "group_by": ["campaign", "source"], "order_by": order_by})
    };
    for order_by in [json!([]), json!(["-clicks"]), json!(["opens", "-bucket"]), json!(["-source", "clicks"])] {
        let whole = rows(&[world.get(&report_path(&query(&order_by, 1000))).await.ok()]);
        assert_eq!(whole.len(), 22);
        let pages = all_pages(&world, &report_path(&query(&order_by, 3))).await;
        assert_eq!(pages.len(), 8);
        assert_eq!(rows(&pages), whole, "{order_by}");
    }
    let clicks = world.report(&query(&json!(["-clicks"]), 1000)).await.ok().column("clicks");
    assert_eq!((&clicks[0], &clicks[21]), (&json!(3), &json!(null)));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn long_query_is_paged_by_cursor_without_link(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shops(&mut world).await;
    let campaigns: Vec<_> = (0..1000).map(|n| campaign(n).to_string()).collect();
    let mut query =
        json!({"measures": ["clicks"], "group_by": ["campaign"], "filters": {"campaign_id": campaigns}, "limit": 4});
    let first = world.report(&query).await.ok();
    assert!(!first.headers.contains_key("link") && !first.headers.contains_key("content-location"));
    query["cursor"] = first.body["page"]["next_cursor"].clone();
    assert_eq!(world.report(&query).await.ok().column("clicks").len(), 3);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn pages_of_metrics_stay_in_their_range(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shops(&mut world).await;
    let first = world.get(&format!("/v1/campaigns/{}/metrics?limit=2&measures=clicks", campaign(1))).await.ok();
    let next = first.header("link").to_owned();
    assert!(next.contains("date_from=2026-10-24&date_to=2026-11-22"), "{next}");
    // A day later, the link still asks for the same days.
    world.set_clock("2026-11-23T12:00:00Z");
    let next = next.strip_prefix('<').unwrap().split('>').next().unwrap();
    assert_eq!(world.get(next).await.ok().column("bucket"), [json!("2026-11-20")]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn new_rows_between_pages_shift_nothing(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shops(&mut world).await;
    let first = world.get("/v1/campaigns?limit=3").await.ok();
    let cursor = first.body["page"]["next_cursor"].as_str().unwrap().to_owned();
    world.given([created(8, "Aaa", &["email"]), created(9, "Zzz", &["email"])]).await;
    let rest = world.get(&format!("/v1/campaigns?limit=100&cursor={cursor}")).await.ok();
    let mut names = first.column("name");
    names.extend(rest.column("name"));
    assert_eq!(
        names,
        ["Shop 0", "Shop 0", "Shop 1", "Shop 1", "Shop 1", "Shop 2", "Shop 2", "Zzz"].map(|name| json!(name))
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn page_says_that_rows_moved_since_the_first_one(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shops(&mut world).await;
    let by_change = "/v1/campaigns?sort=-changed_at&limit=3";
    let first = world.get(by_change).await.ok();
    assert_eq!(first.body["page"].get("moved"), None);
    let cursor = |page: &Reply| page.body["page"]["next_cursor"].as_str().unwrap().to_owned();
    let second = world.get(&format!("{by_change}&cursor={}", cursor(&first))).await.ok();
    assert_eq!(second.body["page"]["moved"], json!(false));
    // A campaign of the last page comes to stand before the pages that were read.
    world.set_clock("2026-11-22T12:00:01Z");
    let renamed = CampaignEvent::CampaignRenamed { name: "Moved".to_owned(), at: at("2026-11-22T12:00:01Z") };
    world.given([changed(1, renamed)]).await;
    let last = world.get(&format!("{by_change}&cursor={}", cursor(&second))).await.ok();
    assert_eq!(last.body["page"]["moved"], json!(true));
    let names: Vec<_> = [&first, &second, &last].into_iter().flat_map(|page| page.column("name")).collect();
    assert!(!names.contains(&json!("Moved")), "{names:?}");
    // The page that was read before is another one now, too, and says so.
    let path = format!("{by_change}&cursor={}", cursor(&first));
    let again = world.get_with(&path, &[("if-none-match", second.etag())]).await.ok();
    assert_eq!(again.body["page"]["moved"], json!(true));

    // Numbers of elsewhere move no row of a list of campaigns.
    let first = world.get("/v1/campaigns?limit=3").await.ok();
    world.given([clicks(1, 1, "2026-11-20T10:00:00Z", 1)]).await;
    let second = world.get(&format!("/v1/campaigns?limit=3&cursor={}", cursor(&first))).await.ok();
    assert_eq!(second.body["page"]["moved"], json!(false));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn cursor_of_a_lost_part_is_a_reset(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shops(&mut world).await;
    let first = world.get("/v1/campaigns?limit=3").await.ok();
    let cursor = first.body["page"]["next_cursor"].as_str().unwrap().to_owned();
    // As after a restore, another event stands at the position of the first page's version.
    sqlx::query("UPDATE log.events SET recorded_at = recorded_at + interval '1 microsecond'")
        .execute(&world.admin)
        .await
        .unwrap();
    let refused = world.get(&format!("/v1/campaigns?limit=3&cursor={cursor}")).await;
    assert_eq!(refused.problem(410), "log-restored");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_cursor_of_another_query(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shops(&mut world).await;
    let page = world.get("/v1/campaigns?limit=3").await.ok();
    let cursor = page.body["page"]["next_cursor"].as_str().unwrap().to_owned();
    let mismatched = world.get(&format!("/v1/campaigns?sort=-name&cursor={cursor}")).await;
    assert_eq!(mismatched.problem(400), "cursor-mismatch");
    let of_a_report = world.report(&json!({"cursor": cursor})).await;
    assert_eq!(of_a_report.problem(400), "cursor-mismatch");
    for garbage in ["x", "e30", "bnVsbA", "%25"] {
        let reply = world.get(&format!("/v1/campaigns?cursor={garbage}")).await;
        assert_eq!((reply.problem(400), reply.wrong_fields()), ("invalid-query", vec!["cursor"]));
    }

    // Another workspace's. Whoever of the same workspace sees the same may go on with it, whatever else its scopes allow.
    let other = world.open("other", "hw_other").await;
    world.append(other, [opened("Europe/Berlin")]).await;
    world.project().await;
    let mut conn = world.admin.acquire().await.unwrap();
    let mut answers = Vec::new();
    for (key, workspace, scopes) in
        [("hw_wide", world.workspace, vec![Scope::Read, Scope::Command]), ("hw_far", other, vec![Scope::Read])]
    {
        let new = NewKey { workspace, name: key, scopes: &scopes };
        insert_key(&mut conn, new, &SecretString::from(key), at("2026-11-22T00:00:00Z")).await.unwrap();
        let key = format!("Bearer {key}");
        answers.push(world.get_with(&format!("/v1/campaigns?cursor={cursor}"), &[("authorization", &key)]).await);
    }
    assert_eq!(answers[1].problem(400), "cursor-mismatch");
    answers.remove(0).ok();

    projections::replay(&world.projector, "campaign_model", &world.replaying(), &|_| {}, CancellationToken::new())
        .await
        .unwrap();
    let expired = world.get(&format!("/v1/campaigns?limit=3&cursor={cursor}")).await;
    assert_eq!(expired.problem(410), "cursor-expired");
}
