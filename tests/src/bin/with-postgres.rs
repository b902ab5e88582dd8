//! `with-postgres COMMAND [ARGUMENT …]`: runs a command beside a private PostgreSQL, whose new databases are migrated.
//! Afterwards the PostgreSQL is deleted.
//!
//! The command finds its URL in DATABASE_URL. SQLX_OFFLINE is set unless it is set already, so that a build inside the
//! command uses `.sqlx/`. Signals are passed on to the command, and its exit status is returned.

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
        // A command that a signal ended gets the status that a shell reports.
        Ok(status) => {
            let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
        Err(error) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&*error);
            let mut message = "with-postgres".to_owned();
            while let Some(error) = cause {
                message = format!("{message}: {error}");
                cause = error.source();
            }
            // If stderr is closed, there is nowhere to write.
            let _ = writeln!(std::io::stderr(), "{message}");
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
        // Tests replace the database's name in the URL, which is simplest with host and port.
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

/// Migrates the template, of which every database of the command is a copy. The tests create hundreds of databases, and
/// a migration takes longer than a copy.
async fn migrate_template(url: &str) -> Result<(), Failure> {
    let template = PgConnectOptions::from_str(url)?.database("template1");
    let mut connection = PgConnection::connect_with(&template).await?;
    event_store::MIGRATOR.run(&mut connection).await?;
    // A database with sessions cannot be copied.
    connection.close().await?;
    Ok(())
}

/// Waits for the command's end, and passes signals on to it.
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
            // The command may have ended meanwhile; `wait` reports it.
            let _ = kill(Pid::from_raw(id), passed_on);
        }
    }
}

/// A directory that is deleted on drop.
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
