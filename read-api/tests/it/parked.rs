//! What waits because it cannot be applied is told by every answer that lacks it, and by no other.

use domain::bucket::Grain;
use domain::campaign::CampaignEvent;
use http::StatusCode;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{at, campaign, changed, clicks, completed, created, pushing};
use crate::support::{Reply, World};

const THE_18TH: &str = "date_from=2026-11-18&date_to=2026-11-18&time_zone=UTC&measures=clicks";

fn metrics(n: u128) -> String {
    format!("/v1/campaigns/{}/metrics?{THE_18TH}", campaign(n))
}

/// Two campaigns whose clicks of the 18th are final.
async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            created(2, "Hats", &["paid_search"]),
            pushing(1, "tracker", "paid_search"),
            clicks(1, 1, "2026-11-18T10:00:00Z", 1),
            clicks(1, 2, "2026-11-18T10:00:00Z", 2),
        ])
        .await;
    world.set_clock("2026-11-22T12:05:00Z");
    world.given([completed(1, "2026-11-22T12:05:00Z", "2026-11-22T12:00:00Z", Grain::QuarterHour)]).await;
    world
}

/// The database refuses numbers of the first campaign.
async fn forbid(world: &World) {
    let rule = format!("CHECK (campaign_id <> '{}') NOT VALID", campaign(1));
    sqlx::query(&format!("ALTER TABLE read.rollup_15m ADD CONSTRAINT forbidden {rule}"))
        .execute(&world.admin)
        .await
        .unwrap();
}

#[track_caller]
fn assert_settled(reply: &Reply) {
    assert_eq!((reply.column("state"), reply.warnings()), (vec![json!("final")], vec![]));
    assert_eq!(reply.body["meta"]["freshness"]["sources"][0]["parked"], json!(0));
    assert!(!reply.header("data-freshness").contains("parked"), "{reply}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn incomplete_numbers_have_a_warning_until_retried(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let before = world.get(&metrics(1)).await.ok();
    assert_settled(&before);
    forbid(&world).await;
    let first = world.given([clicks(1, 1, "2026-11-18T11:00:00Z", 5)]).await;

    let lacking = world.get_with(&metrics(1), &[("if-none-match", before.etag())]).await.ok();
    assert_eq!((lacking.column("clicks"), lacking.column("state")), (vec![json!(1)], vec![json!("provisional")]));
    assert_eq!(lacking.warnings(), ["parked"]);
    let freshness = &lacking.body["meta"]["freshness"];
    assert_eq!(
        (&freshness["state"], &freshness["first_incomplete"]),
        (&json!("provisional"), &json!("2026-11-18T00:00:00Z"))
    );
    assert_eq!(
        (&freshness["sources"][0]["parked"], &freshness["sources"][0]["final_through"]),
        (&json!(1), &json!(null))
    );
    assert_eq!(lacking.header("data-freshness"), "state=provisional, lag=0.000, parked=1");
    let settled = world.get(&format!("{}&data_state=final", metrics(1))).await.ok();
    assert_eq!(settled.body["data"], json!([]));
    // The other campaign's are whole.
    assert_settled(&world.get(&metrics(2)).await.ok());
    let query = json!({"date_from": "2026-11-18", "date_to": "2026-11-18", "time_zone": "UTC", "measures": ["clicks"],
                       "group_by": ["campaign"]});
    let both = world.report(&query).await.ok();
    assert_eq!(both.column("state"), [json!("provisional"), json!("final")]);

    // One's own write is not visible, however far the log is applied.
    let at_least = |n: u128, position: i64| format!("{}&min_position={position}", metrics(n));
    assert!(world.get(&at_least(1, first)).await.ok().header("data-freshness").contains("satisfied=?0"));
    assert!(world.get(&at_least(1, first - 1)).await.ok().header("data-freshness").contains("satisfied=?1"));
    assert!(world.get(&at_least(2, first)).await.ok().header("data-freshness").contains("satisfied=?1"));
    let refused = world.get(&format!("{}&on_timeout=error", at_least(1, first))).await;
    assert_eq!(refused.problem(503), "not-yet-visible");

    // What joins it moves the version, too.
    assert_eq!(
        world.get_with(&metrics(1), &[("if-none-match", lacking.etag())]).await.status,
        StatusCode::NOT_MODIFIED
    );
    world.given([clicks(1, 1, "2026-11-18T12:00:00Z", 7)]).await;
    let more = world.get_with(&metrics(1), &[("if-none-match", lacking.etag())]).await.ok();
    assert_eq!(more.body["meta"]["freshness"]["sources"][0]["parked"], json!(2));

    let now = world.get("/v1/freshness").await.ok();
    let part = &now.body["data"]["projections"][0]["parked"][0];
    assert_eq!((&part["position"], &part["events"]), (&json!(first), &json!(2)));
    assert_eq!((&part["stream_type"], &part["campaign_id"]), (&json!("observations"), &json!(campaign(1).0)));
    assert!(part["reason"].as_str().unwrap().contains("forbidden"), "{part}");
    assert_eq!(now.body["data"]["sources"][0]["parked"], json!(2));

    // Once they are applied, though no event came, the answer is another one.
    sqlx::query("ALTER TABLE read.rollup_15m DROP CONSTRAINT forbidden").execute(&world.admin).await.unwrap();
    world.project().await;
    let whole = world.get_with(&metrics(1), &[("if-none-match", more.etag())]).await.ok();
    assert_settled(&whole);
    assert_eq!(whole.column("clicks"), [json!(13)]);
    assert!([&before, &lacking, &more].iter().all(|reply| reply.etag() != whole.etag()));
    let now = world.get("/v1/freshness").await.ok();
    assert_eq!(now.body["data"]["projections"][0]["parked"], json!([]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn parked_first_event_of_a_source_is_reported(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    forbid(&world).await;
    world.given([pushing(2, "mailer", "email"), clicks(2, 1, "2026-11-18T11:00:00Z", 5)]).await;
    let lacking = world.get(&metrics(1)).await.ok();
    assert_eq!(lacking.column("state"), [json!("provisional")]);
    let sources = &lacking.body["meta"]["freshness"]["sources"];
    assert_eq!((&sources[0]["source"], &sources[0]["parked"]), (&json!("mailer"), &json!(1)));
    assert_eq!((&sources[1]["source"], &sources[1]["parked"]), (&json!("tracker"), &json!(0)));
    // It is no matter of the other source, nor of its channel.
    let by_channel = world.get(&format!("{}&group_by=channel", metrics(1))).await.ok();
    assert_eq!(by_channel.column("state"), [json!("final")]);
    let by_source = world.get(&format!("{}&group_by=source", metrics(1))).await.ok();
    assert_eq!(by_source.column("state"), [json!("final")]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn campaign_with_parked_changes_has_a_warning(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let renamed = CampaignEvent::CampaignRenamed { name: "Boots".to_owned(), at: at("2026-11-22T12:00:00Z") };
    let head = world.append(world.workspace, [changed(1, renamed)]).await;
    let payload = r#"{"CampaignRenamed":{"name":"a\u0000b","at":"2026-11-22T12:00:00Z"}}"#;
    sqlx::query("UPDATE log.events SET payload = $1::json WHERE position = $2")
        .bind(payload)
        .bind(head)
        .execute(&world.admin)
        .await
        .unwrap();
    world.project().await;
    let path = |n: u128| format!("/v1/campaigns/{}?min_position={head}", campaign(n));
    let one = world.get(&path(1)).await.ok();
    assert_eq!((&one.body["data"]["name"], one.warnings()), (&json!("Shoes"), vec!["parked"]));
    assert_eq!(one.header("data-freshness"), "lag=0.000, satisfied=?0, parked=1");
    let other = world.get(&path(2)).await.ok();
    assert_eq!((other.warnings(), other.header("data-freshness")), (vec![], "lag=0.000, satisfied=?1"));
    assert_eq!(world.get("/v1/campaigns").await.ok().warnings(), ["parked"]);
}
