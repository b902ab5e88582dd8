//! The check of the database's schema.

use std::collections::BTreeSet;

use event_store::MIGRATOR;
use sqlx::PgPool;
use sqlx::migrate::{Migrate, MigrateError};
use thiserror::Error;

/// The error of the check.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// Migrations are missing.
    #[error("the database's schema is not up to date ({missing} migrations are missing): run `highwater migrate`")]
    NotMigrated {
        /// The number of missing migrations.
        missing: usize,
    },
    /// A migration is unfinished.
    #[error("migration {version} of the database's schema did not end: repair it, then run `highwater migrate`")]
    HalfMigrated {
        /// Its version.
        version: i64,
    },
    /// A migration differs from this program's.
    #[error(
        "migration {version} of the database's schema is not the one of this program: they belong to different versions"
    )]
    Foreign {
        /// Its version.
        version: i64,
    },
    /// The database failed.
    #[error("cannot read the state of the database's schema")]
    Database(#[source] MigrateError),
}

/// PostgreSQL's code of a missing table.
const UNDEFINED_TABLE: &str = "42P01";

/// Rejects a database that lacks migrations of this program. Additional migrations are accepted, because newer programs
/// extend the schema before they change it.
pub async fn check(pool: &PgPool) -> Result<(), SchemaError> {
    let failed = |error: sqlx::Error| SchemaError::Database(error.into());
    let mut connection = pool.acquire().await.map_err(failed)?;
    let applied = match connection.list_applied_migrations().await {
        Ok(applied) => applied,
        Err(MigrateError::Execute(sqlx::Error::Database(error)))
            if error.code().as_deref() == Some(UNDEFINED_TABLE) =>
        {
            Vec::new()
        }
        Err(error) => return Err(SchemaError::Database(error)),
    };
    let mut missing: BTreeSet<i64> = MIGRATOR.iter().map(|ours| ours.version).collect();
    for migration in applied {
        if let Some(ours) = MIGRATOR.iter().find(|ours| ours.version == migration.version) {
            if ours.checksum != migration.checksum {
                return Err(SchemaError::Foreign { version: ours.version });
            }
            missing.remove(&ours.version);
        }
    }
    if let Some(version) = connection.dirty_version().await.unwrap_or_default() {
        return Err(SchemaError::HalfMigrated { version });
    }
    if missing.is_empty() { Ok(()) } else { Err(SchemaError::NotMigrated { missing: missing.len() }) }
}
