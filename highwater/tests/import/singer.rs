//! `highwater singer`, with taps that are shell scripts.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use chrono::{DateTime, Utc};
use highwater::system::RunningSystem;
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::{KEY, complete_through, head, said, start, stated};

/// A tap that writes messages and ends with a status. It notes its arguments.
struct Tap {
    folder: TempDir,
    lines: String,
    status: u8,
}

impl Tap {
    fn new(messages: &[Value]) -> Self {
        Self { folder: TempDir::new().unwrap(), lines: lines(messages), status: 0 }
    }

    fn failing(self) -> Self {
        Self { status: 1, ..self }
    }

    fn in_folder_of(self, other: Self) -> Self {
        Self { folder: other.folder, ..self }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self) -> PathBuf {
        std::fs::write(self.path("messages"), &self.lines).unwrap();
        let (tap, at) = (self.path("tap.sh"), self.folder.path().display());
        let script = format!("echo \"$@\" > {at}/arguments\ncat {at}/messages\nexit {}\n", self.status);
        std::fs::write(&tap, script).unwrap();
        tap
    }

    /// The arguments that it was given the last time.
    fn arguments(&self) -> String {
        std::fs::read_to_string(self.path("arguments")).unwrap().trim().to_owned()
    }

    async fn run(&self, system: &RunningSystem) -> Output {
        let script = self.write();
        let mut command = singer(system, &self.path("state.json"));
        command.args(["--", "sh"]).arg(script).args(["--config", "config.json"]);
        command.output().await.unwrap()
    }
}

/// The messages, each on a line.
fn lines(messages: &[Value]) -> String {
    let lines: Vec<_> = messages.iter().map(Value::to_string).collect();
    lines.join("\n") + "\n"
}

fn singer(system: &RunningSystem, state: &Path) -> Command {
    let server = format!("http://{}", system.command_addr.unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    command.args(["singer", "--mapping", "tap-facebook", "--currency", "EUR", "--api-key", KEY, "--server", &server]);
    command.arg("--state").arg(state);
    command
}

fn ad(ad: u32, day: &str, spend: f64) -> Value {
    let record = json!({"campaign_id": "238", "campaign_name": "Spring", "ad_id": ad.to_string(), "spend": spend,
                        "date_start": format!("{day}T00:00:00.000000Z")});
    json!({"type": "RECORD", "stream": "ads_insights", "record": record})
}

fn schema() -> Value {
    json!({"type": "SCHEMA", "stream": "ads_insights", "schema": {"properties": {}}, "key_properties": ["ad_id"]})
}

fn state(day: &str) -> Value {
    json!({"type": "STATE", "value": {"bookmarks": {"ads_insights": {"date_start": format!("{day}T00:00:00+00:00")}}}})
}

fn spent(day: &str, micros: i64) -> (String, String, String, i64) {
    ("Spring".to_owned(), day.to_owned(), "spend".to_owned(), micros)
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_tap_goes_on_where_it_was(pool: PgPool) {
    let system = start(&pool).await;
    let other = json!({"type": "RECORD", "stream": "campaigns", "record": {"id": "238"}});
    let ads = [ad(1, "2026-01-01", 1.5), ad(2, "2026-01-01", 2.25), ad(1, "2026-01-02", 4.0)];
    let messages = [&[schema(), other], ads.as_slice(), &[state("2026-01-02")]].concat();
    let tap = Tap::new(&messages);
    let told = said(&tap.run(&system).await, true);
    assert!(told.contains("skipped: 1 records of stream campaigns"), "{told}");
    assert_eq!(tap.arguments(), "--config config.json");
    assert_eq!(stated(&pool).await, [spent("2026-01-01", 3_750_000), spent("2026-01-02", 4_000_000)]);
    assert_eq!(complete_through(&pool).await, [instant("2026-01-03T00:00:00Z")]);
    let kept: Value = serde_json::from_slice(&std::fs::read(tap.path("state.json")).unwrap()).unwrap();
    assert_eq!(kept, state("2026-01-02")["value"]);

    // The next run restates the last day, and is told where the tap was.
    let messages = [schema(), ad(1, "2026-01-02", 5.0), ad(2, "2026-01-02", 1.0), state("2026-01-03")];
    let next = Tap::new(&messages).in_folder_of(tap);
    said(&next.run(&system).await, true);
    assert_eq!(next.arguments(), format!("--config config.json --state {}", next.path("state.json").display()));
    assert_eq!(stated(&pool).await, [spent("2026-01-01", 3_750_000), spent("2026-01-02", 6_000_000)]);
    assert_eq!(complete_through(&pool).await, [instant("2026-01-04T00:00:00Z")]);
    // Once more, it appends nothing.
    let before = head(&pool).await;
    said(&next.run(&system).await, true);
    assert_eq!(head(&pool).await, before);
    // Where nothing happened, the source is complete all the same.
    let silent = Tap::new(&[schema(), state("2026-01-05")]).in_folder_of(next);
    let told = said(&silent.run(&system).await, true);
    assert!(told.contains("ads_insights: no records"), "{told}");
    assert_eq!(complete_through(&pool).await, [instant("2026-01-06T00:00:00Z")]);
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_tap_that_fails_states_no_day_in_part(pool: PgPool) {
    let system = start(&pool).await;
    let ads =
        [schema(), ad(1, "2026-01-01", 1.0), ad(2, "2026-01-01", 2.0), state("2026-01-02"), ad(1, "2026-01-02", 4.0)];
    let tap = Tap::new(&ads).failing();
    let told = said(&tap.run(&system).await, false);
    assert!(told.contains("1 records of days that it may have read in part are not sent"), "{told}");
    assert_eq!(stated(&pool).await, [spent("2026-01-01", 3_000_000)]);
    assert_eq!(complete_through(&pool).await, [instant("2026-01-02T00:00:00Z")]);
    assert!(tap.path("state.json").exists(), "the next run goes on with the 2nd");
    // A tap that is no tap sends nothing.
    let broken = Tap::new(&[schema()]);
    let broken = Tap { lines: format!("{}INFO starting\n", broken.lines), ..broken };
    let told = said(&broken.run(&system).await, false);
    assert!(told.contains("line 2 is not a Singer message"), "{told}");
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn messages_are_read_from_a_pipe(pool: PgPool) {
    let system = start(&pool).await;
    let read = async |messages: &[Value]| {
        let folder = TempDir::new().unwrap();
        let mut command = singer(&system, &folder.path().join("state.json"));
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = piped.spawn().unwrap();
        let mut input = program.stdin.take().unwrap();
        input.write_all(lines(messages).as_bytes()).await.unwrap();
        drop(input);
        program.wait_with_output().await.unwrap()
    };
    // An input that ends behind records was cut off.
    let cut = [schema(), ad(1, "2026-01-01", 1.0), state("2026-01-01"), ad(2, "2026-01-01", 2.0)];
    let told = said(&read(&cut).await, false);
    assert!(told.contains("ads_insights: no records"), "{told}");
    assert_eq!(stated(&pool).await, []);
    let whole = [&cut[..], &[state("2026-01-01")]].concat();
    let output = read(&whole).await;
    said(&output, true);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, state("2026-01-01")["value"], "nothing but the state is printed");
    assert_eq!(stated(&pool).await, [spent("2026-01-01", 3_000_000)]);
    // A state of streams that are skipped would leave out their records for ever.
    let other = json!({"type": "RECORD", "stream": "ads", "record": {"id": "1"}});
    let output = read(&[other, state("2026-01-02")]).await;
    let told = said(&output, false);
    assert!(
        told.contains("skipped: 1 records of stream ads") && told.contains("The mapping has ads_insights"),
        "{told}"
    );
    assert!(output.stdout.is_empty(), "no state is printed");
    system.shutdown().await.unwrap();
}
