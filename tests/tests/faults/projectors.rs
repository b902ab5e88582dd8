//! Two projectors in processes of their own: `kill -9`, `SIGSTOP` and orderly stops at random, while observations
//! arrive. What one had is taken over by the other within seconds, and in the end the rows equal a fresh rebuild.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use sqlx::PgPool;
use tests::workload::Workload;
use tests::{ProjectorProcess, Soak, until_all_is_applied};
use tokio_util::sync::CancellationToken;

use crate::two_projectors::{NOW, TAKEN_OVER_WITHIN, TwoProjectors, apis, observe, subject};

/// Beside the one on which the checker looks at everything.
const QUIET_WORKSPACES: usize = 6;
/// What happens to a projector.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Kill,
    Freeze,
    Stop,
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn logs_of_a_dead_projector_are_taken_over(pool: PgPool) {
    let mut projectors = TwoProjectors::start(&pool).await;
    for seed in Soak::of_environment(8).seeds() {
        let mut random = StdRng::seed_from_u64(seed);
        let mut workspaces = Vec::new();
        for n in 0..QUIET_WORKSPACES {
            workspaces.push(projectors.system.workspace(&format!("quiet {n} {seed}")).await);
        }
        let acme = projectors.system.workspace(&format!("acme {seed}")).await;
        let targets = vec![projectors.system.command_url()];
        let mut workload = Workload::prepare(targets, acme.key(), NOW.parse().unwrap()).await;
        workload.start(seed);
        let stop = CancellationToken::new();
        let mut quiet = Vec::new();
        for caller in workspaces {
            let campaign = subject(&caller).await;
            quiet.push(observe(caller, campaign, stop.clone()));
        }
        let mut faults = [Fault::Kill, Fault::Freeze, Fault::Stop];
        faults.shuffle(&mut random);
        for fault in faults {
            workload.acknowledge_more(random.random_range(5..25)).await;
            let [first, second] = &mut projectors.pair;
            let (hit, other) = if random.random_bool(0.5) { (first, second) } else { (second, first) };
            let begun = Instant::now();
            match fault {
                Fault::Kill => hit.kill(),
                Fault::Freeze => hit.freeze(),
                Fault::Stop => hit.stop().await,
            }
            taken_over(&pool, hit, other).await;
            println!("seed {seed}: {fault:?}: all was taken over after {:?}", begun.elapsed());
            match fault {
                Fault::Kill | Fault::Stop => hit.start_again().await,
                Fault::Freeze => hit.thaw(),
            }
        }
        // Both at once: nobody is left to take over, and those who come find everything.
        projectors.kill_both();
        workload.acknowledge_more(10).await;
        projectors.start_both_again().await;
        workload.acknowledge_more(5).await;
        stop.cancel();
        for writer in quiet {
            writer.await.unwrap();
        }
        projectors.assert_sound(&mut workload, acme.workspace(), seed).await;
    }
    projectors.stop().await;
}

/// Waits until `lost` has no part any more, and every log is applied as far as it went then: by `other`.
async fn taken_over(pool: &PgPool, lost: &ProjectorProcess, other: &ProjectorProcess) {
    let deadline = Instant::now() + TAKEN_OVER_WITHIN;
    // A lease ends by itself, and nothing tells of it.
    loop {
        let told = projections::projectors(pool).await.unwrap();
        let living: Vec<&str> = told.iter().filter(|told| told.is_living).map(|told| told.name.as_str()).collect();
        if let [one] = living.as_slice()
            && other.is_named(one)
            && !lost.is_named(one)
        {
            break;
        }
        assert!(Instant::now() < deadline, "the lost one has its lease: {told:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until_all_is_applied(pool, deadline.saturating_duration_since(Instant::now())).await;
}

/// Frozen where it hurts most: it holds a checkpoint's lock, and the session that would tell of its end.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn frozen_projector_blocks_others_briefly(pool: PgPool) {
    let system = apis(&pool).await;
    let frozen = ProjectorProcess::start(&pool).await;
    let acme = system.workspace("acme").await;
    acme.push_source("tracker").await;
    let campaign = acme.campaign("Winter").await;
    acme.observe("tracker", &campaign, 1, 1).await;
    acme.caught_up().await;
    let mut holding = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM read.rollup_15m FOR UPDATE").execute(&mut *holding).await.unwrap();
    acme.observe("tracker", &campaign, 2, 1).await;
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                 AND wait_event_type = 'Lock' AND application_name = 'highwater-projector')";
    let deadline = Instant::now() + TAKEN_OVER_WITHIN;
    // Nobody is told who waits for a lock.
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&pool).await.unwrap() {
        assert!(Instant::now() < deadline, "the projector does not come to the row");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    frozen.freeze();
    holding.rollback().await.unwrap();

    let other = ProjectorProcess::start(&pool).await;
    taken_over(&pool, &frozen, &other).await;
    frozen.thaw();
    acme.observe("tracker", &campaign, 3, 1).await;
    acme.caught_up().await;
    let counted: i64 =
        sqlx::query_scalar("SELECT sum(value)::bigint FROM read.rollup_15m").fetch_one(&pool).await.unwrap();
    assert_eq!(counted, 3);
    system.stop().await;
}

/// A projector that does nothing is told of as behind by everybody who is alive.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn frozen_projector_reports_lag(pool: PgPool) {
    let system = apis(&pool).await;
    let projector = ProjectorProcess::start(&pool).await;
    let acme = system.workspace("acme").await;
    acme.push_source("tracker").await;
    acme.caught_up().await;
    let client = tests::client(Duration::from_secs(5));
    let alone = client.get(projector.url_of("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(alone.contains("highwater_projector_lease 1"), "{alone}");

    projector.freeze();
    let campaign = acme.campaign("Winter").await;
    acme.observe("tracker", &campaign, 1, 1).await;
    let behind = [
        r#"highwater_projection_lag_events_sum{projection="campaign_model"} 2"#.to_owned(),
        r#"highwater_projection_logs_behind{projection="campaign_model"} 1"#.to_owned(),
        format!(r#"highwater_projection_lag_events{{projection="campaign_model",workspace="{}"}} 2"#, acme.workspace()),
        r#"highwater_projectors{projection="campaign_model"} 0"#.to_owned(),
    ];
    for url in [system.command_url(), system.read_url()] {
        let deadline = Instant::now() + TAKEN_OVER_WITHIN;
        // Metrics are asked for: they tell nobody by themselves.
        loop {
            let shown = client.get(format!("{url}/metrics")).send().await.unwrap().text().await.unwrap();
            if behind.iter().all(|line| shown.lines().any(|shown| shown == line)) {
                break;
            }
            assert!(Instant::now() < deadline, "{url} shows {shown}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Both still do their work, and say so.
        assert_eq!(client.get(format!("{url}/readyz")).send().await.unwrap().status(), 200);
    }
    projector.thaw();
    acme.caught_up().await;
    system.stop().await;
}
