//! The private PostgreSQL, with the one that is installed here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use platform::local_postgres::{AttachedPostgres, LocalPostgres, LocalPostgresConfig, LocalPostgresError};
use secrecy::ExposeSecret;
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// PostgreSQL's user has to pass through it.
fn enterable() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    directory
}

fn config(data_dir: impl AsRef<Path>) -> LocalPostgresConfig {
    LocalPostgresConfig {
        durable: false,
        max_connections: 10,
        shared_buffers_mb: 16,
        ..LocalPostgresConfig::new(data_dir.as_ref())
    }
}

async fn connect(postgres: &LocalPostgres) -> PgConnection {
    PgConnection::connect(postgres.url().expose_secret()).await.unwrap()
}

fn kill_9(pid: u32) {
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
}

fn is_alive(pid: u32) -> bool {
    kill(Pid::from_raw(pid.try_into().unwrap()), None).is_ok()
}

#[tokio::test]
async fn creates_a_database_and_reuses_it() {
    let directory = enterable();
    // Spaces, quotes, commas and per cent signs, in a directory that is not there yet.
    let data_dir = directory.path().join("two words").join(r#"50% "a", b"#);
    let postgres = LocalPostgres::start(config(&data_dir)).await.unwrap();
    let mut connection = connect(&postgres).await;
    let (database, encoding, zone, listens): (String, String, String, String) = sqlx::query_as(
        "SELECT current_database()::text, current_setting('server_encoding'), current_setting('TimeZone'),
                current_setting('listen_addresses')",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(
        (database.as_str(), encoding.as_str(), zone.as_str(), listens.as_str()),
        ("highwater", "UTF8", "UTC", "")
    );
    connection.execute("CREATE TABLE kept AS SELECT 'ça' AS word").await.unwrap();
    drop(connection);

    let socket = fs::metadata(data_dir.join("socket")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o700);
    assert_eq!(geteuid().is_root(), socket.uid() != geteuid().as_raw());
    let pid = postgres.pid().unwrap();
    postgres.stop().await.unwrap();
    assert!(!is_alive(pid));

    let again = LocalPostgres::start(config(&data_dir)).await.unwrap();
    let word: String = sqlx::query_scalar("SELECT word FROM kept").fetch_one(&mut connect(&again).await).await.unwrap();
    assert_eq!(word, "ça");
    let pid = again.pid().unwrap();
    drop(again);
    assert!(!is_alive(pid), "dropping it stops it");
}

#[tokio::test]
async fn long_path_moves_the_socket() {
    let directory = enterable();
    let data_dir = directory.path().join("d".repeat(100));
    let postgres = LocalPostgres::start(config(&data_dir)).await.unwrap();
    connect(&postgres).await;
    let url = postgres.url();
    assert!(url.expose_secret().contains("host=/tmp/highwater-"));
    let socket = url.expose_secret().split("host=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o700);
    postgres.stop().await.unwrap();
    assert!(!Path::new(&socket).exists());
}

#[tokio::test]
async fn loopback_port_requires_the_password() {
    let directory = enterable();
    let postgres =
        LocalPostgres::start(LocalPostgresConfig { loopback_port: true, ..config(directory.path()) }).await.unwrap();
    let url = postgres.url();
    let url = url.expose_secret();
    assert!(url.contains("@127.0.0.1:"));
    connect(&postgres).await;
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, host) = rest.split_once('@').unwrap();
    let error = PgConnection::connect(&format!("{scheme}://highwater:wrong@{host}")).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("28P01"));
}

#[tokio::test]
async fn rejects_a_second_instance_of_a_directory() {
    let directory = enterable();
    let _first = LocalPostgres::start(config(directory.path())).await.unwrap();
    let error = LocalPostgres::start(config(directory.path())).await.unwrap_err();
    assert!(matches!(error, LocalPostgresError::InUse { .. }), "{error}");
}

#[tokio::test]
async fn command_uses_the_running_server() {
    let directory = enterable();
    let running = LocalPostgres::start(config(directory.path())).await.unwrap();
    let attached = AttachedPostgres::attach(config(directory.path())).await.unwrap();
    assert!(!attached.owns_server());
    PgConnection::connect(attached.url().expose_secret()).await.unwrap();
    attached.detach().await.unwrap();
    assert!(is_alive(running.pid().unwrap()));
}

#[tokio::test]
async fn commands_on_a_stopped_directory_share_a_server_until_the_last_one_ends() {
    let directory = enterable();
    LocalPostgres::start(config(directory.path())).await.unwrap().stop().await.unwrap();
    let first = AttachedPostgres::attach(config(directory.path())).await.unwrap();
    assert!(first.owns_server() && !first.has_guests().unwrap());
    let error = LocalPostgres::start(config(directory.path())).await.unwrap_err();
    assert!(matches!(error, LocalPostgresError::InUse { .. }), "{error}");

    let second = AttachedPostgres::attach(config(directory.path())).await.unwrap();
    assert!(!second.owns_server() && first.has_guests().unwrap());
    let mut connection = PgConnection::connect(second.url().expose_secret()).await.unwrap();
    let detaching = tokio::spawn(first.detach());
    // It stays until its guest has gone.
    for _ in 0..20 {
        connection.execute("SELECT pg_sleep(0.01)").await.unwrap();
    }
    assert!(!detaching.is_finished());
    drop(second);
    detaching.await.unwrap().unwrap();
    assert!(connection.execute("SELECT").await.is_err());
    // Nothing is in the way of the next one.
    LocalPostgres::start(config(directory.path())).await.unwrap();
}

#[tokio::test]
async fn command_waits_while_another_process_stops_the_server() {
    let directory = enterable();
    LocalPostgres::start(config(directory.path())).await.unwrap().stop().await.unwrap();
    let first = AttachedPostgres::attach(config(directory.path())).await.unwrap();
    let (stopped, second) = tokio::join!(first.detach(), AttachedPostgres::attach(config(directory.path())));
    stopped.unwrap();
    let second = second.unwrap();
    PgConnection::connect(second.url().expose_secret()).await.unwrap();
    second.detach().await.unwrap();
}

#[tokio::test]
async fn command_creates_no_database() {
    let directory = enterable();
    for data_dir in [directory.path().to_owned(), directory.path().join("nowhere")] {
        let error = AttachedPostgres::attach(config(&data_dir)).await.unwrap_err();
        assert!(matches!(error, LocalPostgresError::NoDatabase { .. }), "{error}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn recovers_after_a_kill() {
    let directory = enterable();
    let mut postgres = LocalPostgres::start(config(directory.path())).await.unwrap();
    let mut connection = connect(&postgres).await;
    connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000)").await.unwrap();
    let killed = postgres.pid().unwrap();
    kill_9(killed);
    postgres.restart().await.unwrap();
    assert_ne!(postgres.pid(), Some(killed));
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM kept").fetch_one(&mut connect(&postgres).await).await.unwrap();
    assert_eq!(count, 1_000);

    let pid = postgres.pid().unwrap();
    postgres.restart().await.unwrap();
    assert!(!is_alive(pid), "a running one is stopped first");
    connect(&postgres).await;
}

#[tokio::test]
async fn restarts_a_postgres_that_exits() {
    let directory = enterable();
    let postgres = LocalPostgres::start(config(directory.path())).await.unwrap();
    let (url, pid) = (postgres.url(), postgres.pid().unwrap());
    let stop = CancellationToken::new();
    let running = tokio::spawn(postgres.run(stop.clone()));
    kill_9(pid);
    let mut connection = loop {
        match PgConnection::connect(url.expose_secret()).await {
            Ok(connection) => break connection,
            Err(_starting) => tokio::task::yield_now().await,
        }
    };
    connection.execute("SELECT").await.unwrap();
    stop.cancel();
    running.await.unwrap().unwrap();
    assert!(connection.execute("SELECT").await.is_err());
}

const DATA_DIR: &str = "HIGHWATER_TEST_DATA_DIR";

/// Run by the next test in a process of its own, which it kills.
#[tokio::test]
#[ignore = "the other half of replaces_an_orphaned_postgres"]
async fn hold_a_database_until_killed() {
    let Some(data_dir) = std::env::var_os(DATA_DIR) else { return };
    let postgres = LocalPostgres::start(config(Path::new(&data_dir))).await.unwrap();
    connect(&postgres).await.execute("CREATE TABLE kept ()").await.unwrap();
    println!("\nready {}", postgres.pid().unwrap());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn replaces_an_orphaned_postgres() {
    let directory = enterable();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hold_a_database_until_killed", "--ignored", "--nocapture"])
        .env(DATA_DIR, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap());
    let orphan: u32 = lines
        .lines()
        .map(Result::unwrap)
        .find_map(|line| line.strip_prefix("ready ").map(|pid| pid.parse().unwrap()))
        .unwrap();
    let error = LocalPostgres::start(config(directory.path())).await.unwrap_err();
    assert!(matches!(error, LocalPostgresError::InUse { .. }), "{error}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(is_alive(orphan));

    let postgres = LocalPostgres::start(config(directory.path())).await.unwrap();
    assert_ne!(postgres.pid(), Some(orphan));
    connect(&postgres).await.execute("SELECT FROM kept").await.unwrap();
}

#[tokio::test]
async fn ignores_a_stale_pid_file_of_another_process() {
    let directory = enterable();
    LocalPostgres::start(config(directory.path())).await.unwrap().stop().await.unwrap();
    // This very process is alive, and no postmaster.
    let stale = directory.path().join("postgres/postmaster.pid");
    fs::write(&stale, format!("{}\n{}\n", std::process::id(), directory.path().display())).unwrap();
    LocalPostgres::start(config(directory.path())).await.unwrap();
}

#[tokio::test]
async fn failed_start_shows_the_log() {
    let directory = enterable();
    LocalPostgres::start(config(directory.path())).await.unwrap().stop().await.unwrap();
    let settings = directory.path().join("postgres/postgresql.conf");
    let sound = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("{sound}\nno_such_setting = 1\n")).unwrap();
    let error = LocalPostgres::start(config(directory.path())).await.unwrap_err();
    match &error {
        LocalPostgresError::NotStarted { log, .. } => assert!(log.contains("no_such_setting"), "{log}"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn leaves_foreign_files_alone() {
    let directory = enterable();
    fs::create_dir(directory.path().join("postgres")).unwrap();
    fs::write(directory.path().join("postgres/thesis.txt"), "").unwrap();
    let error = LocalPostgres::start(config(directory.path())).await.unwrap_err();
    assert!(matches!(error, LocalPostgresError::Occupied { .. }), "{error}");
}

#[tokio::test]
async fn recreates_an_unfinished_database() {
    let directory = enterable();
    fs::create_dir(directory.path().join("postgres.new")).unwrap();
    fs::write(directory.path().join("postgres.new/PG_VERSION"), "15\n").unwrap();
    LocalPostgres::start(config(directory.path())).await.unwrap();
}

#[tokio::test]
async fn names_an_inaccessible_directory() {
    if !geteuid().is_root() {
        return;
    }
    let directory = enterable();
    let closed = directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let error = LocalPostgres::start(config(closed.join("data"))).await.unwrap_err();
    match &error {
        LocalPostgresError::Closed { directory, .. } => assert_eq!(directory, &closed.canonicalize().unwrap()),
        other => panic!("{other}"),
    }
    assert!(error.to_string().contains("chmod o+x"));
}
