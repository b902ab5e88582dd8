//! A connection that breaks at the statement that commits, before the server has it or before its answer is back.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use secrecy::SecretString;
use sqlx::postgres::PgSslMode;
use sqlx::{ConnectOptions as _, PgPool};
use tests::proxy::{At, Proxy, Side};
use tests::workload::Workload;
use tests::{Soak, TestSystem};

use crate::verdict::{assert_sound, beside};

const NOW: &str = "2026-11-20T10:00:00Z";

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn connection_severed_at_commit_is_resolved_by_retry(pool: PgPool) {
    let direct = pool.connect_options();
    let proxy = Proxy::to(direct.get_host().to_owned(), direct.get_port()).await;
    let through = direct.as_ref().clone().host("127.0.0.1").port(proxy.port()).ssl_mode(PgSslMode::Disable);
    let url = SecretString::from(through.to_url_lossy().to_string());
    let system = TestSystem::start_at_work(&pool, NOW, |mut config| {
        config.database.url = url;
        config
    })
    .await;
    let mut database = beside(&pool).await;
    for seed in Soak::of_environment(3).seeds() {
        let mut random = StdRng::seed_from_u64(seed);
        let acme = system.workspace(&format!("acme {seed}")).await;
        let mut workload = Workload::prepare(vec![system.command_url()], acme.key(), NOW.parse().unwrap()).await;
        workload.start(seed);
        for _ in 0..2 {
            for at in [At::Append, At::Commit] {
                for side in [Side::Before, Side::After] {
                    workload.acknowledge_more(random.random_range(3..15)).await;
                    proxy.cut(at, side).await;
                }
            }
        }
        workload.acknowledge_more(10).await;
        assert_sound(&mut workload, &mut database, acme.workspace(), seed).await;
        let doubtful = workload.history().tally().doubtful;
        assert!(doubtful > 0, "HIGHWATER_SEED={seed}: no request met a severed connection");
    }
    system.stop().await;
}
