//! Some campaigns instead of all, the same ones whenever the same seed is given.
//!
//! The rebuild is whole all the same: any event may hold rows of any campaign. What a sample spares is reading and
//! comparing the live rows of all others, most of what there is to read. Tables whose rows belong to no campaign are compared whole.

use domain::campaign::STREAM_TYPE;
use sqlx::PgPool;
use uuid::Uuid;

/// How many campaigns of each workspace are compared, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// How many of each workspace.
    pub campaigns: u32,
    /// Decides which.
    pub seed: i64,
}

/// The campaigns of a workspace that are in the sample. As the log knows them: one whose rows are lost can be in it too.
pub(super) async fn choose(pool: &PgPool, sample: Sample, workspace: i32) -> Result<Vec<Uuid>, sqlx::Error> {
    // '0' follows '/': all streams of the workspace, by the key of the log.
    let streams = sqlx::query_scalar!(
        r#"SELECT substr(aggregate_id, strpos(aggregate_id, '/') + 1) AS "id!" FROM log.events
           WHERE workspace = $1 AND aggregate_type = $2 AND sequence = 1
             AND aggregate_id >= $1::integer::text || '/' AND aggregate_id < $1::integer::text || '0'
           ORDER BY hashtextextended(aggregate_id, $3), aggregate_id LIMIT $4"#,
        workspace,
        STREAM_TYPE,
        sample.seed,
        i64::from(sample.campaigns)
    )
    .fetch_all(pool)
    .await?;
    Ok(streams.iter().filter_map(|id| id.parse().ok()).collect())
}
