//! When observations of sources were last recorded.

use domain::bucket::Grain;
use projections::catch_up;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::logs::{Log, at, campaign, clicked, pools, source, stated};
use crate::support::rows::rows;

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn stores_the_quarter_in_which_observations_were_last_recorded(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let seen = |from| clicked(source(from), campaign(1), at("2026-11-20T08:00:00Z"));
    let quarter = async |log: &Log| {
        rows(&admin, log.workspace, "source_arrivals", "source_id, quarter AT TIME ZONE 'UTC' AS quarter").await
    };
    log.append_timed([
        (seen(1), at("2026-11-20T09:44:59Z")),
        (seen(1), at("2026-11-20T09:45:00Z")),
        (seen(2), at("2026-11-20T10:00:00Z")),
        (stated(source(3), Grain::Day, "UTC", &[]), at("2026-11-20T10:00:00Z")),
    ])
    .await;
    catch_up(&pool).await.unwrap();
    let first = json!([{"source_id": source(1).to_string(), "quarter": "2026-11-20T09:45:00"},
                       {"source_id": source(2).to_string(), "quarter": "2026-11-20T10:00:00"}]);
    assert_eq!(quarter(&log).await, first);
    // Later ones move it.
    log.append_timed([(seen(1), at("2026-11-20T10:20:00Z"))]).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(quarter(&log).await[0]["quarter"], "2026-11-20T10:15:00");
}
