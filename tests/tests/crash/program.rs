//! The program as its users run it: a child process with its own PostgreSQL in a directory of its own.

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

pub(crate) const KEY: &str = "hw_dev";

pub(crate) struct Program {
    data: TempDir,
    child: Child,
    pub(crate) command: SocketAddr,
    pub(crate) read: SocketAddr,
}

/// The binary that was built with these tests: beside the folder that they run from.
fn binary() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let built = here.parent().and_then(Path::parent).unwrap().join("highwater");
    assert!(built.exists(), "{} is not there: build it with `cargo build --package highwater`", built.display());
    built
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn spawn(data: &Path, command: SocketAddr, read: SocketAddr) -> Child {
    Command::new(binary())
        .args(["dev", "--traffic", "0", "--data-dir"])
        .arg(data)
        .args(["--command-addr", &command.to_string(), "--read-addr", &read.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

impl Program {
    pub(crate) async fn start() -> Self {
        // Under /tmp, so that the user whom PostgreSQL runs as can reach it when the tests run as root.
        let data = tempfile::Builder::new().prefix("highwater-crash-").tempdir_in("/tmp").unwrap();
        tests::open_to_all(data.path());
        let (command, read) = (free_address(), free_address());
        let child = spawn(data.path(), command, read);
        let program = Self { data, child, command, read };
        program.ready().await;
        program
    }

    /// On the same directory and addresses as before.
    pub(crate) async fn start_again(&mut self) {
        self.child.wait().await.unwrap();
        self.child = spawn(self.data.path(), self.command, self.read);
        self.ready().await;
    }

    async fn ready(&self) {
        let client = tests::client(Duration::from_secs(5));
        let deadline = Instant::now() + Duration::from_mins(2);
        for address in [self.command, self.read] {
            let url = format!("http://{address}/readyz");
            while !client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200) {
                assert!(Instant::now() < deadline, "{url} is not ready");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// `kill -9` of the program alone: its PostgreSQL goes on without it.
    pub(crate) fn kill(&mut self) {
        self.child.start_kill().unwrap();
    }

    /// The lines of `postmaster.pid`: the process id first, the socket's directory fifth.
    fn postmaster(&self) -> Vec<String> {
        let file = self.data.path().join("postgres/postmaster.pid");
        std::fs::read_to_string(file).unwrap_or_default().lines().map(|line| line.trim().to_owned()).collect()
    }

    /// `kill -9` of this program's own PostgreSQL, unless it is down already.
    pub(crate) fn kill_postgres(&self) {
        if let Some(pid) = self.postmaster().first().and_then(|line| line.parse().ok()) {
            // It may have ended since the file was read.
            kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        }
    }

    /// A connection past the program, to look at the log itself.
    pub(crate) async fn database(&self) -> PgConnection {
        let lines = self.postmaster();
        PgConnectOptions::new_without_pgpass()
            .socket(&lines[4])
            .port(lines[3].parse().unwrap())
            .username("highwater")
            .database("highwater")
            .connect()
            .await
            .unwrap()
    }

    /// Ctrl-C, and nothing is left running.
    pub(crate) async fn stop(mut self) {
        let postmaster: i32 = self.postmaster()[0].parse().unwrap();
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
        let status = tokio::time::timeout(Duration::from_mins(1), self.child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
        assert!(kill(Pid::from_raw(postmaster), None).is_err(), "PostgreSQL still runs");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A failed test leaves no server behind: the program is killed by `kill_on_drop`, its PostgreSQL here.
        self.kill_postgres();
    }
}
