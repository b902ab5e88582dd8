//! `with-postgres COMMAND [ARGUMENT …]`: runs a command beside a private PostgreSQL that is thrown away afterwards, and
//! whose new databases are migrated.
//!
//! The command finds it in DATABASE_URL. SQLX_OFFLINE is set unless it is there already, so that a build inside the
//! command takes its queries from `.sqlx/`. Signals are passed on to the command, and its exit status is ours.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::str::FromStr as _;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use platform::local_postgres::{LocalPostgres, LocalPostgresConfig};
use secrecy::ExposeSecret as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).collect()).await {
        // A command that a signal ended has the status that a shell gives it.
        Ok(status) => {
            let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
        Err(error) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&*error);
            let mut said = "with-postgres".to_owned();
            while let Some(error) = cause {
                said = format!("{said}: {error}");
                cause = error.source();
            }
            // Nobody is left to tell that stderr is gone.
            let _ = writeln!(std::io::stderr(), "{said}");
            ExitCode::FAILURE
        }
    }
}

async fn run(line: Vec<OsString>) -> Result<ExitStatus, Failure> {
    let [program, arguments @ ..] = line.as_slice() else {
        return Err("which command? with-postgres COMMAND [ARGUMENT …]".into());
    };
    let scratch = Scratch::new();
    let config = LocalPostgresConfig {
        durable: false,
        max_connections: 500,
        shared_buffers_mb: 128,
        // Tests may change the database's name in the URL, which is simplest in one with host and port.
        loopback_port: true,
        ..LocalPostgresConfig::new(&scratch.0)
    };
    let postgres = LocalPostgres::start(config).await?;
    migrate_template(postgres.url().expose_secret()).await?;
    let mut command = Command::new(program);
    command.args(arguments).env("DATABASE_URL", postgres.url().expose_secret()).kill_on_drop(true);
    if std::env::var_os("SQLX_OFFLINE").is_none() {
        command.env("SQLX_OFFLINE", "true");
    }
    let ended = match command.spawn() {
        Ok(child) => wait(child).await,
        Err(error) => Err(format!("cannot run {}: {error}", program.display()).into()),
    };
    postgres.stop().await?;
    ended
}

/// Every database that the command makes is a copy of this one, and so is migrated already: the tests make hundreds,
/// and migrating takes longer than copying.
async fn migrate_template(url: &str) -> Result<(), Failure> {
    let template = PgConnectOptions::from_str(url)?.database("template1");
    let mut connection = PgConnection::connect_with(&template).await?;
    event_store::MIGRATOR.run(&mut connection).await?;
    // A database with sessions cannot be copied.
    connection.close().await?;
    Ok(())
}

/// Waits for the command's end, and lets it have our signals.
async fn wait(mut child: Child) -> Result<ExitStatus, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        let passed_on = tokio::select! {
            status = child.wait() => return Ok(status?),
            _ = interrupt.recv() => Signal::SIGINT,
            _ = terminate.recv() => Signal::SIGTERM,
            _ = hangup.recv() => Signal::SIGHUP,
        };
        if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
            // It may have ended in between; `wait` says so.
            let _ = kill(Pid::from_raw(id), passed_on);
        }
    }
}

/// A directory that goes when we do.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("highwater-with-postgres-{}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            let _ = writeln!(std::io::stderr(), "with-postgres: cannot remove {}: {error}", self.0.display());
        }
    }
}
