//! Errors of writes, and of replays and switches.

use thiserror::Error;

use super::difference::Difference;
use super::event::RejectedEvent;

/// The error of a view that did not write.
#[derive(Debug, Error)]
pub enum WriteError {
    /// An event that contradicts the stored rows.
    #[error(transparent)]
    Refused(#[from] RejectedEvent),
    /// An error of the database or of the connection to it.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl WriteError {
    /// Whether the data is refused, rather than that the database failed.
    pub(crate) fn is_data_error(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Database(error) => is_about_rows(error),
        }
    }
}

/// Whether the database refused the data, so that a retry would change nothing. These are classes 21 (cardinality
/// violation), 22 (data exception), 23 (constraint violation) and 54 (limit exceeded), and rows of the same log that
/// this code cannot read back.
pub(crate) fn is_about_rows(error: &sqlx::Error) -> bool {
    if matches!(error, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }) {
        return true;
    }
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| ["21", "22", "23", "54"].iter().any(|class| code.starts_with(class)))
}

/// The error of a replay that did not complete. Workspaces that had switched stay on the new epoch, and the next replay
/// continues from here.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// No projection has this name.
    #[error("there is no projection {0:?}")]
    UnknownProjection(String),
    /// The requested workspaces do not exist.
    #[error("there is no workspace {}", numbers(.0))]
    UnknownWorkspaces(Vec<i32>),
    /// Another process replays this projection.
    #[error("another replay of this projection is running")]
    AlreadyRunning,
    /// A log has a hole, or too much of it is parked. The other logs were rebuilt.
    #[error("a log could not be replayed")]
    Stopped(#[source] RejectedEvent),
    /// The new epoch of a workspace was filled, but the workspace was not switched to it. The others were.
    #[error("workspace {workspace} was not switched to the new epoch")]
    SwitchBlocked {
        /// The workspace.
        workspace: i32,
        /// Why.
        #[source]
        reason: SwitchBlocked,
    },
    /// The workspace has no older epoch for a rollback.
    #[error("workspace {0} has no older epoch to go back to")]
    NoWayBack(i32),
    /// The older epoch was built by another version of the projection. Only that version can bring it up to date.
    #[error(
        "workspace {workspace} cannot go back: version {version} of the projection built epoch {epoch}, which is at \
         position {position} of {live}; let a projector of that version catch up first"
    )]
    OldVersionBehind {
        /// The workspace.
        workspace: i32,
        /// The epoch of the rollback.
        epoch: i32,
        /// The version that built it.
        version: i32,
        /// Its checkpoint.
        position: i64,
        /// The checkpoint of the live epoch.
        live: i64,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Why a workspace was not switched: the filled epoch differs from the live one, or could not be compared with it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SwitchBlocked {
    /// More parts of the log are parked.
    #[error("{filled} parts of its log are parked in the new epoch, {live} in the live one")]
    MoreParked {
        /// In the live epoch.
        live: i64,
        /// In the new one.
        filled: i64,
    },
    /// The same version of the projection gave another number of rows.
    #[error("the new epoch has {filled} rows in {table}, the live one, of the same version, has {live}")]
    Rows {
        /// The table.
        table: &'static str,
        /// In the live epoch.
        live: i64,
        /// In the new one.
        filled: i64,
    },
    /// The requested comparison found rows that differ.
    #[error("{rows} of its rows differ between the live epoch and the new one, the first: {first}")]
    Differs {
        /// How many.
        rows: u64,
        /// The first of them.
        first: Box<Difference>,
    },
    /// The requested comparison is not possible.
    #[error("its new rows cannot be compared with the live ones: {reason}")]
    Unverified {
        /// Why.
        reason: String,
    },
}

fn numbers(workspaces: &[i32]) -> String {
    let numbers: Vec<String> = workspaces.iter().map(ToString::to_string).collect();
    numbers.join(", ")
}

impl From<WriteError> for ReplayError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(refused) => Self::Stopped(refused),
            WriteError::Database(error) => Self::Database(error),
        }
    }
}
