//! `read.activity`: given what was decided and corrected, then who did what to which campaign.

use domain::campaign::{Budget, CampaignEvent};
use domain::money::Money;
use domain::observation::ObservationType::{Click, Conversion};
use domain::source::SourceKind;
use projections::catch_up;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::logs::{Log, at, campaign, changed, clicked, corrected, created, eur, pools, registered, source};
use crate::support::replaying::rebuild;
use crate::support::rows::{everything, live_epoch, rows};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn records_actor_and_values_of_each_decision(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let (id, when) = (campaign(1), at("2026-11-22T00:00:00Z"));
    log.append(created(id)).await;
    let budget = Some(Budget::total(Money { micros: 7_000_000_000, currency: eur() }));
    let noted = r#"{"actor": "user:u-1", "correlation_id": "c", "causation_id": "d", "traceparent": "t",
            "received_at": "r", "reason": "more stock", "note_url": "https://a.example"}"#;
    log.append_noted(changed(id, CampaignEvent::CampaignBudgetSet { budget, at: when }), noted).await;
    // Metadata of a shape that nobody writes is no reason to stop.
    log.append_noted(changed(id, CampaignEvent::CampaignLaunched { at: when }), r#"{"actor": 1}"#).await;
    // Neither is an actor of a kind that newer code wrote.
    let noted = r#"{"actor": "robot:7", "traceparent": "t"}"#;
    log.append_noted(changed(id, CampaignEvent::CampaignPaused { at: when }), noted).await;
    // An actor without a kind is a key, as in metadata that was written before actors had kinds.
    let noted = r#"{"actor": "key-1"}"#;
    log.append_noted(changed(id, CampaignEvent::CampaignResumed { at: when }), noted).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(
        rows(
            &admin,
            log.workspace,
            "activity",
            "position, campaign_id, kind, recorded_at AT TIME ZONE 'UTC' AS at, source_id, actor_kind,
             actor_id, correlation_id, causation_id, traceparent, reason, note_url,
             CASE WHEN kind <> 'created' THEN to_values END AS to_values"
        )
        .await,
        json!([
            {"position": 2, "campaign_id": id.to_string(), "kind": "created", "at": "2026-11-22T00:00:02", "source_id": null,
             "actor_kind": null, "actor_id": null, "correlation_id": null, "causation_id": null, "traceparent": null,
             "reason": null, "note_url": null,
             "to_values": null},
            {"position": 3, "campaign_id": id.to_string(), "kind": "budget_changed", "at": "2026-11-22T00:00:03",
             "source_id": null, "actor_kind": "user", "actor_id": "u-1", "correlation_id": "c", "causation_id": "d", "traceparent": "t",
             "reason": "more stock", "note_url": "https://a.example",
             "to_values": {"budget": {"amount": {"micros": 7_000_000_000_i64, "currency": "EUR"}, "per": "total"}}},
            {"position": 4, "campaign_id": id.to_string(), "kind": "launched", "at": "2026-11-22T00:00:04", "source_id": null,
             "actor_kind": null, "actor_id": null, "correlation_id": null, "causation_id": null, "traceparent": null,
             "reason": null, "note_url": null,
             "to_values": {}},
            {"position": 5, "campaign_id": id.to_string(), "kind": "paused", "at": "2026-11-22T00:00:05", "source_id": null,
             "actor_kind": null, "actor_id": null, "correlation_id": null, "causation_id": null, "traceparent": "t",
             "reason": null, "note_url": null, "to_values": {}},
            {"position": 6, "campaign_id": id.to_string(), "kind": "resumed", "at": "2026-11-22T00:00:06", "source_id": null,
             "actor_kind": "key", "actor_id": "key-1", "correlation_id": null, "causation_id": null, "traceparent": null,
             "reason": null, "note_url": null,
             "to_values": {}},
        ])
    );
    let created = rows(&admin, log.workspace, "activity", "to_values->>'name' AS name, kind").await;
    assert_eq!(created[0], json!({"name": format!("Campaign {id}"), "kind": "created"}));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn groups_corrections_of_one_event_by_campaign(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let from = source(1);
    let when = at("2026-11-20T10:00:00Z");
    log.append_all([created(campaign(1)), registered(from, SourceKind::Push), clicked(from, campaign(1), when)]).await;
    let refund = |of: &str, value| {
        corrected(from, (of, of, when), (campaign(1), Conversion, when, -1_000_000, Some(value)), (0, Some(0)))
    };
    let invalid = corrected(from, ("x", "x", when), (campaign(1), Click, when, -2, None), (0, None));
    log.append(refund("a", -9_900_000).and(refund("b", -100_000)).and(invalid)).await;
    catch_up(&pool).await.unwrap();
    let corrections = rows(&admin, log.workspace, "activity", "position, kind, source_id, to_values").await;
    assert_eq!(
        corrections[1],
        json!({"position": 5, "kind": "corrected", "source_id": from.to_string(), "to_values": {
            "corrections": {"click": 1, "conversion": 2},
            "changes": {"clicks": "-2", "conversions": "-2000000", "revenue": "-10000000"}
        }})
    );
    assert_eq!(corrections.as_array().unwrap().len(), 2, "what was only observed is no happening: {corrections}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rebuild_gives_same_activity(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let when = at("2026-11-22T00:00:00Z");
    let noted = r#"{"actor": "key:k-1", "traceparent": "t"}"#;
    log.append_noted(created(campaign(1)), noted).await;
    log.append_noted(changed(campaign(1), CampaignEvent::CampaignLaunched { at: when }), noted).await;
    catch_up(&pool).await.unwrap();
    let first = live_epoch(&admin, log.workspace).await;
    let before = everything(&admin, log.workspace, first, &[]).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(everything(&admin, log.workspace, first, &[]).await, before);
    rebuild(&pool).await;
    let second = live_epoch(&admin, log.workspace).await;
    assert_eq!((second > first, everything(&admin, log.workspace, second, &[]).await), (true, before));
}
