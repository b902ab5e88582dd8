//! The operator's commands as a program, against a database of their own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::process::Output;

use sqlx::{ConnectOptions, PgPool};
use tokio::process::Command;

async fn highwater(pool: &PgPool, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(line.split_whitespace())
        .env("HIGHWATER_DATABASE_URL", pool.connect_options().to_url_lossy().as_str())
        .output()
        .await
        .unwrap()
}

#[track_caller]
fn accepted(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn refused(output: &Output, naming: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains(naming), "{said}");
}

#[sqlx::test(migrations = false)]
async fn a_database_that_is_not_migrated_is_refused_with_what_to_do(pool: PgPool) {
    let serve = "serve --roles command,projector,read --command-addr 127.0.0.1:0 --read-addr 127.0.0.1:0";
    refused(&highwater(&pool, serve).await, "highwater migrate");
}

#[sqlx::test(migrations = false)]
async fn migrating_twice_is_migrating_once(pool: PgPool) {
    assert!(accepted(&highwater(&pool, "migrate").await).contains("up to date"));
    assert!(accepted(&highwater(&pool, "migrate").await).contains("up to date"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_key_is_shown_once_and_can_be_revoked(pool: PgPool) {
    refused(&highwater(&pool, "keys create --workspace acme --scopes read --name page").await, "--create-workspace");
    let open =
        "keys create --workspace acme --create-workspace --time-zone Europe/Berlin --currency EUR --name page --scopes";
    let made = accepted(&highwater(&pool, &format!("{open} read,command")).await);
    let line = |name: &str| made.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let (id, key) = (line("id:"), line("key:"));
    assert!(key.starts_with("hw_") && key.len() > 40, "{key}");

    // The workspace is there now, with its one first event.
    let other = accepted(&highwater(&pool, &format!("{open} admin")).await);
    assert!(other.contains("key:"));
    let first: Vec<(i64, String)> =
        sqlx::query_as("SELECT position, event_type FROM log.events").fetch_all(&pool).await.unwrap();
    assert_eq!(first, [(1, "WorkspaceOpened".to_owned())]);

    let listed = accepted(&highwater(&pool, "keys list --workspace acme").await);
    assert!(listed.contains(&id) && listed.contains("command, read") && !listed.contains(&key), "{listed}");

    accepted(&highwater(&pool, &format!("keys revoke {id}")).await);
    assert!(accepted(&highwater(&pool, &format!("keys revoke {id}")).await).contains("before"));
    refused(&highwater(&pool, "keys revoke 01890000-0000-7000-8000-000000000000").await, "no key");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn status_and_replay_tell_where_every_log_is(pool: PgPool) {
    let open = "keys create --workspace acme --create-workspace --time-zone UTC --currency EUR --name n --scopes read";
    accepted(&highwater(&pool, open).await);
    let behind = accepted(&highwater(&pool, "status").await);
    assert!(behind.contains("acme") && behind.contains("not followed yet"), "{behind}");

    projections::catch_up(&pool).await.unwrap();
    let caught_up = accepted(&highwater(&pool, "status").await);
    assert!(caught_up.contains("caught up"), "{caught_up}");

    let replayed = accepted(&highwater(&pool, "replay").await);
    assert!(replayed.contains("reads epoch 2") && replayed.contains("events: 1"), "{replayed}");
    refused(&highwater(&pool, "replay nothing").await, "nothing");
}
