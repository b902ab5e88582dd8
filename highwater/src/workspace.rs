//! Opening a workspace: its row, its log, and the log's first event.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use domain::catalogue::WORKSPACE_OPENED;
use domain::money::Currency;
use domain::workspace::{STREAM_TYPE, WorkspaceOpened};
use domain::zone::Zone;
use event_store::{
    AppendError, AppendRequest, Appender, AppenderConfig, ExpectedVersion, Metadata, NewEvent, OpenWorkspaceError,
    Payload, Workspace, find_workspace, open_workspace,
};
use platform::clock::SharedClock;
use platform::database::{ConnectError, DatabaseConfig, DatabaseRole, connect};
use platform::principal::Actor;
use sqlx::PgPool;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// The error of opening a workspace.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The database cannot be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Its name is taken or invalid.
    #[error(transparent)]
    Name(#[from] OpenWorkspaceError),
    /// Its first event was not appended.
    #[error("cannot write the workspace's first event")]
    Append(#[from] AppendError),
    /// Its first event cannot be serialised.
    #[error("cannot encode the workspace's first event")]
    Encode(#[from] serde_json::Error),
    /// The database failed.
    #[error("cannot look up workspaces")]
    Database(#[from] sqlx::Error),
}

/// Finds the workspace of this name, or opens it. It also appends a first event that is missing after an interrupted
/// opening.
pub async fn find_or_open(
    admin: &PgPool,
    database: &DatabaseConfig,
    name: &str,
    time_zone: Zone,
    currency: Currency,
    clock: &SharedClock,
) -> Result<Workspace, OpenError> {
    let now = clock.now();
    if find_workspace(admin, name).await?.is_none() {
        let mut connection = admin.acquire().await?;
        match open_workspace(&mut connection, name, now).await {
            // Another process opened it first.
            Ok(_) | Err(OpenWorkspaceError::NameTaken(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let workspace = find_workspace(admin, name).await?.ok_or(sqlx::Error::RowNotFound)?;
    let opened = WorkspaceOpened { name: name.to_owned(), time_zone, currency };
    append_first(database, workspace.id, &opened, now).await?;
    Ok(workspace)
}

/// Appends the first event to an empty stream, so that it is written once.
async fn append_first(
    database: &DatabaseConfig,
    workspace: i32,
    opened: &WorkspaceOpened,
    now: DateTime<Utc>,
) -> Result<(), OpenError> {
    let few = DatabaseConfig { max_connections: 2, ..database.clone() };
    let pool = connect(&few, DatabaseRole::Command).await?;
    let stop = CancellationToken::new();
    let (appender, writers) =
        Appender::start(pool.clone(), AppenderConfig { lanes: 1, ..AppenderConfig::default() }, stop.clone());
    let metadata =
        [("actor", Actor::operator().to_string()), ("received_at", now.to_rfc3339_opts(SecondsFormat::Micros, true))];
    let request = AppendRequest {
        workspace,
        stream_type: STREAM_TYPE,
        stream_id: format!("{workspace}/workspace"),
        expected: ExpectedVersion::Exact(0),
        events: vec![NewEvent {
            event_type: WORKSPACE_OPENED.name.to_owned(),
            event_version: WORKSPACE_OPENED.version().to_string(),
            payload: Payload::Json(serde_json::to_string(opened)?),
        }],
        metadata: Metadata(
            metadata.map(|(name, value)| (name.to_owned(), value)).into_iter().collect::<BTreeMap<_, _>>(),
        ),
        claims: Vec::new(),
        item_preconditions: Vec::new(),
        receipt: None,
        recorded_at: now,
    };
    let appended = appender.append(request).await;
    drop(appender);
    stop.cancel();
    if let Err(error) = writers.await {
        tracing::warn!(%error, "the writer of the workspace's first event did not end well");
    }
    pool.close().await;
    match appended {
        Ok(_) | Err(AppendError::Version { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
