//! The files of the database: makes them, reads which server uses them, and stops one that outlived the process that
//! started it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::directory::DataDir;
use super::error::LocalPostgresError;
use super::locks::lock_out_guests;

/// The superuser of a private database.
pub(super) const SUPERUSER: &str = "highwater";

/// Makes the database's files if they are not there.
pub(super) async fn prepare(directory: &DataDir, durable: bool) -> Result<(), LocalPostgresError> {
    if directory.has_database()? {
        return Ok(());
    }
    // Not every system has C.UTF-8; C sorts the same.
    if initdb(directory, durable, "C.UTF-8").await.is_err() {
        initdb(directory, durable, "C").await?;
    }
    let (made, database) = (directory.unfinished(), directory.database());
    fs::rename(&made, &database).map_err(|source| LocalPostgresError::File { what: "make", path: database, source })
}

async fn initdb(directory: &DataDir, durable: bool, locale: &str) -> Result<(), LocalPostgresError> {
    let target = directory.unfinished();
    let file = |what| {
        let path = target.clone();
        move |source| LocalPostgresError::File { what, path, source }
    };
    match fs::remove_dir_all(&target) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(file("remove")(error)),
    }
    DirBuilder::new().mode(0o700).create(&target).map_err(file("make"))?;
    directory.account.give(&target)?;

    let program = directory.programs.initdb();
    let mut initdb = directory.account.command(&program, directory.root());
    initdb
        .arg("--pgdata")
        .arg(&target)
        .args(["--username", SUPERUSER, "--encoding=UTF8", "--auth-local=trust", "--auth-host=scram-sha-256"])
        .arg(format!("--locale={locale}"))
        .arg("--no-instructions");
    if !durable {
        initdb.arg("--no-sync");
    }
    let ended =
        initdb.output().await.map_err(|source| LocalPostgresError::File { what: "run", path: program, source })?;
    if ended.status.success() {
        return Ok(());
    }
    Err(LocalPostgresError::Program { program: "initdb", output: said(&ended.stderr) })
}

fn said(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}

/// Stops a server of this very directory that still runs although its process is gone: we hold the directory's lock, so
/// nobody else runs it. Those who still use it may finish first. A stale pid file that names some other process would
/// keep PostgreSQL from starting, and is removed.
pub(super) async fn stop_orphan(directory: &DataDir, within: Duration) -> Result<(), LocalPostgresError> {
    let database = directory.database();
    let pid_file = database.join("postmaster.pid");
    let Some(pid) = read_lines(&pid_file)?.first().and_then(|line| line.parse().ok()).map(Pid::from_raw) else {
        return Ok(());
    };
    if !is_alive(pid) {
        return Ok(());
    }
    if !works_in(pid, &database) {
        return fs::remove_file(&pid_file).map_err(|source| LocalPostgresError::File {
            what: "remove",
            path: pid_file,
            source,
        });
    }
    let _no_guests = lock_out_guests(directory.root(), within).await?;
    tracing::warn!(pid = pid.as_raw(), "a PostgreSQL of this directory outlived its process: stopping it");
    let program = directory.programs.pg_ctl();
    let ended = directory
        .account
        .command(&program, directory.root())
        .args(["stop", "--mode=fast", "--wait", "--timeout=60", "--silent", "--pgdata"])
        .arg(&database)
        .output()
        .await
        .map_err(|source| LocalPostgresError::File { what: "run", path: program, source })?;
    // It may have ended by itself in between.
    if ended.status.success() || !is_alive(pid) {
        return Ok(());
    }
    Err(LocalPostgresError::Program { program: "pg_ctl", output: said(&ended.stderr) })
}

/// Whether a server of this directory did not end as it should.
pub(super) fn ended_badly(directory: &DataDir) -> bool {
    directory.database().join("postmaster.pid").exists()
}

/// Where a server takes connections.
#[derive(Debug)]
pub(super) struct Postmaster {
    pub(super) socket: PathBuf,
    pub(super) port: u16,
}

/// The server that uses the database, as it wrote itself down: line 4 of its file is the port, line 5 the socket's
/// directory. `None` if there is none, or if it has not yet written both.
pub(super) fn read_postmaster(database: &Path) -> Result<Option<Postmaster>, LocalPostgresError> {
    let lines = read_lines(&database.join("postmaster.pid"))?;
    let (port, socket) = (lines.get(3).and_then(|line| line.parse().ok()), lines.get(4));
    Ok(port
        .zip(socket)
        .filter(|(_, socket)| !socket.is_empty())
        .map(|(port, socket)| Postmaster { socket: socket.into(), port }))
}

fn read_lines(pid_file: &Path) -> Result<Vec<String>, LocalPostgresError> {
    match fs::read_to_string(pid_file) {
        Ok(text) => Ok(text.lines().map(|line| line.trim().to_owned()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(LocalPostgresError::File { what: "read", path: pid_file.to_owned(), source }),
    }
}

fn is_alive(pid: Pid) -> bool {
    // One that we may not signal is alive too.
    pid.as_raw() > 1 && !matches!(kill(pid, None), Err(Errno::ESRCH))
}

/// We start a server with its directory as an argument. Unlike its working directory, its arguments may be read by
/// whoever is root in a container without the right to trace. Where they cannot be read, a living process is taken for
/// the postmaster.
fn works_in(pid: Pid, database: &Path) -> bool {
    match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(arguments) => arguments.split(|byte| *byte == 0).any(|argument| argument == database.as_os_str().as_bytes()),
        Err(_) => true,
    }
}
