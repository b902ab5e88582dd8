//! A rebuild at noon: events arrive, readers read, and the new tables equal the old ones to the byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sqlx::PgPool;
use tests::{TestSystem, digest_of_epoch};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn readers_see_no_hole_and_the_tables_are_equal(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    acme.push_source("tracker").await;
    let campaign = acme.campaign("Winter").await;
    for id in 0..300 {
        acme.observe("tracker", &campaign, id, 1).await;
    }
    acme.caught_up().await;

    let done = Arc::new(AtomicBool::new(false));
    let next = Arc::new(AtomicU64::new(300));
    let writer = {
        let (acme, campaign, done, next) = (acme.clone(), campaign.clone(), done.clone(), next.clone());
        tokio::spawn(async move {
            while !done.load(Ordering::SeqCst) {
                acme.observe("tracker", &campaign, next.fetch_add(1, Ordering::SeqCst), 1).await;
            }
        })
    };
    let reader = {
        let (acme, campaign, done) = (acme.clone(), campaign.clone(), done.clone());
        tokio::spawn(async move {
            let path = format!(
                "/v1/campaigns/{campaign}/metrics?date_from=2026-11-20&date_to=2026-11-20&granularity=all&time_zone=UTC&measures=clicks"
            );
            let (mut last, mut epochs) = (300, Vec::new());
            while !done.load(Ordering::SeqCst) {
                let answer = acme.get(&path).await.expect(200);
                let clicks = answer.body["data"][0]["clicks"].as_u64().unwrap_or(0);
                assert!(clicks >= last, "a number went back from {last} to {clicks}");
                last = clicks;
                let epoch = answer.epoch();
                if epochs.last() != Some(&epoch) {
                    epochs.push(epoch);
                }
            }
            epochs
        })
    };

    let old = system.live_epoch(&acme).await;
    system.replay().await;
    let new = system.live_epoch(&acme).await;
    assert_ne!(old, new);
    for _ in 0..20 {
        acme.observe("tracker", &campaign, next.fetch_add(1, Ordering::SeqCst), 1).await;
    }
    acme.caught_up().await;
    done.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    let epochs = reader.await.unwrap();
    assert!(epochs == [old, new] || epochs == [old], "the epoch changed more than once: {epochs:?}");

    // The old epoch is kept applied, so both can be compared at the same position.
    acme.caught_up_in_every_epoch().await;
    assert_eq!(digest_of_epoch(&pool, old).await, digest_of_epoch(&pool, new).await);
    system.stop().await;
}
