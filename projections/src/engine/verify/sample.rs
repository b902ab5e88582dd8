//! A sample of campaigns: the same ones whenever the same seed is given.
//!
//! The rebuild is complete all the same, because any event may hold rows of any campaign. A sample saves reading and
//! comparing the live rows of all other campaigns, which are most of the work. Tables without a campaign id are
//! compared completely.

use domain::campaign::STREAM_TYPE;
use sqlx::PgPool;
use uuid::Uuid;

/// The size and the seed of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The number of campaigns of each workspace.
    pub campaigns: u32,
    /// The seed, which decides the campaigns.
    pub seed: i64,
}

/// The sample's campaigns of a workspace. They come from the log: so a campaign whose rows are lost can be among them.
pub(super) async fn choose(pool: &PgPool, sample: Sample, workspace: i32) -> Result<Vec<Uuid>, sqlx::Error> {
    // '0' follows '/' in ASCII: the range is all streams of the workspace, by the key of the log.
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
