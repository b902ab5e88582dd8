//! Totals by one dimension, and which values are kept.

use domain::observation::ObservationType;
use projections::{ReplayOutcome, catch_up, replay};
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::support::logs::{Log, TestEvent, at, campaign, corrected, naming, observed, pools, source};
use crate::support::rows::{everything, live_rows, rows};

const TOTALS: &str = "dimension, value, measure, sum, bucket AT TIME ZONE 'UTC' AS bucket";

/// Clicks on one campaign at one time, each on an ad.
pub(crate) fn clicks_on(from: u128, ads: &[&str]) -> TestEvent {
    let seen = vec![(campaign(1), ObservationType::Click, at("2026-11-21T10:07:00Z"), 1, None); ads.len()];
    let named: Vec<[(&str, &str); 1]> = ads.iter().map(|&ad| [("ad", ad)]).collect();
    let named: Vec<&[(&str, &str)]> = named.iter().map(<[_; 1]>::as_slice).collect();
    naming(observed(source(from), &seen), &named)
}

pub(crate) async fn keep(admin: &PgPool, values: i32) {
    sqlx::query(
        "INSERT INTO read.dimension_limits VALUES ('campaign_model', $1)
         ON CONFLICT (projection) DO UPDATE SET dimension_values = excluded.dimension_values",
    )
    .bind(values)
    .execute(admin)
    .await
    .unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn sums_observations_by_each_kept_dimension(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let sold = at("2026-11-21T10:07:00Z");
    let sale = |count, value| (campaign(1), ObservationType::Conversion, sold, count, value);
    let named: &[(&str, &str)] = &[("country", "DE"), ("device", "phone"), ("weather", "rain")];
    log.append(naming(
        observed(source(1), &[sale(1_000_000, Some(30)), sale(1_000_000, Some(12)), sale(500_000, None)]),
        &[named, &[("country", "FR")], &[]],
    ))
    .await;
    // A correction carries what its original names.
    let refund =
        corrected(source(1), ("c-1", "o-0", at("2026-11-22T09:00:00Z")), sale(0, Some(-30)), (1_000_000, Some(0)));
    log.append(naming(refund, &[named])).await;
    catch_up(&pool).await.unwrap();

    let row = |dimension: &str, value: &str, measure: &str, sum: i64| json!({"dimension": dimension, "value": value, "measure": measure, "sum": sum, "bucket": "2026-11-21T10:00:00"});
    assert_eq!(
        rows(&admin, log.workspace, "dimension_totals", TOTALS).await,
        json!([
            row("country", "DE", "conversions", 1_000_000),
            row("country", "DE", "revenue", 0),
            row("country", "FR", "conversions", 1_000_000),
            row("country", "FR", "revenue", 12),
            row("device", "phone", "conversions", 1_000_000),
            row("device", "phone", "revenue", 0),
        ])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn keeps_first_values_of_source_and_sums_rest_as_other(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    keep(&admin, 3).await;
    let mut log = Log::opened(&admin).await;
    // In batches of their own and together, with a second source that counts for itself.
    log.append(clicks_on(1, &["c", "a"])).await;
    catch_up(&pool).await.unwrap();
    log.append_all([clicks_on(1, &["d", "b", "(other)", "a"]), clicks_on(2, &["e"]), clicks_on(1, &["e", "d", "c"])])
        .await;
    catch_up(&pool).await.unwrap();

    let totals = "source_id, value, sum";
    let row =
        |from: u128, value: &str, sum: i64| json!({"source_id": source(from).to_string(), "value": value, "sum": sum});
    assert_eq!(
        rows(&admin, log.workspace, "dimension_totals", totals).await,
        json!([row(1, "(other)", 3), row(1, "a", 2), row(1, "c", 2), row(1, "d", 2), row(2, "e", 1)])
    );
    let kept = |from: u128, value: &str, rank: i32| json!({"source_id": source(from).to_string(), "value": value, "rank": rank});
    assert_eq!(
        rows(&admin, log.workspace, "dimension_values", "source_id, value, rank").await,
        json!([kept(1, "a", 2), kept(1, "c", 1), kept(1, "d", 3), kept(2, "e", 1)])
    );

    // A replay in one piece keeps the same ones, and rows once written are not written again.
    let before = live_rows(&admin, log.workspace).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(live_rows(&admin, log.workspace).await, before);
    let rebuilt =
        replay(&pool, "campaign_model", &crate::support::replaying::of_all(), &|_| {}, CancellationToken::new())
            .await
            .unwrap();
    assert!(matches!(rebuilt, ReplayOutcome::Completed { epoch: 2, .. }));
    assert_eq!(everything(&admin, log.workspace, 2, &[]).await, before);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn new_limit_applies_from_next_rebuild(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    keep(&admin, 1).await;
    let mut log = Log::opened(&admin).await;
    log.append(clicks_on(1, &["a", "b"])).await;
    catch_up(&pool).await.unwrap();
    keep(&admin, 2).await;
    log.append(clicks_on(1, &["c", "b"])).await;
    catch_up(&pool).await.unwrap();
    let totals = |rows: &[(&str, i64)]| {
        rows.iter().map(|(value, sum)| json!({"value": value, "sum": sum})).collect::<serde_json::Value>()
    };
    assert_eq!(
        rows(&admin, log.workspace, "dimension_totals", "value, sum").await,
        totals(&[("(other)", 3), ("a", 1)])
    );

    replay(&pool, "campaign_model", &crate::support::replaying::of_all(), &|_| {}, CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(
        rows(&admin, log.workspace, "dimension_totals", "value, sum").await,
        totals(&[("(other)", 1), ("a", 1), ("b", 2)])
    );
}
