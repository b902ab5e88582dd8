//! Makes the database's files, and clears away a server that outlived the process that started it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::directory::DataDir;
use super::error::LocalPostgresError;

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

/// Stops a server of this very directory that still runs although its process is gone: we hold the directory's lock, so nobody
/// else uses it. A stale pid file that names some other process would keep PostgreSQL from starting, and is removed.
pub(super) async fn stop_orphan(directory: &DataDir) -> Result<(), LocalPostgresError> {
    let database = directory.database();
    let pid_file = database.join("postmaster.pid");
    let Some(pid) = read_pid(&pid_file)? else { return Ok(()) };
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

fn read_pid(pid_file: &Path) -> Result<Option<Pid>, LocalPostgresError> {
    match fs::read_to_string(pid_file) {
        Ok(text) => Ok(text.lines().next().and_then(|line| line.trim().parse().ok()).map(Pid::from_raw)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LocalPostgresError::File { what: "read", path: pid_file.to_owned(), source }),
    }
}

fn is_alive(pid: Pid) -> bool {
    // One that we may not signal is alive too.
    pid.as_raw() > 1 && !matches!(kill(pid, None), Err(Errno::ESRCH))
}

/// We start a server with its directory as an argument. Unlike its working directory, its arguments may be read by whoever is
/// root in a container without the right to trace. Where they cannot be read, a living process is taken for the postmaster.
fn works_in(pid: Pid, database: &Path) -> bool {
    match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(arguments) => arguments.split(|byte| *byte == 0).any(|argument| argument == database.as_os_str().as_bytes()),
        Err(_) => true,
    }
}
