//! Comparing logs of which something is parked: equal if a rebuild parks the same, and reported in any case.

use projections::parked::{retry_all, skip};
use projections::{Problem, Verification, catch_up};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::support::logs::{Log, at, campaign, clicked, observed, pools, source};
use crate::support::parking::{NOON, allow, bad, click, forbid, garbled, repair, varied};
use crate::support::replaying::MODEL;
use crate::support::rows::{live_rows, parked};
use crate::verify::{summary, try_verify, until_somebody_waits, verified};

/// What it tells of parked parts: where, whose share, and how many events wait.
fn waiting(verification: &Verification) -> Vec<(i64, Option<uuid::Uuid>, i64)> {
    verification.parked.iter().map(|part| (part.position, part.campaign_id, part.waiting)).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn same_parked_parts_are_no_difference(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all(varied()).await;
    catch_up(&pool).await.unwrap();
    forbid(&admin, campaign(1)).await;
    let share = log.append(observed(source(1), &[bad(campaign(1)), click(campaign(2))])).await;
    log.append(observed(source(1), &[click(campaign(1)), click(campaign(2))])).await;
    let poison = garbled(&mut log, 3).await;
    log.append(clicked(source(3), campaign(2), at(NOON))).await;
    let fine = Log::opened(&admin).await;
    catch_up(&pool).await.unwrap();
    let before = (live_rows(&admin, log.workspace).await, parked(&pool).await);

    let (verified, differences) = verified(&admin, &pool).await;
    assert_eq!(differences, []);
    let [verification, other] = verified.workspaces.as_slice() else { panic!("{verified:?}") };
    assert!(verification.passed() && other.passed(), "{verified:?}");
    assert_eq!((verification.position, other.workspace), (log.head(), fine.workspace));
    assert_eq!(waiting(verification), [(share, Some(campaign(1).0), 2), (poison, None, 2)]);
    assert_eq!(other.parked, []);
    assert_eq!((live_rows(&admin, log.workspace).await, parked(&pool).await), before);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reports_position_of_undecodable_events(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let unknown = log.append_raw("meteors", "m", "MeteorFell", "{}").await;
    let newer = log.append_version("campaign", &campaign(1).to_string(), ("CampaignLaunched", 99), "{}").await;
    catch_up(&pool).await.unwrap();
    let (verified, differences) = verified(&admin, &pool).await;
    assert_eq!(differences, []);
    let parked: Vec<_> = verified.workspaces[0]
        .parked
        .iter()
        .map(|part| (part.position, part.stream_type.as_str(), part.reason.as_str()))
        .collect();
    assert_eq!(parked[0], (unknown, "meteors", "the stream type \"meteors\" is not known"));
    assert_eq!((parked[1].0, parked[1].1, parked.len()), (newer, "campaign", 2));
    assert!(parked[1].2.contains("99"), "{}", parked[1].2);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reports_parts_parked_on_one_side_only(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all(varied()).await;
    catch_up(&pool).await.unwrap();
    forbid(&admin, campaign(1)).await;
    log.append(observed(source(1), &[bad(campaign(1)), click(campaign(2))])).await;
    catch_up(&pool).await.unwrap();
    // The reason is gone, and nobody has tried again.
    allow(&admin).await;
    let part = format!("observations {}/{} {}", log.workspace, source(1), campaign(1));
    let (found, differences) = verified(&admin, &pool).await;
    let first = summary(&differences[0]);
    assert_eq!(first, ("parked", part.clone(), "extra".to_owned()));
    assert!(differences.iter().any(|difference| difference.table == "rollup_15m"), "{differences:?}");
    assert!(!found.workspaces[0].passed());

    retry_all(&pool, |_| true).await.unwrap();
    let (found, differences) = verified(&admin, &pool).await;
    assert_eq!((differences, waiting(&found.workspaces[0])), (vec![], vec![]));

    // Now a rebuild would park what the live rows hold.
    forbid(&admin, campaign(1)).await;
    let (found, differences) = verified(&admin, &pool).await;
    assert_eq!(summary(&differences[0]), ("parked", part, "missing".to_owned()));
    assert_eq!(waiting(&found.workspaces[0]), []);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reports_parts_parked_from_another_position(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let good = log.append(clicked(source(1), campaign(1), at(NOON))).await;
    let first = garbled(&mut log, 1).await;
    let second = garbled(&mut log, 1).await;
    catch_up(&pool).await.unwrap();
    let payload: String = sqlx::query_scalar("SELECT payload::text FROM log.events WHERE position = $1")
        .bind(good)
        .fetch_one(&admin)
        .await
        .unwrap();
    repair(&admin, first, &payload).await;
    let (found, differences) = verified(&admin, &pool).await;
    let part = format!("observations {}/{} NULL", log.workspace, source(1));
    assert_eq!(summary(&differences[0]), ("parked", part, format!("position {first} for {second}")));
    assert_eq!(waiting(&found.workspaces[0]), [(first, None, 2)]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rebuild_retries_parts_that_it_parked_too_early(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all(varied()).await;
    log.append(observed(source(1), &[bad(campaign(1)), click(campaign(2))])).await;
    catch_up(&pool).await.unwrap();
    forbid(&admin, campaign(1)).await;
    let allowing = async {
        let is_parked = "SELECT EXISTS (SELECT FROM read.parked)";
        while !sqlx::query_scalar::<_, bool>(is_parked).fetch_one(&admin).await.unwrap() {}
        // Operators see nothing of it.
        assert_eq!(projections::parked::list(&pool).await.unwrap(), []);
        allow(&admin).await;
    };
    let ((verified, differences), ()) = tokio::join!(try_verify(&pool, &[], CancellationToken::new()), allowing);
    assert_eq!(differences, []);
    assert!(verified.unwrap().workspaces[0].passed());
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rebuild_honours_skips_of_operators(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all(varied()).await;
    catch_up(&pool).await.unwrap();
    forbid(&admin, campaign(1)).await;
    let share = log.append(observed(source(1), &[bad(campaign(1)), click(campaign(2))])).await;
    let poison = garbled(&mut log, 3).await;
    log.append(clicked(source(3), campaign(1), at(NOON))).await;
    catch_up(&pool).await.unwrap();
    allow(&admin).await;
    for position in [share, poison] {
        skip(&pool, MODEL, log.workspace, position, "sent by mistake").await.unwrap();
    }
    let (verified, differences) = verified(&admin, &pool).await;
    assert_eq!((differences, waiting(&verified.workspaces[0])), (vec![], vec![]));
    assert!(verified.workspaces[0].passed(), "{verified:?}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn skip_during_verify_is_a_problem(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all(varied()).await;
    catch_up(&pool).await.unwrap();
    let mut decision = admin.begin().await.unwrap();
    // Whoever folds looks here first.
    sqlx::query("LOCK TABLE read.parked").execute(&mut *decision).await.unwrap();
    let deciding = async {
        until_somebody_waits(&admin).await;
        sqlx::query("INSERT INTO read.skipped_events VALUES ($1, $2, $3, NULL, 'why')")
            .bind(MODEL)
            .bind(log.workspace)
            .bind(log.head())
            .execute(&mut *decision)
            .await
            .unwrap();
        decision.commit().await.unwrap();
    };
    let ((verified, differences), ()) = tokio::join!(try_verify(&pool, &[], CancellationToken::new()), deciding);
    assert_eq!(differences, []);
    let verified = verified.unwrap();
    assert!(matches!(verified.workspaces[0].problem, Some(Problem::LeftOut)), "{verified:?}");
}
