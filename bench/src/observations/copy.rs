//! The other: one row per observation, by binary COPY into a table like the log's, one connection, a commit for each
//! COPY.

use anyhow::{Result, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use platform::clock::{Clock, SystemClock};
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::PgPoolCopyExt;

use crate::feed::Batches;
use crate::load::metadata;
use crate::server::Database;

/// The same columns, types, collations, keys and compression.
const TABLE: &str = "CREATE TABLE copied (LIKE log.events INCLUDING ALL)";
const COPY: &str = "COPY copied (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                                 workspace, position, recorded_at) FROM STDIN BINARY";
const COLUMNS: i16 = 10;
const WORKSPACE: i32 = 1;
/// As much as a message of COPY holds, so that the server reads one while the next is sent.
const MESSAGE: usize = 64 << 10;

pub(crate) struct Copied {
    pool: PgPool,
    rows_at_once: usize,
    rows: u32,
}

/// What one COPY brings.
pub(crate) struct Rows {
    count: u32,
    binary: Bytes,
}

impl Copied {
    pub(crate) async fn new(database: &Database, rows_at_once: u32) -> Result<Self> {
        sqlx::query(TABLE).execute(&database.admin).await?;
        Ok(Self { pool: database.admin.clone(), rows_at_once: rows_at_once as usize, rows: 0 })
    }

    /// The rows that come after those encoded before.
    pub(crate) fn encode(&mut self, batches: &Batches) -> Result<Vec<Rows>> {
        let at = SystemClock.now();
        let observations: Vec<_> = batches
            .0
            .iter()
            .flat_map(|(_, batch)| batch.observations.iter().map(move |observation| (batch, observation)))
            .collect();
        let mut all = Vec::new();
        for some in observations.chunks(self.rows_at_once) {
            let mut binary = BytesMut::new();
            binary.put_slice(b"PGCOPY\n\xff\r\n\0");
            binary.put_bytes(0, 8);
            for (batch, observation) in some {
                self.rows += 1;
                let payload = json!({
                    "id": observation.id, "source": batch.source, "campaign": batch.campaigns[observation.campaign],
                    "type": observation.kind, "occurred_at": observation.occurred_at.timestamp_millis(),
                    "count": observation.count, "value": observation.value_micros, "currency": batch.currency,
                });
                let position = i64::from(self.rows).to_be_bytes();
                binary.put_i16(COLUMNS);
                for column in [
                    b"observations".as_slice(),
                    format!("{WORKSPACE}/{}", batch.source).as_bytes(),
                    &position,
                    b"ObservationRecorded",
                    b"1",
                    payload.to_string().as_bytes(),
                    serde_json::to_string(&metadata(at))?.as_bytes(),
                    &WORKSPACE.to_be_bytes(),
                    &position,
                    &since_2000(at).to_be_bytes(),
                ] {
                    binary.put_i32(i32::try_from(column.len())?);
                    binary.put_slice(column);
                }
            }
            binary.put_i16(-1);
            all.push(Rows { count: u32::try_from(some.len())?, binary: binary.freeze() });
        }
        Ok(all)
    }

    /// Copies all of it, and says how many rows that was.
    pub(crate) async fn copy(&self, rows: &[Rows]) -> Result<u32> {
        for some in rows {
            let mut copy = self.pool.copy_in_raw(COPY).await?;
            for message in some.binary.chunks(MESSAGE) {
                copy.send(message).await?;
            }
            let copied = copy.finish().await?;
            ensure!(copied == u64::from(some.count), "{copied} of {} rows were copied", some.count);
        }
        Ok(rows.iter().map(|some| some.count).sum())
    }

    pub(crate) async fn check(&self) -> Result<()> {
        let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM copied").fetch_one(&self.pool).await?;
        ensure!(stored == i64::from(self.rows), "{} rows were copied, but {stored} stored", self.rows);
        Ok(())
    }
}

/// An instant as PostgreSQL stores it: microseconds since the year 2000.
fn since_2000(at: DateTime<Utc>) -> i64 {
    const YEAR_2000: i64 = 946_684_800_000_000;
    at.timestamp_micros() - YEAR_2000
}
