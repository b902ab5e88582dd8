//! Stated totals: the newest holds, and what is taken back has no value.

use domain::bucket::{Bucket, Grain};
use domain::measure::Measure;
use projections::catch_up;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::logs::{Log, at, campaign, date, pools, source, stated, taking_back};
use crate::support::replaying::rebuild;
use crate::support::rows::rows;

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn newest_statement_wins(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let (id, from) = (campaign(1), source(1));
    let day = Bucket::Day(date("2026-10-25"));
    let said = |when: &str, measures: &[(Measure, i64)]| {
        stated(from, Grain::Day, "Europe/Berlin", &[(id, day, at(when), measures)])
    };
    let columns = "measure, value::text, stated_at AT TIME ZONE 'UTC' AS stated, position,
                   changed_at AT TIME ZONE 'UTC' AS changed";
    log.append(said("2026-10-27T00:00:00Z", &[(Measure::Clicks, 10), (Measure::Spend, 7)])).await;
    catch_up(&pool).await.unwrap();
    log.append_all([
        // Older: loses. Equally old: the later position wins. A measure that is not named stays.
        said("2026-10-26T00:00:00Z", &[(Measure::Clicks, 99), (Measure::Spend, 99)]),
        said("2026-10-27T00:00:00Z", &[(Measure::Clicks, 12)]),
    ])
    .await;
    catch_up(&pool).await.unwrap();
    assert_eq!(
        rows(&admin, log.workspace, "statements", columns).await,
        json!([
            {"measure": "clicks", "value": "12", "stated": "2026-10-27T00:00:00", "position": 4, "changed": "2026-11-22T00:00:04"},
            {"measure": "spend", "value": "7", "stated": "2026-10-27T00:00:00", "position": 2, "changed": "2026-11-22T00:00:02"},
        ])
    );
    // What is taken back has no value, and neither an older statement nor a rebuild gives it one.
    log.append_all([
        taking_back(said("2026-10-28T00:00:00Z", &[(Measure::Spend, 0)])),
        said("2026-10-27T12:00:00Z", &[(Measure::Spend, 8)]),
    ])
    .await;
    catch_up(&pool).await.unwrap();
    let taken_back = json!([
        {"measure": "clicks", "value": "12", "stated": "2026-10-27T00:00:00", "position": 4, "changed": "2026-11-22T00:00:04"},
        {"measure": "spend", "value": null, "stated": "2026-10-28T00:00:00", "position": 5, "changed": "2026-11-22T00:00:05"},
    ]);
    assert_eq!(rows(&admin, log.workspace, "statements", columns).await, taken_back);
    rebuild(&pool).await;
    assert_eq!(rows(&admin, log.workspace, "statements", columns).await, taken_back);
    // The day on which clocks go back has 25 hours.
    assert_eq!(
        rows(
            &admin,
            log.workspace,
            "statements",
            "DISTINCT grain, time_zone, bucket_date,
            bucket_start AT TIME ZONE 'UTC' AS starts, bucket_end AT TIME ZONE 'UTC' AS ends"
        )
        .await,
        json!([{"grain": "day", "time_zone": "Europe/Berlin", "bucket_date": "2026-10-25",
                "starts": "2026-10-24T22:00:00", "ends": "2026-10-25T23:00:00"}])
    );
}
