//! Opening a workspace: its row, its log, and the log's first event.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use commands::upcast;
use domain::catalogue::WORKSPACE_OPENED;
use domain::money::Currency;
use domain::workspace::{STREAM_TYPE, WorkspaceOpened};
use domain::zone::Zone;
use event_store::{
    AggregateStore, AppendError, AppendRequest, Appender, AppenderConfig, ExpectedVersion, LoadError, Loaded, Metadata,
    NewEvent, OpenWorkspaceError, Payload, Workspace, find_workspace, open_workspace,
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
    /// It was opened with another time zone or currency.
    #[error("the workspace has the time zone {time_zone} and the currency {currency}, and neither ever changes")]
    Differs {
        /// Its time zone.
        time_zone: Zone,
        /// Its currency.
        currency: Currency,
    },
    /// Its events cannot be read.
    #[error("cannot read the workspace's events")]
    Load(#[from] LoadError),
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

/// Finds the workspace of this name, or opens it. One that is there must have this time zone and currency. It also
/// appends a first event that is missing after an interrupted opening.
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
    let stream_id = format!("{workspace}/workspace");
    let request = AppendRequest {
        workspace,
        stream_type: STREAM_TYPE,
        stream_id: stream_id.clone(),
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
    let opening = match appender.append(request).await {
        Ok(_) => Ok(()),
        Err(AppendError::Version { .. }) => {
            let events = AggregateStore::<domain::workspace::Workspace>::new(pool.clone(), appender.clone(), upcast);
            expect_defaults(events.load(&stream_id).await.map_err(OpenError::from), opened)
        }
        Err(error) => Err(error.into()),
    };
    drop(appender);
    stop.cancel();
    if let Err(error) = writers.await {
        tracing::warn!(%error, "the writer of the workspace's first event did not end well");
    }
    pool.close().await;
    opening
}

/// Rejects other defaults than those with which the workspace was opened.
fn expect_defaults(
    found: Result<Loaded<domain::workspace::Workspace>, OpenError>,
    opened: &WorkspaceOpened,
) -> Result<(), OpenError> {
    match found?.aggregate.defaults {
        Some((time_zone, currency)) if (time_zone, currency) != (opened.time_zone, opened.currency) => {
            Err(OpenError::Differs { time_zone, currency })
        }
        Some(_) | None => Ok(()),
    }
}
