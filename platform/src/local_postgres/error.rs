//! The errors of a private PostgreSQL, each with a remedy.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum LocalPostgresError {
    #[error(
        "PostgreSQL is not installed: none of {} has initdb, pg_ctl and postgres; install it with `apt-get install \
         postgresql` (Debian, Ubuntu), `dnf install postgresql-server` (Fedora), `apk add postgresql` (Alpine) or \
         `brew install postgresql` (macOS)",
        list(searched)
    )]
    NotInstalled { searched: Vec<PathBuf> },
    #[error("PostgreSQL {found} is too old: version {least} or newer is needed")]
    TooOld { found: u32, least: u32 },
    #[error(
        "{} was made by PostgreSQL {needed}, which is not installed (found: {}): install it, or choose another \
         directory",
        directory.display(), found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    VersionMissing { directory: PathBuf, needed: u32, found: Vec<u32> },
    #[error(
        "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as: run as another \
         user"
    )]
    NoAccount,
    #[error(
        "PostgreSQL refuses to run as root and runs as user `{user}`, who may not enter {}: choose another data \
         directory, or open this one with `chmod o+x {}`",
        directory.display(), directory.display()
    )]
    Closed { directory: PathBuf, user: String },
    #[error("PostgreSQL refuses to run as root and runs as user `{user}`, who may not run {}", program.display())]
    ProgramClosed { program: PathBuf, user: String },
    #[error("{} belongs to another user: run as this user, or choose another data directory", directory.display())]
    NotOwner { directory: PathBuf },
    #[error(
        "another process uses {}, `highwater dev` or a command with --data-dir: wait until it ends, or stop it, or \
         choose another data directory",
        data_dir.display()
    )]
    InUse { data_dir: PathBuf },
    #[error(
        "{} is not a data directory of `highwater dev`: name the one that `highwater dev` prints as `data`",
        data_dir.display()
    )]
    NoDatabase { data_dir: PathBuf },
    #[error(
        "another process uses {}, but its PostgreSQL takes no connections within {} s",
        data_dir.display(), within.as_secs()
    )]
    NotAnswering { data_dir: PathBuf, within: Duration },
    #[error("{} holds files but no database: choose another data directory", directory.display())]
    Occupied { directory: PathBuf },
    #[error("no private directory for the socket can be made under {}", parent.display())]
    NoSocketDirectory { parent: PathBuf },
    #[error("cannot {what} {}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("`{program}` failed: {output}")]
    Program { program: &'static str, output: String },
    #[error("PostgreSQL ended with {status} before it was ready; its log says: {log}")]
    NotStarted { status: ExitStatus, log: String },
    #[error("PostgreSQL was not ready within {} s; its log says: {log}", within.as_secs())]
    NotReady { within: Duration, log: String },
    #[error("PostgreSQL does not stop")]
    NotStopped,
    #[error("PostgreSQL ended again and again; its log says: {log}")]
    KeepsEnding { log: String },
    #[error("cannot prepare the private database")]
    Database(#[from] sqlx::Error),
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
