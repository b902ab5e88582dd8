//! What an observation takes of the disk, indexes and all.

use anyhow::Result;

use crate::feed::{Feed, Shape};
use crate::observations::copy::Copied;
use crate::recorder::Ids;
use crate::report::{Better, Contest, Report};
use crate::server::Database;

const BYTES: Contest = Contest { scenario: "size", other_name: "COPY", unit: "bytes", better: Better::Less };

pub(super) async fn run(database: &Database, shape: &Shape, report: &mut Report) -> Result<()> {
    let (mut feed, _) = Feed::open(database, 1, shape).await?;
    let mut copied = Copied::new(database, 5_000).await?;
    let batches = feed.batches();
    let count = batches.observations();
    let rows = copied.encode(&batches)?;
    copied.copy(&rows).await?;
    copied.check().await?;
    let other = size(database, "public").await? / f64::from(count);
    for (figure, ids) in
        [("stored per observation, with its id", Ids::Kept), ("stored per observation, no id", Ids::None)]
    {
        let before = size(database, "log").await?;
        let batches = feed.batches();
        feed.record(batches, ids).await?;
        let ours = (size(database, "log").await? - before) / f64::from(count);
        report.add(BYTES, figure, &[ours], &[other])?;
    }
    Ok(())
}

/// Of every table of a schema, with indexes and what is stored out of line.
async fn size(database: &Database, schema: &str) -> Result<f64> {
    let bytes: i64 = sqlx::query_scalar(
        "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
         WHERE relnamespace = $1::regnamespace AND relkind = 'r' AND relname NOT LIKE '\\_sqlx%'",
    )
    .bind(schema)
    .fetch_one(&database.admin)
    .await?;
    #[expect(clippy::cast_precision_loss, reason = "no table is that large")]
    Ok(bytes as f64)
}
