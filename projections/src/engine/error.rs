//! Why rows were not written, and why an epoch was not rebuilt or not switched to.

use thiserror::Error;

use super::difference::Difference;
use super::event::RejectedEvent;

/// Why a view did not write.
#[derive(Debug, Error)]
pub enum WriteError {
    /// An event does not fit the rows that are there.
    #[error(transparent)]
    Refused(#[from] RejectedEvent),
    /// The database said no, or did not answer.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl WriteError {
    /// Whether what was to be written is refused, rather than that the database failed.
    pub(crate) fn is_data_error(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Database(error) => is_about_rows(error),
        }
    }
}

/// Whether the database refused what it was given, rather than failed: trying again would change nothing.
/// Classes 21 (cardinality violation), 22 (data exception), 23 (constraint violation) and 54 (limit exceeded), and rows of the
/// same log that this code cannot read back.
pub(crate) fn is_about_rows(error: &sqlx::Error) -> bool {
    if matches!(error, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }) {
        return true;
    }
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| ["21", "22", "23", "54"].iter().any(|class| code.starts_with(class)))
}

/// Why a replay did not complete. Workspaces that had switched stay on the new epoch; the next replay goes on from here.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// No projection has this name.
    #[error("there is no projection {0:?}")]
    UnknownProjection(String),
    /// Workspaces that were named are not there.
    #[error("there is no workspace {}", numbers(.0))]
    UnknownWorkspaces(Vec<i32>),
    /// Another process replays this projection.
    #[error("another replay of this projection is running")]
    AlreadyRunning,
    /// A log has a hole, or too much of it is parked; the other logs were rebuilt.
    #[error("a log could not be replayed")]
    Stopped(#[source] RejectedEvent),
    /// The new epoch of a workspace was filled, but the workspace was not switched to it. The others were.
    #[error("workspace {workspace} was not switched to the new epoch")]
    SwitchBlocked {
        /// Which.
        workspace: i32,
        /// Why.
        #[source]
        reason: SwitchBlocked,
    },
    /// There is nothing to go back to.
    #[error("workspace {0} has no older epoch to go back to")]
    NoWayBack(i32),
    /// The older epoch was built by another version of the projection, and only that version can bring it up to date.
    #[error(
        "workspace {workspace} cannot go back: version {version} of the projection built epoch {epoch}, which stands at \
         position {position} of {live}; let a projector of that version catch up first"
    )]
    OldVersionBehind {
        /// Whose readers would go back.
        workspace: i32,
        /// To which epoch.
        epoch: i32,
        /// Which version built it.
        version: i32,
        /// How far it has come.
        position: i64,
        /// How far the live one has come.
        live: i64,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// How a filled epoch is unlike the live one, so that nobody should read it before somebody has looked.
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
        /// Of which table.
        table: &'static str,
        /// In the live epoch.
        live: i64,
        /// In the new one.
        filled: i64,
    },
    /// Rows differ, as a comparison found that was asked for.
    #[error("{rows} of its rows differ between the live epoch and the new one, the first: {first}")]
    Differs {
        /// How many.
        rows: u64,
        /// One of them.
        first: Box<Difference>,
    },
    /// A comparison was asked for and cannot be made.
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
