//! Comparing workspaces whose live epochs keep different numbers of values: each with a rebuild that keeps as many.

use projections::{Problem, Verified, catch_up};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::dimensions::{clicks_on, keep};
use crate::support::logs::{Log, pools};
use crate::support::replaying::{only, rebuild, rebuild_with};
use crate::support::rows::live_epoch;
use crate::verify::{try_verify, until_somebody_waits, verified};

async fn clicked(admin: &PgPool) -> i32 {
    let mut log = Log::opened(admin).await;
    log.append(clicks_on(1, &["a", "b", "c"])).await;
    log.workspace
}

fn found(verified: &Verified) -> Vec<(i32, i32, bool)> {
    verified.workspaces.iter().map(|one| (one.workspace, one.epoch, one.passed())).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn compares_each_workspace_under_inputs_of_its_epoch(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    keep(&admin, 1).await;
    let (one, two, three) = (clicked(&admin).await, clicked(&admin).await, clicked(&admin).await);
    catch_up(&pool).await.unwrap();
    keep(&admin, 2).await;
    rebuild_with(&pool, &only(&[two])).await.unwrap();
    assert_eq!((live_epoch(&admin, one).await, live_epoch(&admin, two).await), (1, 2));
    // What the next epoch keeps is of no concern to these.
    keep(&admin, 3).await;
    let (all, differences) = verified(&admin, &pool).await;
    assert_eq!(differences, []);
    assert_eq!(found(&all), [(one, 1, true), (two, 2, true), (three, 1, true)]);

    // Nor does one hide what is wrong with the other.
    sqlx::query("UPDATE read.dimension_totals SET sum = 0 WHERE epoch = 2 AND workspace = $1 AND value = 'b'")
        .bind(two)
        .execute(&admin)
        .await
        .unwrap();
    let (all, differences) = verified(&admin, &pool).await;
    assert_eq!((differences.len(), differences[0].table, differences[0].workspace), (1, "dimension_totals", two));
    assert_eq!(found(&all), [(one, 1, true), (two, 2, false), (three, 1, true)]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn switch_to_other_inputs_during_verify_is_a_problem(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    keep(&admin, 1).await;
    let workspace = clicked(&admin).await;
    catch_up(&pool).await.unwrap();
    for (values, expected) in [(1, true), (2, false)] {
        keep(&admin, values).await;
        rebuild(&pool).await;
        let newest = live_epoch(&admin, workspace).await;
        // Before the rebuild is filled, it is asked what is left out.
        let mut switch = admin.begin().await.unwrap();
        sqlx::query("LOCK TABLE read.skipped_events").execute(&mut *switch).await.unwrap();
        let switching = async {
            until_somebody_waits(&admin).await;
            sqlx::query("UPDATE read.live_epochs SET epoch = epoch - 1").execute(&mut *switch).await.unwrap();
            switch.commit().await.unwrap();
        };
        let ((verified, differences), ()) = tokio::join!(try_verify(&pool, &[], CancellationToken::new()), switching);
        let verified = verified.unwrap();
        assert_eq!((differences, found(&verified)), (vec![], vec![(workspace, newest - 1, expected)]));
        let is_told =
            matches!(verified.workspaces[0].problem, Some(Problem::Switched { epoch }) if epoch == newest - 1);
        assert_eq!(is_told, !expected, "{verified:?}");
        sqlx::query("UPDATE read.live_epochs SET epoch = epoch + 1").execute(&admin).await.unwrap();
    }
}
