//! How the database carries out what the API sends: auto_explain tells it each session, as notices, and they are judged here.

use std::fmt;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

/// Tables of which there are a few rows, however much is stored.
const SMALL: [&str; 3] = ["epochs", "epoch_retention", "stopped_logs"];

/// What the database has carried out since it was last asked.
pub(super) struct Statements {
    carried_out: Arc<Mutex<Vec<Statement>>>,
    _listening: DefaultGuard,
}

/// One statement, and what was done for it.
pub(super) struct Statement {
    text: String,
    plan: Value,
}

/// What a statement may read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowed<'a> {
    /// Rows of this epoch.
    pub(super) epoch: i32,
    /// Of tables that are kept by month, rows of these.
    pub(super) months: &'a [&'a str],
    /// So many rows in one place.
    pub(super) rows: u32,
    /// So many in one place of a table that is kept by month.
    pub(super) monthly: u32,
}

impl Statements {
    /// Listens to this thread, on which everything in a test runs.
    pub(super) fn listen() -> Self {
        let carried_out: Arc<Mutex<Vec<Statement>>> = Arc::default();
        let subscriber = registry().with(Notices(Arc::clone(&carried_out)));
        Self { carried_out, _listening: tracing::subscriber::set_default(subscriber) }
    }

    /// Whether one with this in it was among them.
    pub(super) fn have(&self, text: &str) -> bool {
        self.carried_out.lock().unwrap().iter().any(|statement| statement.text.contains(text))
    }

    pub(super) fn take(&self) -> Vec<Statement> {
        std::mem::take(&mut self.carried_out.lock().unwrap())
    }
}

struct Notices(Arc<Mutex<Vec<Statement>>>);

impl<S: Subscriber> Layer<S> for Notices {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "sqlx::postgres::notice" {
            return;
        }
        let mut message = Message::default();
        event.record(&mut message);
        let Some((_, told)) = message.0.split_once("plan:\n") else { return };
        let told: Value = serde_json::from_str(told).unwrap();
        let text = told["Query Text"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        self.0.lock().unwrap().push(Statement { text, plan: told["Plan"].clone() });
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

impl Statement {
    /// Everything that it did and may not.
    pub(super) fn offences(&self, allowed: Allowed<'_>) -> Vec<String> {
        let mut found = Vec::new();
        self.judge(&self.plan, allowed, &mut found);
        found
    }

    fn judge(&self, node: &Value, allowed: Allowed<'_>, found: &mut Vec<String>) {
        let number = |name: &str| node[name].as_f64().unwrap_or(0.0);
        let text = |name: &str| node[name].as_str().unwrap_or_default();
        // What was planned and never begun is not read.
        if number("Actual Loops") == 0.0 {
            return;
        }
        let mut offence = |why: String| {
            let shown =
                ["Node Type", "Relation Name", "Index Name", "Index Cond", "Filter", "Actual Rows", "Actual Loops"];
            let shown =
                shown.iter().filter(|name| !node[**name].is_null()).map(|name| format!("{name}: {}", node[*name]));
            found.push(format!("{why}\n  {}\n  in {}", shown.collect::<Vec<_>>().join(", "), self.text));
        };
        let (kind, relation, index) = (text("Node Type"), text("Relation Name"), text("Index Name"));
        let read = if relation.is_empty() { index } else { relation };
        if kind == "Seq Scan" && !SMALL.contains(&relation) {
            offence(format!("all of {relation} is read"));
        }
        let mut most = allowed.rows;
        if let Some((epoch, month)) = partition(read) {
            if epoch != allowed.epoch {
                offence(format!("epoch {epoch} is read, which is not live"));
            }
            if let Some(month) = month {
                most = allowed.monthly;
                if !allowed.months.contains(&month) {
                    offence("a month outside the range is read".to_owned());
                }
            }
        }
        let by_index = ["Index Scan", "Index Only Scan", "Bitmap Index Scan"].contains(&kind);
        let of_workspaces = partition(read).is_some() || read.contains("leaderboard") || read.starts_with("events_");
        if by_index && of_workspaces && !text("Index Cond").contains("workspace = ") {
            offence("rows of other workspaces are read".to_owned());
        }
        let rows = (number("Actual Rows") + number("Rows Removed by Filter") + number("Rows Removed by Index Recheck"))
            * number("Actual Loops");
        if !read.is_empty() && rows > f64::from(most) {
            offence(format!("{rows} rows are read where {most} are enough"));
        }
        for inner in node["Plans"].as_array().into_iter().flatten() {
            self.judge(inner, allowed, found);
        }
    }
}

/// The epoch, and the month, of a partition or of its index: `rollup_15m_e2_202611`, `campaigns_e2_pkey`.
fn partition(name: &str) -> Option<(i32, Option<&str>)> {
    let mut parts = name.split('_').skip_while(|part| epoch(part).is_none());
    let epoch = epoch(parts.next()?)?;
    Some((epoch, parts.next().filter(|part| part.len() == 6 && part.bytes().all(|byte| byte.is_ascii_digit()))))
}

fn epoch(part: &str) -> Option<i32> {
    part.strip_prefix('e')?.parse().ok()
}
