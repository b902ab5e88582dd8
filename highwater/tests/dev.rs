//! `highwater dev` as a program: it starts from nothing, stops on Ctrl-C, leaves nothing running, and is operated by
//! its directory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Far more than any step takes; only a hang reaches it.
const PATIENCE: Duration = Duration::from_mins(3);

struct Dev {
    child: Child,
    /// Kept open, as a terminal is.
    said: Lines<BufReader<ChildStdout>>,
    command_api: String,
    read_api: String,
}

/// A directory that PostgreSQL's user may enter, when this is root.
fn data_dir() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

async fn start(data_dir: &Path) -> Dev {
    let mut child = Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(["dev", "--traffic", "0", "--command-addr", "127.0.0.1:0", "--read-addr", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut dev = Dev { child, said, command_api: String::new(), read_api: String::new() };
    let url = |line: &str| line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
    let told = async {
        while let Some(line) = dev.said.next_line().await.unwrap() {
            if line.starts_with("command API:") {
                dev.command_api = url(&line);
            }
            if line.starts_with("read API:") {
                dev.read_api = url(&line);
            }
            if line.starts_with("Try:") {
                return;
            }
        }
        panic!("it ended before it was ready");
    };
    timeout(PATIENCE, told).await.unwrap();
    dev
}

impl Dev {
    async fn get(&self, url: String) -> (u16, Value) {
        highwater::tls::install_provider();
        let answer = reqwest::Client::new().get(url).bearer_auth("hw_dev").send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().unwrap().try_into().unwrap()), signal).unwrap();
    }

    async fn ended(mut self) -> std::process::ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap()
    }
}

/// The programs whose command line names the directory.
fn running_in(directory: &Path) -> Vec<String> {
    let name = directory.to_string_lossy().into_owned();
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(&name)).collect()
}

#[tokio::test]
async fn restart_after_ctrl_c_keeps_the_data() {
    let directory = data_dir();
    let dev = start(directory.path()).await;
    assert_eq!(dev.get(format!("{}/readyz", dev.command_api)).await.0, 200);
    assert_eq!(dev.get(format!("{}/readyz", dev.read_api)).await.0, 200);
    let (status, campaigns) = dev.get(format!("{}/v1/campaigns", dev.read_api)).await;
    assert_eq!((status, campaigns["data"].as_array().map(Vec::len)), (200, Some(0)), "{campaigns}");

    let body = serde_json::json!({
        "name": "Kept", "channels": ["email"], "currency": "EUR", "time_zone": "Europe/Berlin", "starts_on": "2026-01-01",
    });
    let created = reqwest::Client::new()
        .post(format!("{}/v1/campaigns", dev.command_api))
        .bearer_auth("hw_dev")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), 201);
    let token = created.headers()["consistency-token"].clone();

    dev.signal(Signal::SIGINT);
    assert!(dev.ended().await.success());
    assert_eq!(running_in(directory.path()), Vec::<String>::new());
    assert!(!directory.path().join("postgres/postmaster.pid").exists());

    let again = start(directory.path()).await;
    let kept = reqwest::Client::new()
        .get(format!("{}/v1/campaigns", again.read_api))
        .bearer_auth("hw_dev")
        .header("consistency-token", token)
        .header("prefer", "wait=30")
        .send()
        .await
        .unwrap();
    let kept: Value = serde_json::from_str(&kept.text().await.unwrap()).unwrap();
    assert_eq!(kept["data"][0]["name"], "Kept", "{kept}");
    again.signal(Signal::SIGTERM);
    assert!(again.ended().await.success());
    assert_eq!(running_in(directory.path()), Vec::<String>::new());
}

/// An operator's command on the directory.
async fn operate(directory: &Path, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(line.split_whitespace())
        .arg("--data-dir")
        .arg(directory)
        .env_remove("HIGHWATER_DATABASE_URL")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

#[track_caller]
fn accepted(output: &Output, naming: &str) {
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(naming), "{said}");
}

/// Every command of an operator, and what it says of a workspace with one event.
const OPERATIONS: [(&str, &str); 8] = [
    ("status", "caught up"),
    ("status --json", "\"caught up\""),
    ("verify", "campaign_model: equal"),
    ("replay --verify", "every row of which was compared before"),
    ("parked list", "nothing is parked"),
    ("retention show", "kept from"),
    ("keys list", "highwater dev"),
    ("leaderboard refresh", "workspaces:"),
];

#[tokio::test]
async fn operators_commands_work_on_a_running_a_killed_and_a_stopped_system() {
    let directory = data_dir();
    let dev = start(directory.path()).await;
    highwater::tls::install_provider();
    let applied = reqwest::Client::new()
        .get(format!("{}/v1/campaigns?min_position=1&on_timeout=error", dev.read_api))
        .bearer_auth("hw_dev")
        .header("prefer", "wait=30")
        .send()
        .await
        .unwrap();
    assert_eq!(applied.status(), 200);
    for (line, naming) in OPERATIONS {
        accepted(&operate(directory.path(), line).await, naming);
    }
    assert_eq!(dev.get(format!("{}/readyz", dev.read_api)).await.0, 200);

    // Its PostgreSQL lives on, without an owner.
    dev.signal(Signal::SIGKILL);
    assert!(!dev.ended().await.success());
    accepted(&operate(directory.path(), "status").await, "demo");
    assert_eq!(running_in(directory.path()), Vec::<String>::new());

    for (line, naming) in OPERATIONS {
        accepted(&operate(directory.path(), line).await, naming);
        assert_eq!(running_in(directory.path()), Vec::<String>::new(), "{line}");
    }
    // At once: the first one's server serves all of them.
    let together = futures_util::future::join_all(OPERATIONS.map(|(line, _)| operate(directory.path(), line))).await;
    for (output, (line, naming)) in together.iter().zip(OPERATIONS) {
        // One process at a time replays or verifies a projection.
        if !line.starts_with("verify") && !line.starts_with("replay") {
            accepted(output, naming);
        }
    }
    assert_eq!(running_in(directory.path()), Vec::<String>::new());

    let again = start(directory.path()).await;
    assert_eq!(again.get(format!("{}/v1/campaigns", again.read_api)).await.0, 200);
    again.signal(Signal::SIGINT);
    assert!(again.ended().await.success());
}

#[tokio::test]
async fn rejects_directory_without_a_database() {
    let directory = data_dir();
    let output = operate(directory.path(), "status").await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("is not a data directory of `highwater dev`"), "{said}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn data_directory_overrides_the_environment() {
    let directory = data_dir();
    let dev = start(directory.path()).await;
    let output = Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(["keys", "list", "--data-dir"])
        .arg(directory.path())
        .env("HIGHWATER_DATABASE_URL", "postgres://nobody@127.0.0.1:1/elsewhere")
        .output()
        .await
        .unwrap();
    accepted(&output, "highwater dev");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("HIGHWATER_DATABASE_URL") && said.contains("not used"), "{said}");
    dev.signal(Signal::SIGTERM);
    assert!(dev.ended().await.success());
}

#[tokio::test]
async fn restart_after_a_kill_keeps_the_data() {
    let directory = data_dir();
    let dev = start(directory.path()).await;
    dev.signal(Signal::SIGKILL);
    assert!(!dev.ended().await.success());
    let again = start(directory.path()).await;
    assert_eq!(again.get(format!("{}/v1/campaigns", again.read_api)).await.0, 200);
    again.signal(Signal::SIGINT);
    assert!(again.ended().await.success());
    assert_eq!(running_in(directory.path()), Vec::<String>::new());
}

#[tokio::test]
async fn address_in_use_names_its_flag() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = data_dir();
    let output = Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args([
            "dev",
            "--read-addr",
            "127.0.0.1:0",
            "--command-addr",
            &taken.local_addr().unwrap().to_string(),
            "--data-dir",
        ])
        .arg(directory.path())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains("in use") && said.contains("--command-addr"), "{said}");
}

#[tokio::test]
async fn development_key_is_refused_beyond_loopback() {
    let directory = data_dir();
    let output = Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(["dev", "--command-addr", "0.0.0.0:0", "--data-dir"])
        .arg(directory.path())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains("hw_dev") && said.contains("--command-addr"), "{said}");
}
