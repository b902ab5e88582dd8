//! What the database lets each part do with the log.

use std::borrow::Cow;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Writer, one_lane, pool_as, request, workspace};

#[track_caller]
fn denied<T: std::fmt::Debug>(result: Result<T, sqlx::Error>) {
    let error = result.unwrap_err();
    let code = error.as_database_error().and_then(|error| error.code().map(Cow::into_owned));
    assert_eq!(code.as_deref(), Some("42501"), "{error}");
}

async fn run(pool: &PgPool, sql: &str) -> Result<sqlx::postgres::PgQueryResult, sqlx::Error> {
    sqlx::query(sql).execute(pool).await
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn no_role_changes_the_log_and_readers_cannot_read_it(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    writer.append(request(ws, "a")).await.unwrap();
    let projector = pool_as(&connect, "highwater_projector").await;
    let read = pool_as(&connect, "highwater_read").await;
    for pool in [&writer.pool, &projector, &read] {
        denied(run(pool, "UPDATE log.events SET payload = '{}'").await);
        denied(run(pool, "DELETE FROM log.events").await);
        denied(run(pool, "TRUNCATE log.events").await);
        denied(run(pool, "UPDATE log.events_0 SET payload = '{}'").await);
        denied(run(pool, "DELETE FROM log.receipts").await);
        denied(run(pool, "DELETE FROM log.heads").await);
        denied(run(pool, "INSERT INTO log.workspaces (name, created_at) VALUES ('x', now())").await);
    }
    run(&projector, "SELECT FROM log.events").await.unwrap();
    run(&read, "SELECT FROM log.heads").await.unwrap();
    for pool in [&writer.pool, &read] {
        denied(run(pool, "SELECT FROM log.leases").await);
        denied(run(pool, "DELETE FROM log.leases").await);
    }
    for table in ["events", "events_0", "receipts", "claims", "item_ids", "workspaces"] {
        denied(run(&read, &format!("SELECT FROM log.{table}")).await);
    }
    for table in ["rejections", "rejection_days", "rejection_keys"] {
        for pool in [&projector, &read] {
            denied(run(pool, &format!("SELECT FROM log.{table}")).await);
        }
        run(&writer.pool, &format!("SELECT FROM log.{table}")).await.unwrap();
    }
    for pool in [&projector, &read] {
        denied(run(pool, "SELECT log.ensure_day('2026-01-01')").await);
        denied(run(pool, "SELECT log.find_claims(1, '{}', '{}')").await);
        denied(run(pool, "INSERT INTO log.claims VALUES (1, 'a', 'b', 'c', 'd')").await);
        denied(run(pool, "UPDATE log.heads SET position = 9").await);
    }
    let may_append: Vec<(String, bool)> = sqlx::query_as(
        "SELECT rolname::text, has_function_privilege(rolname, p.oid, 'EXECUTE')
         FROM pg_proc p, pg_roles
         WHERE p.proname = 'append' AND p.pronamespace = 'log'::regnamespace AND rolname LIKE 'highwater\\_%'
         ORDER BY rolname",
    )
    .fetch_all(&projector)
    .await
    .unwrap();
    let expected = [("highwater_command", true), ("highwater_projector", false), ("highwater_read", false)];
    assert_eq!(may_append, expected.map(|(role, may)| (role.to_owned(), may)));
    projector.close().await;
    read.close().await;
    writer.stop().await;
}
