//! The program as its users run it: a child process with its own PostgreSQL in its own directory.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A program and the PostgreSQL that it started.
pub struct Program {
    scratch: TempDir,
    data: PathBuf,
    child: Child,
    command: SocketAddr,
    read: SocketAddr,
}

/// The binary of the same build, next to the folder of the tests.
pub(crate) fn binary() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let built = here.parent().and_then(Path::parent).unwrap().join("highwater");
    assert!(built.exists(), "{} is not there: build it with `cargo build --package highwater`", built.display());
    built
}

/// A command of the program. It needs no PostgreSQL of its own, and ends with the test.
pub fn highwater(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn spawn(data: &Path, log: &Path, command: SocketAddr, read: SocketAddr) -> Child {
    let log = File::options().create(true).append(true).open(log).unwrap();
    Command::new(binary())
        .args(["dev", "--traffic", "0", "--data-dir"])
        .arg(data)
        .args(["--command-addr", &command.to_string(), "--read-addr", &read.to_string()])
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The program's log.
fn log(scratch: &TempDir) -> PathBuf {
    scratch.path().join("program.log")
}

impl Program {
    /// The key of its only workspace.
    pub const KEY: &str = "hw_dev";

    /// Starts in a new directory.
    pub async fn start() -> Self {
        let scratch = Self::scratch();
        let data = scratch.path().to_owned();
        Self::start_in(scratch, data).await
    }

    /// A directory that is deleted with the program. It is under /tmp, so that PostgreSQL's user can enter it when the
    /// tests run as root.
    pub fn scratch() -> TempDir {
        let scratch = tempfile::Builder::new().prefix("highwater-faults-").tempdir_in("/tmp").unwrap();
        crate::open_to_all(scratch.path());
        scratch
    }

    /// Starts on a directory in `scratch`.
    pub async fn start_in(scratch: TempDir, data: PathBuf) -> Self {
        let (command, read) = (free_address(), free_address());
        let child = spawn(&data, &log(&scratch), command, read);
        let program = Self { scratch, data, child, command, read };
        program.ready().await;
        program
    }

    /// Starts on the same directory and addresses again, after the program has ended.
    pub async fn start_again(&mut self) {
        self.child.wait().await.unwrap();
        self.child = spawn(&self.data, &log(&self.scratch), self.command, self.read);
        self.ready().await;
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) {
        self.child.wait().await.unwrap();
    }

    async fn ready(&self) {
        let client = crate::client(Duration::from_secs(5));
        let deadline = Instant::now() + Duration::from_mins(2);
        for address in [self.command, self.read] {
            let url = format!("http://{address}/readyz");
            // The program does not signal that it listens.
            while !client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200) {
                assert!(Instant::now() < deadline, "{url} is not ready");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// The URL of its command API.
    pub fn command_url(&self) -> String {
        format!("http://{}", self.command)
    }

    /// The resident memory of the program in MiB, where the system provides it (Linux).
    pub fn resident_mib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib / 1_024)
    }

    /// `kill -9` of the program alone; its PostgreSQL continues.
    pub fn kill(&mut self) {
        // The program may have ended by itself.
        self.child.start_kill().ok();
    }

    /// The lines of `postmaster.pid`: the process id first, the socket's directory fifth.
    fn postmaster(&self) -> Vec<String> {
        let file = self.data.join("postgres/postmaster.pid");
        std::fs::read_to_string(file).unwrap_or_default().lines().map(|line| line.trim().to_owned()).collect()
    }

    /// `kill -9` of this program's own PostgreSQL, unless it has ended.
    pub fn kill_postgres(&self) {
        if let Some(pid) = self.postmaster().first().and_then(|line| line.parse().ok()) {
            // PostgreSQL may have ended since the file was read.
            kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        }
    }

    /// A direct connection to its database, to read the log.
    pub async fn database(&self) -> PgConnection {
        self.try_database().await.unwrap()
    }

    /// Like `database`, while PostgreSQL may be down.
    pub async fn try_database(&self) -> Result<PgConnection, sqlx::Error> {
        let lines = self.postmaster();
        let (Some(port), Some(socket)) = (lines.get(3).and_then(|port| port.parse().ok()), lines.get(4)) else {
            return Err(sqlx::Error::PoolClosed);
        };
        PgConnectOptions::new_without_pgpass()
            .socket(socket)
            .port(port)
            .username("highwater")
            .database("highwater")
            .connect()
            .await
    }

    /// Another command of the program, on its database.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let lines = self.postmaster();
        let url = format!("postgres://highwater@localhost:{}/highwater?host={}", lines[3], lines[4]);
        let mut command = Command::new(binary());
        command.args(arguments).env("HIGHWATER_DATABASE_URL", url).stdin(Stdio::null()).kill_on_drop(true);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Stops it with Ctrl-C, and checks that nothing keeps running.
    pub async fn stop(&mut self) {
        let postmaster: i32 = self.postmaster()[0].parse().unwrap();
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
        let status = tokio::time::timeout(Duration::from_mins(1), self.child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
        assert!(kill(Pid::from_raw(postmaster), None).is_err(), "PostgreSQL still runs");
    }
}

impl Drop for Program {
    #[expect(clippy::print_stderr, reason = "a failed test shows it")]
    fn drop(&mut self) {
        // A failed test must leave no server behind. `kill_on_drop` ends the program, and this its PostgreSQL.
        self.kill_postgres();
        if std::thread::panicking() {
            eprintln!("log of the program:\n{}", std::fs::read_to_string(log(&self.scratch)).unwrap_or_default());
        }
    }
}
