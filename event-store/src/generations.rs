//! Generations: the lives of the logs between restores and failovers. They are for people, and for what leaves the
//! building. No answer rests on them, because positions hold the instants of their events.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

/// One life of the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number. It is used again after a restore of a backup that is older than the generation.
    pub number: i32,
    /// When it was noted, which tells two generations of one number apart.
    pub began_at: DateTime<Utc>,
    /// The cause of its beginning.
    pub cause: GenerationCause,
    /// The words of the operator who declared it.
    pub note: Option<String>,
    /// The identity of the database cluster, as PostgreSQL prints it.
    pub system_identifier: i64,
    /// The timeline of the cluster.
    pub timeline: i32,
}

/// The cause of the beginning of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GenerationCause {
    /// No generation was noted before.
    First,
    /// The logs are in another cluster or database: a dump was restored.
    OtherDatabase,
    /// The cluster is on another timeline: it was recovered to a point in time, or a standby was promoted.
    OtherTimeline,
    /// An operator declared it.
    Declared,
}

impl GenerationCause {
    /// Its name, as the database keeps it.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::OtherDatabase => "other_database",
            Self::OtherTimeline => "other_timeline",
            Self::Declared => "declared",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        [Self::First, Self::OtherDatabase, Self::OtherTimeline, Self::Declared]
            .into_iter()
            .find(|cause| cause.name() == name)
    }
}

/// The head of a log where a generation began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerationHead {
    /// The last position of the log.
    pub position: i64,
    /// When its event was recorded. `None` for an empty log.
    pub recorded_at: Option<DateTime<Utc>>,
}

/// Begins a generation if the server is not the one of the newest. Otherwise it only reads.
pub async fn note_generation(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT log.note_generation($1)", now).execute(connection).await?;
    Ok(())
}

/// Begins a generation, because an operator says so. It needs the rights of the migrating user.
pub async fn declare_generation(admin: &PgPool, now: DateTime<Utc>, note: Option<&str>) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT log.begin_generation($1, true, $2)", now, note as _).execute(admin).await?;
    Ok(())
}

/// All generations that the database knows, the newest last. It needs the rights of the migrating user.
pub async fn generations(admin: &PgPool) -> Result<Vec<Generation>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT generation, began_at, cause, note, system_identifier, timeline FROM log.generations ORDER BY generation"
    )
    .fetch_all(admin)
    .await?;
    rows.into_iter()
        .map(|row| {
            let cause = GenerationCause::of_name(&row.cause)
                .ok_or_else(|| sqlx::Error::Decode(format!("unknown cause {:?} of a generation", row.cause).into()))?;
            Ok(Generation {
                number: row.generation,
                began_at: row.began_at,
                cause,
                note: row.note,
                system_identifier: row.system_identifier,
                timeline: row.timeline,
            })
        })
        .collect()
}

/// The heads where a generation began, by workspace. It needs the rights of the migrating user.
pub async fn generation_heads(admin: &PgPool, number: i32) -> Result<HashMap<i32, GenerationHead>, sqlx::Error> {
    let rows =
        sqlx::query!("SELECT workspace, position, recorded_at FROM log.generation_heads WHERE generation = $1", number)
            .fetch_all(admin)
            .await?;
    let head = |position, recorded_at| GenerationHead { position, recorded_at };
    Ok(rows.into_iter().map(|row| (row.workspace, head(row.position, row.recorded_at))).collect())
}
