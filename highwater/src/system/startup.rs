//! The wait for a database that is not there yet. Meanwhile the process lives (`/healthz`), and is not ready
//! (`/readyz`).

use std::time::Duration;

use futures_util::future::join_all;
use http_edge::edge::{EdgeConfig, edge};
use http_edge::health::{self, NotReady, Readiness};
use http_edge::{Connections, HttpConfig, serve};
use platform::clock::SharedClock;
use platform::database::{ConnectError, DatabaseConfig, DatabaseRole, connect};
use platform::error_chain;
use platform::telemetry::metrics_handle;
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::listeners::BoundListener;
use super::{Listeners, StartError, SystemConfig};

/// The first pause between two attempts, which doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Connects as the operator's part. A database that cannot be reached is tried again for as long as
/// `config.database_wait`.
pub(super) async fn connect_when_there(
    database: &DatabaseConfig,
    doors: &Listeners,
    config: &SystemConfig,
    clock: &SharedClock,
) -> Result<PgPool, StartError> {
    let until = Instant::now() + config.database_wait;
    let first = connect(database, DatabaseRole::Admin).await;
    if !matches!(first, Err(ConnectError::Unreachable { .. })) || config.database_wait.is_zero() {
        return Ok(first?);
    }
    let stop = CancellationToken::new();
    let (connected, ()) = tokio::join!(
        async {
            let connected = again(database, first, until).await;
            stop.cancel();
            connected
        },
        answer_probes(doors, config, clock, &stop)
    );
    Ok(connected?)
}

async fn again(
    database: &DatabaseConfig,
    mut outcome: Result<PgPool, ConnectError>,
    until: Instant,
) -> Result<PgPool, ConnectError> {
    let mut pause = FIRST_PAUSE;
    while let Err(error @ ConnectError::Unreachable { .. }) = &outcome {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let (left_s, error) = (left.as_secs(), error_chain(error));
        tracing::warn!(error, left_s, "the database cannot be reached: trying again");
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        outcome = connect(database, DatabaseRole::Admin).await;
    }
    outcome
}

/// Answers `/healthz` and `/readyz` at every address of the process. Everything else is not found until it works.
async fn answer_probes(doors: &Listeners, config: &SystemConfig, clock: &SharedClock, stop: &CancellationToken) {
    let health = HttpConfig::default();
    let all = [(&doors.command, &config.command), (&doors.read, &config.read), (&doors.health, &health)];
    let answering = all.into_iter().filter_map(|(door, http)| Some(answer(door.as_ref()?, http, clock, stop.clone())));
    join_all(answering).await;
}

async fn answer(door: &BoundListener, http: &HttpConfig, clock: &SharedClock, stop: CancellationToken) {
    let readiness = Readiness::new(|| async { Err(NotReady(vec!["database"])) });
    let (Ok(listener), Ok(metrics)) = (door.listener.try_clone(), metrics_handle()) else { return };
    let router = edge(health::router(readiness, metrics), &EdgeConfig::new("startup", http, clock));
    let connections = Connections::new("startup", &http.limits);
    if let Err(error) = serve(listener, door.tls.clone(), router, connections, stop, Duration::ZERO).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "probes are not answered until the database is there");
    }
}
