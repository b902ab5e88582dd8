//! Processor time, as Linux counts it: what is measured does not get longer because others are busy too.

use std::fs;

use anyhow::{Context, Result};

use crate::server::Database;

/// Ticks in a second: what every Linux of today tells user space.
const TICKS: f64 = 100.0;

/// What this process and the database's have used so far.
pub(crate) struct Processor {
    postmaster: u32,
    before: f64,
}

impl Processor {
    /// Begins to count.
    pub(crate) async fn watch(database: &Database) -> Result<Self> {
        let postmaster: i32 =
            sqlx::query_scalar("SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)::integer")
                .fetch_one(&database.admin)
                .await?;
        let postmaster = postmaster.try_into()?;
        Ok(Self { postmaster, before: used(postmaster)? })
    }

    /// Seconds since then.
    pub(crate) fn seconds(&self) -> Result<f64> {
        Ok(used(self.postmaster)? - self.before)
    }
}

/// Of this process; of the database's processes that are there, and of those that have ended, which their parent
/// counts.
fn used(postmaster: u32) -> Result<f64> {
    let mut ticks = Stat::of("self").context("this process has no statistics")?.own;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        // Others may end meanwhile.
        let Some(stat) = name.to_str().and_then(Stat::of) else { continue };
        if name == *postmaster.to_string() {
            ticks += stat.own + stat.ended;
        } else if stat.parent == postmaster {
            ticks += stat.own;
        }
    }
    Ok(ticks / TICKS)
}

/// What a process has used, in ticks.
struct Stat {
    parent: u32,
    own: f64,
    /// Of its children that have ended.
    ended: f64,
}

impl Stat {
    fn of(process: &str) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name comes before the last parenthesis, and may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
        let parent = fields.get(1)?.parse().ok()?;
        Some(Self { parent, own: ticks(11)? + ticks(12)?, ended: ticks(13)? + ticks(14)? })
    }
}
