//! Whether this process can do its work: what `/readyz` asks.
//!
//! One log that cannot be applied past an event is no reason to send every other workspace's readers away: it shows in
//! `/v1/freshness`, in the metrics and in `highwater status`. Only when no log can be followed is the process not ready.

use platform::http::health::{NotReady, Readiness};
use sqlx::PgPool;

use super::schema::{self, SchemaError};

/// The database is reachable and fits.
pub(super) fn of_commands(admin: PgPool) -> Readiness {
    Readiness::new(move || {
        let admin = admin.clone();
        async move { database(&admin).await }
    })
}

/// And it is known how far the read tables are behind the true heads.
pub(super) fn of_reads(admin: PgPool) -> Readiness {
    Readiness::new(move || {
        let admin = admin.clone();
        async move {
            database(&admin).await?;
            let logs = projections::status(&admin).await.map_err(|_unprintable| NotReady(vec!["projector"]))?;
            let none_goes_on = !logs.is_empty() && logs.iter().all(|log| log.stopped.is_some());
            if none_goes_on { Err(NotReady(vec!["projector"])) } else { Ok(()) }
        }
    })
}

async fn database(admin: &PgPool) -> Result<(), NotReady> {
    schema::check(admin).await.map_err(|error| match error {
        SchemaError::Database(_) => NotReady(vec!["database"]),
        SchemaError::NotMigrated { .. } | SchemaError::HalfMigrated { .. } | SchemaError::Foreign { .. } => {
            NotReady(vec!["schema"])
        }
    })
}
