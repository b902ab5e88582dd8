//! Many events at once, by `COPY … TO STDOUT (FORMAT binary)`, parsed in place without the overhead of rows.
//!
//! There is one message per row, the first one after a header: the number of columns, then each one's length and bytes.

use chrono::DateTime;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use sqlx::PgConnection;

use super::event::{StoredEvent, StoredEventFields};

/// The header of a binary copy. Flags and the length of an extension follow; both are zero.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The end marker, in place of a count of columns.
const END: i16 = -1;
/// The columns: position, sequence and time, then the six texts.
const COLUMNS: i16 = 9;
/// The origin of PostgreSQL's time, 2000-01-01, in microseconds since 1970.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// The events of a log after one position and up to another, in the order in which the database finds them. In a
/// transaction, the index finds them, whatever the planner prefers for a sort.
///
/// A session whose stream is dropped before its end cannot be used any more and must be closed.
pub async fn read_range(
    session: &mut PgConnection,
    workspace: i32,
    after: i64,
    through: i64,
) -> Result<BoxStream<'_, Result<StoredEvent, sqlx::Error>>, sqlx::Error> {
    // With a sort, the first event would come only after the last was read, and each would cost twice as much.
    sqlx::query!(
        "SELECT set_config('enable_sort', 'off', true) AS sort,
                set_config('max_parallel_workers_per_gather', '0', true) AS workers"
    )
    .fetch_one(&mut *session)
    .await?;
    // COPY takes no parameters; the values are numbers.
    let statement = format!(
        "COPY (SELECT position, sequence, recorded_at, aggregate_type, aggregate_id, event_type, event_version, payload,
                      metadata
               FROM log.events WHERE workspace = {workspace} AND position > {after} AND position <= {through}
               ORDER BY position) TO STDOUT (FORMAT binary)"
    );
    let messages = session.copy_out_raw(&statement).await?;
    let events = messages.map(move |message| event(workspace, &message?));
    Ok(events.try_filter_map(async |event| Ok(event)).boxed())
}

/// Parses the event of a message; `None` at the end.
fn event(workspace: i32, message: &[u8]) -> Result<Option<StoredEvent>, sqlx::Error> {
    let mut row = Row(message.strip_prefix(HEADER).unwrap_or(message));
    let event = match row.take().map(i16::from_be_bytes) {
        Some(END) => return Ok(None),
        Some(COLUMNS) => row.event(workspace),
        _ => None,
    };
    event.map(Some).ok_or_else(|| sqlx::Error::Protocol("a row of the log did not come as it should".to_owned()))
}

/// The rest of a row.
struct Row<'a>(&'a [u8]);

impl<'a> Row<'a> {
    /// `None` if the columns differ.
    fn event(mut self, workspace: i32) -> Option<StoredEvent> {
        let (position, sequence, micros) = (self.number()?, self.number()?, self.number()?);
        let recorded_at = DateTime::from_timestamp_micros(micros.checked_add(EPOCH_MICROS)?)?;
        let texts = StoredEventFields {
            stream_type: self.text()?,
            stream_id: self.text()?,
            event_type: self.text()?,
            event_version: self.text()?,
            payload: self.text()?,
            metadata: self.text()?,
        };
        Some(StoredEvent::new(workspace, position, sequence, recorded_at, texts))
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// Reads a column's bytes. The length -1 means null, which none of these columns may be.
    fn column(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(i32::from_be_bytes(self.take()?)).ok()?;
        let (column, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(column)
    }

    fn number(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.column()?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.column()?).ok()
    }
}

#[cfg(test)]
mod tests;
