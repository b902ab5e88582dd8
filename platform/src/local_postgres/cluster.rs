//! The files of the database. Creates them, reads which server uses them, and stops a server that outlived its process.

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

/// Creates the database's files if they do not exist.
pub(super) async fn prepare(directory: &DataDir, durable: bool) -> Result<(), LocalPostgresError> {
    if directory.has_database()? {
        return Ok(());
    }
    // Some systems lack C.UTF-8; C has the same order.
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
    Err(LocalPostgresError::Program { program: "initdb", output: trimmed(&ended.stderr) })
}

fn trimmed(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}

/// Stops a server of this directory that outlived its process. The caller holds the directory's lock, so no other
/// process runs the server. Connected clients may finish first. A stale pid file that names another process is removed,
/// because PostgreSQL would not start with it.
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
    // The server may have ended by itself meanwhile.
    if ended.status.success() || !is_alive(pid) {
        return Ok(());
    }
    Err(LocalPostgresError::Program { program: "pg_ctl", output: trimmed(&ended.stderr) })
}

/// Whether a server of this directory ended without a clean shutdown.
pub(super) fn ended_badly(directory: &DataDir) -> bool {
    directory.database().join("postmaster.pid").exists()
}

/// The socket of a server.
#[derive(Debug)]
pub(super) struct Postmaster {
    pub(super) socket: PathBuf,
    pub(super) port: u16,
}

/// The server that uses the database, from its pid file: line 4 is the port, line 5 the socket's directory. `None` if
/// there is none, or if it has not written both yet.
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
    // A process that may not be signalled is alive too.
    pid.as_raw() > 1 && !matches!(kill(pid, None), Err(Errno::ESRCH))
}

/// Whether the process is a server of this database. The server gets its directory as an argument. Unlike a working
/// directory, arguments are readable for root in a container without the right to trace. If they cannot be read, a
/// living process counts as the postmaster.
fn works_in(pid: Pid, database: &Path) -> bool {
    match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(arguments) => arguments.split(|byte| *byte == 0).any(|argument| argument == database.as_os_str().as_bytes()),
        Err(_) => true,
    }
}
