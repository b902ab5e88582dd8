//! Events that no view can decode, amid the traffic, while two projectors are killed at random, both at a time: what
//! stands behind such an event in its stream waits, everything else flows, and once it is skipped or repaired the rows
//! are what the log and the answers add up to, and equal a fresh rebuild.

use projections::parked::{RetryOutcome, list, retry_all, skip};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::PgPool;
use tests::workload::Workload;
use tests::{Caller, Soak, poison, until_all_is_applied};
use tokio_util::sync::CancellationToken;

use crate::two_projectors::{NOW, TAKEN_OVER_WITHIN, TwoProjectors, observe, subject};

const MODEL: &str = "campaign_model";
/// How often both are killed.
const KILLS: usize = 2;

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn undecodable_event_parks_alone(pool: PgPool) {
    let mut projectors = TwoProjectors::start(&pool).await;
    for seed in Soak::of_environment(9).seeds() {
        let mut random = StdRng::seed_from_u64(seed);
        let acme = projectors.system.workspace(&format!("acme {seed}")).await;
        let quiet = projectors.system.workspace(&format!("quiet {seed}")).await;
        let campaign = subject(&quiet).await;
        quiet.observe("tracker", &campaign, 1_000_000, 1).await;
        let targets = vec![projectors.system.command_url()];
        let mut workload = Workload::prepare(targets, acme.key(), NOW.parse().unwrap()).await;
        workload.start(seed);
        let stop = CancellationToken::new();
        let writer = observe(quiet.clone(), campaign, stop.clone());
        let (mut of_acme, mut of_quiet) = (Vec::new(), Vec::new());
        for _ in 0..KILLS {
            workload.acknowledge_more(random.random_range(3..12)).await;
            // Before they die, or while nobody is there to apply it.
            let is_before = random.random_bool(0.5);
            if !is_before {
                projectors.kill_both();
            }
            of_acme.push(poison(&pool, &acme, "tracker", NOW.parse().unwrap()).await);
            of_quiet.push(poison(&pool, &quiet, "tracker", NOW.parse().unwrap()).await);
            workload.acknowledge_more(random.random_range(3..12)).await;
            if is_before {
                projectors.kill_both();
            }
            projectors.start_both_again().await;
        }
        stop.cancel();
        writer.await.unwrap();
        workload.finish().await;

        // Of each stream the first one and all behind it wait, and nothing else does.
        until_all_is_applied(&pool, TAKEN_OVER_WITHIN).await;
        assert_eq!(parked(&pool).await, [(acme.workspace(), of_acme[0]), (quiet.workspace(), of_quiet[0])]);
        let latest = "SELECT max(position) FROM read.campaigns WHERE workspace = $1";
        let latest: i64 = sqlx::query_scalar(latest).bind(acme.workspace()).fetch_one(&pool).await.unwrap();
        assert!(latest > of_acme[0], "campaigns stand at {latest}, something waits from {} on", of_acme[0]);

        for (position, next) in of_acme.iter().zip(of_acme[1..].iter().map(Some).chain([None])) {
            let skipped = skip(&pool, MODEL, acme.workspace(), *position, "no event of ours").await.unwrap();
            let [(_, retried)] = skipped.parts.as_slice() else { panic!("{skipped:?}") };
            match next {
                Some(next) => assert!(matches!(retried, RetryOutcome::Refused { position, .. } if position == next)),
                None => assert_eq!(*retried, RetryOutcome::Applied),
            }
        }
        repair(&pool, &quiet, &of_quiet).await;
        retry_all(&pool, |_| true).await.unwrap();
        assert_eq!(parked(&pool).await, []);
        projectors.assert_sound(&mut workload, acme.workspace(), seed).await;
    }
    projectors.stop().await;
}

/// Workspaces and positions from which on something waits.
async fn parked(pool: &PgPool) -> Vec<(i32, i64)> {
    list(pool).await.unwrap().into_iter().map(|part| (part.workspace, part.position)).collect()
}

/// Makes batches that can be decoded of events that cannot: each says what the one before it in its stream said.
async fn repair(pool: &PgPool, caller: &Caller, positions: &[i64]) {
    for position in positions {
        sqlx::query(
            "UPDATE log.events e SET event_type = b.event_type, event_version = b.event_version, payload = b.payload
             FROM log.events b
             WHERE e.workspace = $1 AND e.position = $2 AND b.workspace = $1 AND b.aggregate_type = e.aggregate_type
               AND b.aggregate_id = e.aggregate_id AND b.sequence = e.sequence - 1",
        )
        .bind(caller.workspace())
        .bind(position)
        .execute(pool)
        .await
        .unwrap();
    }
}
