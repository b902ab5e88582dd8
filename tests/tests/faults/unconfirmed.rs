//! Commits wait for a synchronous standby that is not there, and the wait is ended: by a cancellation, after which the
//! commit looks like any other, and with the session. Nothing is acknowledged while a standby may lack it.

use std::time::Duration;

use platform::local_postgres::{LocalPostgres, LocalPostgresConfig};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tests::{Answer, Caller, TestSystem};
use tokio::task::JoinHandle;

const NOW: &str = "2026-11-20T10:00:00Z";

/// A private PostgreSQL, because the setting is of the whole server.
struct Awaiting {
    server: LocalPostgres,
    /// Its own commits wait for nobody.
    pool: PgPool,
    _scratch: tempfile::TempDir,
}

impl Awaiting {
    async fn start() -> Self {
        let scratch = tests::Program::scratch();
        let config = LocalPostgresConfig { durable: false, ..LocalPostgresConfig::new(scratch.path().join("live")) };
        let server = LocalPostgres::start(config).await.unwrap();
        let pool = PgPoolOptions::new()
            .after_connect(|connection, _meta| {
                Box::pin(async move {
                    sqlx::query("SET synchronous_commit = local").execute(connection).await?;
                    Ok(())
                })
            })
            .connect(server.url().expose_secret())
            .await
            .unwrap();
        event_store::MIGRATOR.run(&pool).await.unwrap();
        // An operator who wants no warnings gets the same answers.
        sqlx::raw_sql("ALTER SYSTEM SET client_min_messages = error").execute(&pool).await.unwrap();
        Self { server, pool, _scratch: scratch }
    }

    /// Names the standby that commits wait for; nobody if empty.
    async fn await_standby(&self, name: &str) {
        sqlx::raw_sql(&format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'"))
            .execute(&self.pool)
            .await
            .unwrap();
        sqlx::raw_sql("SELECT pg_reload_conf()").execute(&self.pool).await.unwrap();
        // New sessions have the setting when the postmaster has read it.
        let is_set = "SELECT current_setting('synchronous_standby_names') = $1";
        while !sqlx::query_scalar::<_, bool>(is_set).bind(name).fetch_one(&self.pool).await.unwrap() {
            tokio::task::yield_now().await;
        }
    }

    /// Ends the wait of the session that appends, by this function of PostgreSQL.
    async fn end_wait(&self, function: &str) {
        let end = format!(
            "SELECT {function}(pid) FROM pg_stat_activity
             WHERE application_name = 'highwater-command' AND wait_event = 'SyncRep'"
        );
        // Nobody is told who waits.
        while sqlx::query(&end).execute(&self.pool).await.unwrap().rows_affected() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn stop(self) {
        self.pool.close().await;
        self.server.stop().await.unwrap();
    }
}

/// Sends a request beside the test.
fn send(caller: &Caller, path: &str, body: &Value, key: Option<&str>) -> JoinHandle<Answer> {
    let (caller, path, body, key) = (caller.clone(), path.to_owned(), body.clone(), key.map(str::to_owned));
    tokio::spawn(async move {
        let headers: Vec<_> = key.iter().map(|key| ("idempotency-key", key.as_str())).collect();
        caller.post_with(&path, &body, &headers).await
    })
}

#[track_caller]
fn is_unknown(answer: &Answer, problem: &str) {
    assert_eq!((answer.status, answer.problem().rsplit('/').next()), (503, Some(problem)), "{}", answer.body);
    assert!(answer.body["detail"].as_str().unwrap().contains("same Idempotency-Key and the same ids"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_that_a_standby_may_lack() {
    let postgres = Awaiting::start().await;
    let system = TestSystem::start_without_projector(&postgres.pool, NOW).await;
    let acme = system.workspace("acme").await;
    acme.push_source("tracker").await;
    let campaign = acme.campaign("Winter").await;
    // The tables of the day are there, so that only the log's own commits wait.
    acme.observe("tracker", &campaign, 1, 1).await;
    let launched = send(&acme, &format!("/v1/campaigns/{campaign}/launch"), &json!({}), Some("launch-0"));
    launched.await.unwrap().expect(200);
    let clicks = json!({ "source": "tracker", "observations": [
        { "id": "a", "campaign_id": campaign, "type": "click", "occurred_at": "2026-11-20T09:05:00Z" }
    ]});
    let pause = format!("/v1/campaigns/{campaign}/pause");
    let before = acme.head().await;

    postgres.await_standby("nobody").await;
    for (path, body, key) in [(&*pause, json!({}), Some("pause-1")), ("/v1/observations", clicks.clone(), None)] {
        // The first attempt is committed on this server alone. The others find that, and wait too.
        for attempt in 0..3 {
            let sent = send(&acme, path, &body, key);
            postgres.end_wait("pg_cancel_backend").await;
            is_unknown(&sent.await.unwrap(), "outcome-unknown");
            let sent = send(&acme, path, &body, key);
            postgres.end_wait("pg_terminate_backend").await;
            is_unknown(&sent.await.unwrap(), "unavailable");
            assert!(acme.head().await > before, "{path} {attempt}");
        }
    }

    // Whoever waits gets the true answer when nothing is waited for.
    let (paused, observed) =
        (send(&acme, &pause, &json!({}), Some("pause-1")), send(&acme, "/v1/observations", &clicks, None));
    postgres.await_standby("").await;
    let paused = paused.await.unwrap().expect(200);
    assert_eq!(paused.header("idempotency-replayed"), "true");
    assert_eq!(paused.body["version"], 3);
    let observed = observed.await.unwrap().expect(200);
    assert_eq!((&observed.body["accepted"], &observed.body["duplicates"]), (&json!(0), &json!(1)), "{}", observed.body);
    assert_eq!(acme.head().await, before + 2, "each was carried out once");
    system.stop().await;
    postgres.stop().await;
}
