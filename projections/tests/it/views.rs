//! TestEvent events, then rows: one view at a time.

use domain::bucket::{Bucket, Grain};
use domain::campaign::CampaignEvent;
use domain::event::Event;
use domain::measure::Measure;
use domain::observation::ObservationType;
use domain::source::{SourceEvent, SourceKind};
use domain::sync::SyncEvent;
use projections::catch_up;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::logs::{
    Log, TestEvent, at, campaign, changed, clicked, completed, corrected, created, date, observed, pools, registered,
    source, stated, synced,
};
use crate::support::rows::rows;

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn stores_defaults_of_workspace(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = Log::opened(&admin).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(
        rows(&admin, log.workspace, "workspaces", "name, time_zone, currency").await,
        json!([{"name": "Acme", "time_zone": "Europe/Berlin", "currency": "EUR"}])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn stores_campaign_as_its_events_left_it(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let id = campaign(1);
    let when = at("2026-10-21T00:00:00Z");
    log.append(created(id)).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(
        rows(&admin, log.workspace, "campaigns", "campaign_id, version, position, name, state, channels, currency, time_zone,
            starts_on, ends_on, starts_at AT TIME ZONE 'UTC' AS starts_at, budget_micros, budget_per, external_ids, attributes, created_at = changed_at AS untouched").await,
        json!([{
            "campaign_id": id.to_string(), "version": 1, "position": 2, "name": format!("Campaign {id}"), "state": "draft",
            "channels": ["paid_search", "email"], "currency": "EUR", "time_zone": "Europe/Berlin",
            "starts_on": "2026-11-01", "ends_on": "2026-12-31", "starts_at": "2026-10-31T23:00:00",
            "budget_micros": 5_000_000_000_i64, "budget_per": "total", "external_ids": [{"source": "google_ads", "id": "g-1"}],
            "attributes": {"region": "DACH \"süd\""}, "untouched": true
        }])
    );

    // A later batch knows only the zone: the first instant still follows from the day of the first batch.
    log.append_all([
        changed(id, CampaignEvent::CampaignTimeZoneChanged { time_zone: "Asia/Kathmandu".parse().unwrap(), at: when }),
        changed(id, CampaignEvent::CampaignRescheduled { starts_on: date("2026-11-01"), ends_on: None, at: when }),
        changed(id, CampaignEvent::CampaignBudgetSet { budget: None, at: when }),
        changed(id, CampaignEvent::CampaignLaunched { at: when }),
        changed(id, CampaignEvent::CampaignPaused { at: when }),
    ])
    .await;
    catch_up(&pool).await.unwrap();
    assert_eq!(
        rows(
            &admin,
            log.workspace,
            "campaigns",
            "version, position, state, ends_on, budget_micros, budget_per,
            starts_at AT TIME ZONE 'UTC' AS starts_at, created_at AT TIME ZONE 'UTC' AS created_at,
            changed_at AT TIME ZONE 'UTC' AS changed_at, channels"
        )
        .await,
        json!([{
            "version": 6, "position": 7, "state": "paused", "ends_on": null, "budget_micros": null, "budget_per": null,
            "starts_at": "2026-10-31T18:15:00", "created_at": "2026-11-22T00:00:02", "changed_at": "2026-11-22T00:00:07",
            "channels": ["paid_search", "email"]
        }])
    );

    log.append_all([
        changed(id, CampaignEvent::CampaignResumed { at: when }),
        changed(id, CampaignEvent::CampaignRenamed { name: "Renamed".into(), at: when }),
        changed(id, CampaignEvent::CampaignChannelsSet { channels: vec![], at: when }),
    ])
    .await;
    catch_up(&pool).await.unwrap();
    assert_eq!(
        rows(&admin, log.workspace, "campaigns", "state, name, channels").await,
        json!([{"state": "launched", "name": "Renamed", "channels": []}])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn stores_source_as_registered(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append(registered(source(1), SourceKind::Pull)).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(
        rows(&admin, log.workspace, "sources", "source_id, name, channel, role, measure_roles, currency, definition")
            .await,
        json!([{
            "source_id": source(1).to_string(), "name": "source_20481", "channel": "paid_search", "role": "primary",
            "measure_roles": {"conversions": "reference"}, "currency": "EUR",
            "definition": {
                "name": "source_20481", "channel": "paid_search", "kind": "pull", "role": "primary",
                "measure_roles": {"conversions": "reference"}, "time_zone": "America/New_York", "currency": "EUR",
                "expected_delay_s": 3600, "horizons": {"delivery": 259_200, "conversions": 259_200}
            }
        }])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn stores_last_syncs_of_source(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let id = source(1);
    let columns = "last_started_at AT TIME ZONE 'UTC' AS started, last_completed_at AT TIME ZONE 'UTC' AS completed,
                   last_failed_at AT TIME ZONE 'UTC' AS failed, failure_reason,
                   complete_through AT TIME ZONE 'UTC' AS through, grain";
    log.append(synced(SyncEvent::SyncStarted { source: id, at: at("2026-11-21T01:00:00Z") })).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(
        rows(&admin, log.workspace, "source_syncs", columns).await,
        json!([{"started": "2026-11-21T01:00:00", "completed": null, "failed": null, "failure_reason": null,
                "through": null, "grain": null}])
    );

    log.append_all([
        completed(id, "2026-11-21T01:05:00Z", "2026-11-21T00:00:00Z", Grain::Day),
        // Says less than before: completeness never goes back.
        completed(id, "2026-11-21T02:05:00Z", "2026-11-20T22:00:00Z", Grain::Hour),
        synced(SyncEvent::SyncFailed { source: id, at: at("2026-11-21T03:00:00Z"), reason: "quota".into() }),
    ])
    .await;
    catch_up(&pool).await.unwrap();
    assert_eq!(
        rows(&admin, log.workspace, "source_syncs", columns).await,
        json!([{"started": "2026-11-21T01:00:00", "completed": "2026-11-21T02:05:00", "failed": "2026-11-21T03:00:00",
                "failure_reason": "quota", "through": "2026-11-21T00:00:00", "grain": "day"}])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn records_each_run_that_ended_well_or_reopened(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let id = source(1);
    log.append(synced(SyncEvent::SyncStarted { source: id, at: at("2026-11-21T00:50:00Z") })).await;
    catch_up(&pool).await.unwrap();
    // The start is known from the row: the batch does not hold it.
    log.append_all([
        completed(id, "2026-11-21T01:00:00Z", "2026-11-20T00:00:00Z", Grain::Day),
        completed(id, "2026-11-22T01:00:00Z", "2026-11-21T00:00:00Z", Grain::Day),
        synced(SyncEvent::SyncReopened {
            source: id,
            at: at("2026-11-22T02:00:00Z"),
            complete_through: at("2026-11-20T00:00:00Z"),
        }),
    ])
    .await;
    catch_up(&pool).await.unwrap();
    let columns = "completed_at AT TIME ZONE 'UTC' AS at, started_at AT TIME ZONE 'UTC' AS started,
                   covers_from AT TIME ZONE 'UTC' AS \"from\", covers_to AT TIME ZONE 'UTC' AS \"to\", is_reopening";
    assert_eq!(
        rows(&admin, log.workspace, "source_runs", columns).await,
        json!([
            {"at": "2026-11-21T01:00:00", "started": "2026-11-21T00:50:00", "from": null, "to": "2026-11-20T00:00:00",
             "is_reopening": false},
            {"at": "2026-11-22T01:00:00", "started": "2026-11-22T01:00:00", "from": "2026-11-17T00:00:00",
             "to": "2026-11-21T00:00:00", "is_reopening": false},
            {"at": "2026-11-22T02:00:00", "started": "2026-11-22T02:00:00", "from": null, "to": "2026-11-20T00:00:00",
             "is_reopening": true},
        ])
    );
    assert_eq!(
        rows(&admin, log.workspace, "source_syncs", "complete_through AT TIME ZONE 'UTC' AS through").await,
        json!([{"through": "2026-11-20T00:00:00"}])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn keeps_changes_of_sources_and_the_measures_that_they_state(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let id = source(1);
    let ended =
        SourceEvent::SourceEnded { source: id, ends_at: at("2026-11-21T00:00:00Z"), at: at("2026-11-21T09:00:00Z") };
    log.append_all([
        registered(id, SourceKind::Push),
        TestEvent { stream: id.0, event: Event::Source(ended.clone()) },
        observed(
            id,
            &[
                (campaign(1), ObservationType::Click, at("2026-11-20T10:00:00Z"), 1, None),
                (campaign(1), ObservationType::Conversion, at("2026-11-20T10:00:00Z"), 1_000_000, Some(5)),
            ],
        ),
    ])
    .await;
    catch_up(&pool).await.unwrap();
    assert_eq!(
        rows(&admin, log.workspace, "source_changes", "source_id, event").await,
        json!([{"source_id": id.to_string(), "event": serde_json::to_value(&ended).unwrap()}])
    );
    assert_eq!(
        rows(&admin, log.workspace, "source_measures", "measure").await,
        json!([{"measure": "clicks"}, {"measure": "conversions"}, {"measure": "revenue"}])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn stores_grains_and_zones_of_source(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let said = |day| [(campaign(1), Bucket::Day(day), at("2026-11-21T00:00:00Z"), &[(Measure::Clicks, 1)][..])];
    let (first, second) = ("2026-11-19".parse().unwrap(), "2026-11-20".parse().unwrap());
    log.append_all([
        stated(source(1), Grain::Day, "Europe/Berlin", &said(first)),
        stated(source(1), Grain::Day, "Europe/Berlin", &said(second)),
        stated(source(1), Grain::Day, "UTC", &said(second)),
        stated(source(2), Grain::Hour, "UTC", &[]),
    ])
    .await;
    catch_up(&pool).await.unwrap();
    assert_eq!(
        rows(&admin, log.workspace, "source_grains", "source_id, grain, time_zone").await,
        json!([{"source_id": source(1).to_string(), "grain": "day", "time_zone": "Europe/Berlin"},
               {"source_id": source(1).to_string(), "grain": "day", "time_zone": "UTC"}])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn sums_observations_by_quarter_hour(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let (id, from) = (campaign(1), source(1));
    let largest = 1_000_000_000_000_000;
    log.append(observed(
        from,
        &[
            (id, ObservationType::Click, at("2026-11-21T10:00:00Z"), 1, Some(250_000)),
            (id, ObservationType::Click, at("2026-11-21T10:14:59.999Z"), 2, None),
            (id, ObservationType::Click, at("2026-11-21T10:15:00Z"), 1, None),
            (id, ObservationType::Conversion, at("2026-11-21T10:01:00Z"), 500_000, Some(largest)),
        ],
    ))
    .await;
    catch_up(&pool).await.unwrap();
    // Far past what 64 bits hold: 20,000 of the largest amount in one batch, on top of the one that is stored.
    let many = vec![(id, ObservationType::Conversion, at("2026-11-21T10:02:00Z"), 500_000, Some(largest)); 20_000];
    log.append(observed(from, &many)).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(
        rows(
            &admin,
            log.workspace,
            "rollup_15m",
            "bucket AT TIME ZONE 'UTC' AS bucket, measure, value::text,
            changed_at AT TIME ZONE 'UTC' AS changed"
        )
        .await,
        json!([
            {"bucket": "2026-11-21T10:00:00", "measure": "clicks", "value": "3", "changed": "2026-11-22T00:00:02"},
            {"bucket": "2026-11-21T10:00:00", "measure": "conversions", "value": "10000500000", "changed": "2026-11-22T00:00:03"},
            {"bucket": "2026-11-21T10:00:00", "measure": "revenue", "value": "20001000000000000000", "changed": "2026-11-22T00:00:03"},
            {"bucket": "2026-11-21T10:00:00", "measure": "spend", "value": "250000", "changed": "2026-11-22T00:00:02"},
            {"bucket": "2026-11-21T10:15:00", "measure": "clicks", "value": "1", "changed": "2026-11-22T00:00:02"},
        ])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn correction_counts_in_bucket_of_its_original(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let sold = at("2026-11-20T09:07:30Z");
    let sale = |count, value| (campaign(1), ObservationType::Conversion, sold, count, value);
    log.append(observed(source(1), &[sale(1_000_000, Some(59_900_000))])).await;
    let of = |id, when| (id, "o-0", at(when));
    let credited = corrected(
        source(1),
        of("c-1", "2026-11-21T12:00:00Z"),
        sale(-666_667, Some(-39_933_334)),
        (333_333, Some(19_966_666)),
    );
    let paid_back =
        corrected(source(1), of("c-2", "2026-11-22T12:00:00Z"), sale(0, Some(-19_966_666)), (333_333, Some(0)));
    log.append_all([credited, paid_back]).await;
    catch_up(&pool).await.unwrap();

    assert_eq!(
        rows(
            &admin,
            log.workspace,
            "rollup_15m",
            "bucket AT TIME ZONE 'UTC' AS bucket, measure, value, changed_at AT TIME ZONE 'UTC' AS changed_at"
        )
        .await,
        json!([
            {"bucket": "2026-11-20T09:00:00", "measure": "conversions", "value": 333_333, "changed_at": "2026-11-22T00:00:03"},
            {"bucket": "2026-11-20T09:00:00", "measure": "revenue", "value": 0, "changed_at": "2026-11-22T00:00:04"},
        ])
    );
    let columns =
        "campaign_id, position, item, source_id, type, original_id, correction_id, count_change, value_change,
        count, value, bucket AT TIME ZONE 'UTC' AS bucket, occurred_at AT TIME ZONE 'UTC' AS occurred_at,
        corrected_at AT TIME ZONE 'UTC' AS corrected_at, recorded_at AT TIME ZONE 'UTC' AS recorded_at";
    assert_eq!(
        rows(&admin, log.workspace, "corrections", columns).await,
        json!([
            {"campaign_id": campaign(1).to_string(), "position": 3, "item": 0, "source_id": source(1).to_string(),
             "type": "conversion", "original_id": "o-0", "correction_id": "c-1", "count_change": -666_667,
             "value_change": -39_933_334, "count": 333_333, "value": 19_966_666, "bucket": "2026-11-20T09:00:00",
             "occurred_at": "2026-11-20T09:07:30", "corrected_at": "2026-11-21T12:00:00",
             "recorded_at": "2026-11-22T00:00:03"},
            {"campaign_id": campaign(1).to_string(), "position": 4, "item": 0, "source_id": source(1).to_string(),
             "type": "conversion", "original_id": "o-0", "correction_id": "c-2", "count_change": 0,
             "value_change": -19_966_666, "count": 333_333, "value": 0, "bucket": "2026-11-20T09:00:00",
             "occurred_at": "2026-11-20T09:07:30", "corrected_at": "2026-11-22T12:00:00",
             "recorded_at": "2026-11-22T00:00:04"},
        ])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn source_feeds_campaigns_of_its_observations(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let hour = Bucket::Starts(at("2026-11-21T10:00:00Z"));
    log.append_all([
        clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z")),
        clicked(source(1), campaign(1), at("2026-11-21T11:00:00Z")),
        stated(
            source(2),
            Grain::Hour,
            "UTC",
            &[(campaign(1), hour, at("2026-11-21T12:00:00Z"), &[(Measure::Clicks, 1)])],
        ),
    ])
    .await;
    catch_up(&pool).await.unwrap();
    assert_eq!(
        rows(&admin, log.workspace, "campaign_sources", "campaign_id, source_id").await,
        json!([{"campaign_id": campaign(1).to_string(), "source_id": source(1).to_string()},
               {"campaign_id": campaign(1).to_string(), "source_id": source(2).to_string()}])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn marks_every_touched_scope(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let (one, two, from) = (campaign(1), campaign(2), source(1));
    // The first day of the year begins on the last evening of the year before, in UTC.
    let new_year = Bucket::Day(date("2027-01-01"));
    log.append_all([
        created(one),
        registered(from, SourceKind::Pull),
        clicked(from, one, at("2026-11-30T23:59:59Z")),
        clicked(from, one, at("2026-12-01T00:00:00Z")),
        stated(
            from,
            Grain::Day,
            "Europe/Berlin",
            &[(two, new_year, at("2027-01-02T00:00:00Z"), &[(Measure::Clicks, 1)])],
        ),
        synced(SyncEvent::SyncStarted { source: from, at: at("2027-01-02T00:00:00Z") }),
    ])
    .await;
    catch_up(&pool).await.unwrap();
    let mark = |scope: String, position: i64| json!({"scope": scope, "position": position});
    assert_eq!(
        rows(&admin, log.workspace, "scope_marks", "scope, position").await,
        json!([
            mark(format!("campaign:{one}"), 5),
            mark(format!("campaign:{one}:2026-11"), 4),
            mark(format!("campaign:{one}:2026-12"), 5),
            mark(format!("campaign:{two}"), 6),
            mark(format!("campaign:{two}:2026-12"), 6),
            mark(format!("campaign:{two}:2027-01"), 6),
            mark("date:2027-01-01".into(), 6),
            mark("day:2026-11-30".into(), 4),
            mark("day:2026-12-01".into(), 5),
            mark("hour:2026-11-30T23".into(), 4),
            mark("hour:2026-12-01T00".into(), 5),
            mark("month:2026-11".into(), 4),
            mark("month:2026-12".into(), 6),
            mark("month:2027-01".into(), 6),
            mark(format!("source:{from}"), 7),
            mark(format!("source:{from}:settings"), 3),
            mark("workspace".into(), 7),
        ])
    );
}
