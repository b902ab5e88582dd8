//! A projector in its own process, as its users run it, on an existing database.

use std::fs::File;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{ConnectOptions, PgPool};
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};

use crate::program::{binary, free_address};

/// A process `highwater serve --roles projector`.
pub struct ProjectorProcess {
    url: String,
    health: SocketAddr,
    child: Child,
    log: NamedTempFile,
}

fn spawn(url: &str, health: SocketAddr, log: &NamedTempFile) -> Child {
    let log = File::options().append(true).open(log.path()).unwrap();
    Command::new(binary())
        .args(["serve", "--roles", "projector"])
        .env("HIGHWATER_DATABASE_URL", url)
        .env("HIGHWATER_DATABASE__MAX_CONNECTIONS", "6")
        .env("HIGHWATER_PROJECTOR__HEALTH_ADDR", health.to_string())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

impl ProjectorProcess {
    /// Starts on the database of `pool`, and waits until it is ready.
    pub async fn start(pool: &PgPool) -> Self {
        let (url, health) = (pool.connect_options().to_url_lossy().to_string(), free_address());
        let log = NamedTempFile::with_prefix("highwater-projector-").unwrap();
        let process = Self { child: spawn(&url, health, &log), url, health, log };
        process.ready().await;
        process
    }

    /// Starts it again, after it has ended.
    pub async fn start_again(&mut self) {
        self.child.wait().await.unwrap();
        self.child = spawn(&self.url, self.health, &self.log);
        self.ready().await;
    }

    async fn ready(&self) {
        let client = crate::client(Duration::from_secs(5));
        let (url, deadline) = (self.url_of("/readyz"), Instant::now() + Duration::from_mins(1));
        // The process does not signal that it listens.
        while !client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200) {
            assert!(Instant::now() < deadline, "{url} is not ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The URL of its health routes.
    pub fn url_of(&self, path: &str) -> String {
        format!("http://{}{path}", self.health)
    }

    /// Whether `name` in `log.leases` is this process.
    pub fn is_named(&self, name: &str) -> bool {
        self.child.id().is_some_and(|id| name.ends_with(&format!(" pid {id}")))
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// `kill -9`.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Suspends it (SIGSTOP).
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Resumes it.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Stops it like a service manager.
    pub async fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = tokio::time::timeout(Duration::from_mins(1), self.child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for ProjectorProcess {
    #[expect(clippy::print_stderr, reason = "a failed test shows it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of a projector:\n{}", std::fs::read_to_string(self.log.path()).unwrap_or_default());
        }
    }
}
