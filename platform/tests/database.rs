//! Pools that act as one part of the system.

use platform::database::{ConnectError, DatabaseConfig, DatabaseRole, connect};
use secrecy::SecretString;
use sqlx::{ConnectOptions, PgPool};

fn config(pool: &PgPool) -> DatabaseConfig {
    let url = pool.connect_options().to_url_lossy().to_string();
    DatabaseConfig { max_connections: 2, statement_timeout_ms: 2_000, ..DatabaseConfig::at(SecretString::from(url)) }
}

fn sqlstate(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(Into::into)
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn every_connection_takes_its_role(pool: PgPool) {
    for (part, role, longest_idle, caller_is_there) in [
        (DatabaseRole::Command, "highwater_command", "1min", "0"),
        (DatabaseRole::Projector, "highwater_projector", "10s", "0"),
        (DatabaseRole::Read, "highwater_read", "1min", "1s"),
    ] {
        let acting = connect(&config(&pool), part).await.unwrap();
        let (user, name, timeout, idle, looks): (String, String, String, String, String) = sqlx::query_as(
            "SELECT current_user::text, current_setting('application_name'), current_setting('statement_timeout'),
                    current_setting('idle_in_transaction_session_timeout'),
                    current_setting('client_connection_check_interval')",
        )
        .fetch_one(&acting)
        .await
        .unwrap();
        assert_eq!((user.as_str(), name), (role, format!("highwater-{}", part.name())));
        assert_eq!((timeout.as_str(), idle.as_str(), looks.as_str()), ("2s", longest_idle, caller_is_there));
    }
    let admin = connect(&config(&pool), DatabaseRole::Admin).await.unwrap();
    let (user, timeout): (String, String) =
        sqlx::query_as("SELECT current_user::text, current_setting('statement_timeout')")
            .fetch_one(&admin)
            .await
            .unwrap();
    assert_eq!((user.starts_with("highwater_"), timeout.as_str()), (false, "0"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn database_refuses_what_a_role_must_not_touch(pool: PgPool) {
    let read = connect(&config(&pool), DatabaseRole::Read).await.unwrap();
    let forbidden = "42501";
    for sql in ["SELECT FROM log.events", "SELECT FROM log.claims", "DELETE FROM auth.keys", "CREATE TABLE read.x ()"] {
        let error = sqlx::query(sql).execute(&read).await.unwrap_err();
        assert_eq!(sqlstate(&error).as_deref(), Some(forbidden), "{sql}");
    }
    sqlx::query("SELECT FROM auth.keys, log.heads").execute(&read).await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn cancels_slow_statements(pool: PgPool) {
    let quick = DatabaseConfig { statement_timeout_ms: 20, ..config(&pool) };
    let read = connect(&quick, DatabaseRole::Read).await.unwrap();
    let error = sqlx::query("SELECT pg_sleep(60)").execute(&read).await.unwrap_err();
    assert_eq!(sqlstate(&error).as_deref(), Some("57014"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn replaces_a_lost_connection(pool: PgPool) {
    let read = connect(&config(&pool), DatabaseRole::Read).await.unwrap();
    let ask = async || sqlx::query_scalar::<_, String>("SELECT current_user::text").fetch_one(&read).await;
    ask().await.unwrap();
    let ended: Vec<bool> = sqlx::query_scalar(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
         WHERE application_name = 'highwater-read' AND datname = current_database()",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert!(!ended.is_empty());
    // Each lost connection may fail one caller, and no more.
    let mut failed = 0;
    let user = loop {
        match ask().await {
            Ok(user) => break user,
            Err(_lost) => failed += 1,
        }
    };
    assert_eq!(user, "highwater_read", "the new connection acts as its part too");
    assert!(failed <= ended.len(), "{failed}");
}

#[tokio::test]
async fn unreachable_database_fails_at_once() {
    let config = DatabaseConfig::at(SecretString::from("postgres://me:s3cret@127.0.0.1:1/none".to_owned()));
    let error = connect(&config, DatabaseRole::Command).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { part: "command", .. }), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"));
}
