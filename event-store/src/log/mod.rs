//! Reading a log in its order.
//!
//! # Why a reader that has seen position n has seen everything up to n
//!
//! An append locks the log's head row. It gives its events the positions after the head, writes them, moves the head
//! and commits. The lock is held until the transaction has ended, and PostgreSQL marks a transaction as committed
//! before it releases its locks. The next writer gets the lock only then, and reads the head in a statement of its own
//! (READ COMMITTED: a new snapshot). So it sees all events before its own, and positions follow the order of commits. A
//! failed transaction leaves the head unchanged, so no position is lost. A reader's snapshot with position n therefore
//! contains 1 to n, and the reader need not wait. It may check this: a page that does not begin after the last
//! position, or has a hole, means a broken log, never a late commit.

mod event; // stored events
mod range; // many events at once

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};

pub use self::event::{StoredEvent, StoredEventFields};
pub use self::range::read_range;
use crate::json_text::JsonText;

/// A query of events, with the columns of [`raw_event`]. It is not checked at compile time, because a checked query
/// would allocate each text separately first.
macro_rules! events {
    ($from:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query(concat!(
            "SELECT workspace, position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
                    metadata, recorded_at ",
            $from
        ))
        $(.bind($argument))+
    };
}

/// A stream: its log, its type and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamKey<'a> {
    /// The log.
    pub workspace: i32,
    /// The kind of stream.
    pub stream_type: &'a str,
    /// The stream, as `<workspace>/<id>`.
    pub stream_id: &'a str,
}

/// The limits of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// The most events.
    pub events: i64,
    /// The most bytes of payloads, as they are stored.
    pub bytes: i64,
}

/// The next events of a log after a position, oldest first, at most `limit` of them.
pub async fn read_after(
    conn: &mut PgConnection,
    workspace: i32,
    after: i64,
    limit: i64,
) -> Result<Vec<StoredEvent>, sqlx::Error> {
    // Not a prepared statement: a plan made while the log was short would read a long one from its start.
    events!(
        "FROM log.events WHERE workspace = $1 AND position > $2 ORDER BY position LIMIT $3",
        workspace,
        after,
        limit,
    )
    .persistent(false)
    .try_map(|row| raw_event(&row))
    .fetch_all(conn)
    .await
}

/// Like [`read_after`], but stops before the stored payloads exceed `bytes` in sum, because events may be large and a
/// page has to fit in memory. The first event is always returned.
pub async fn read_page(
    conn: &mut PgConnection,
    workspace: i32,
    after: i64,
    limit: i64,
    bytes: i64,
) -> Result<Vec<StoredEvent>, sqlx::Error> {
    events!(
        "FROM (
             SELECT *, sum(pg_column_size(payload)) OVER (ORDER BY position ROWS UNBOUNDED PRECEDING) AS size
             FROM log.events WHERE workspace = $1 AND position > $2 ORDER BY position LIMIT $3
         ) page
         WHERE size <= $4 OR position = $2 + 1
         ORDER BY position",
        workspace,
        after,
        limit,
        bytes,
    )
    .persistent(false)
    .try_map(|row| raw_event(&row))
    .fetch_all(conn)
    .await
}

/// Events of one stream from a sequence on, oldest first, up to a position of the log. There are at most `limit`,
/// bounded in bytes as by [`read_page`]. The first one is always returned.
pub async fn read_stream(
    conn: &mut PgConnection,
    stream: StreamKey<'_>,
    from: i64,
    through: i64,
    limit: PageLimit,
) -> Result<Vec<StoredEvent>, sqlx::Error> {
    events!(
        "FROM (
             SELECT *, sum(pg_column_size(payload)) OVER page AS size, row_number() OVER page AS place
             FROM log.events
             WHERE workspace = $1 AND aggregate_type = $2 AND aggregate_id = $3 AND sequence >= $4 AND position <= $5
             WINDOW page AS (ORDER BY sequence ROWS UNBOUNDED PRECEDING)
             ORDER BY sequence LIMIT $6
         ) page
         WHERE size <= $7 OR place = 1
         ORDER BY sequence",
        stream.workspace,
        stream.stream_type,
        stream.stream_id,
        from,
        through,
        limit.events,
        limit.bytes,
    )
    .persistent(false)
    .try_map(|row| raw_event(&row))
    .fetch_all(conn)
    .await
}

/// The event at a position.
pub async fn read_event(pool: &PgPool, workspace: i32, position: i64) -> Result<Option<StoredEvent>, sqlx::Error> {
    events!("FROM log.events WHERE workspace = $1 AND position = $2", workspace, position)
        .try_map(|row| raw_event(&row))
        .fetch_optional(pool)
        .await
}

/// When the event of a position was recorded. `None` if there is no such event.
pub async fn recorded_at(pool: &PgPool, workspace: i32, position: i64) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT recorded_at FROM log.events WHERE workspace = $1 AND position = $2",
        workspace,
        position,
    )
    .fetch_optional(pool)
    .await
}

/// When the event was recorded that made this version of a stream. `None` if there is no such event.
pub async fn recorded_at_of_version(
    pool: &PgPool,
    stream: StreamKey<'_>,
    version: i64,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT recorded_at FROM log.events
         WHERE workspace = $1 AND aggregate_type = $2 AND aggregate_id = $3 AND sequence = $4",
        stream.workspace,
        stream.stream_type,
        stream.stream_id,
        version,
    )
    .fetch_optional(pool)
    .await
}

/// How many events a stream has; 0 if it does not exist.
pub async fn stream_version(
    pool: &PgPool,
    workspace: i32,
    stream_type: &str,
    stream_id: &str,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT log.stream_version($1, $2, $3) AS "version!""#, workspace, stream_type, stream_id)
        .fetch_one(pool)
        .await
}

fn raw_event(row: &PgRow) -> Result<StoredEvent, sqlx::Error> {
    let (JsonText(payload), JsonText(metadata)) = (row.try_get(7)?, row.try_get(8)?);
    let texts = StoredEventFields {
        stream_type: row.try_get(2)?,
        stream_id: row.try_get(3)?,
        event_type: row.try_get(5)?,
        event_version: row.try_get(6)?,
        payload,
        metadata,
    };
    Ok(StoredEvent::new(row.try_get(0)?, row.try_get(1)?, row.try_get(4)?, row.try_get(9)?, texts))
}

/// The last position of every log, by workspace.
pub async fn heads(conn: &mut PgConnection) -> Result<Vec<(i32, i64)>, sqlx::Error> {
    let heads = sqlx::query!("SELECT workspace, position FROM log.heads ORDER BY workspace").fetch_all(conn).await?;
    Ok(heads.into_iter().map(|head| (head.workspace, head.position)).collect())
}
