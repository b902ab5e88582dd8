//! Rows as they came out.

use domain::ids::CampaignId;
use projections::views::CAMPAIGN_MODEL;
use serde_json::Value;
use sqlx::PgPool;

/// The rows of a query over one workspace's live epoch, as JSON. Ordered by their text.
pub(crate) async fn rows(pool: &PgPool, workspace: i32, table: &str, columns: &str) -> Value {
    let sql = format!(
        "SELECT coalesce(json_agg(row_to_json(t) ORDER BY t::text COLLATE \"C\"), '[]') FROM (
             SELECT {columns} FROM read.{table} JOIN read.live_epochs USING (workspace, epoch)
             WHERE projection = 'campaign_model' AND workspace = $1
         ) t"
    );
    sqlx::query_scalar(&sql).bind(workspace).fetch_one(pool).await.unwrap()
}

/// All rows of one workspace in one epoch as text, table by table, ordered, without the columns that may differ.
pub(crate) async fn everything(pool: &PgPool, workspace: i32, epoch: i32, except: &[&str]) -> String {
    let mut text = String::new();
    for table in CAMPAIGN_MODEL.tables {
        if except.contains(table) {
            continue;
        }
        let columns: Vec<String> = sqlx::query_scalar(
            "SELECT column_name::text FROM information_schema.columns
             WHERE table_schema = 'read' AND table_name = $1 AND column_name <> ALL ($2) ORDER BY ordinal_position",
        )
        .bind(table)
        .bind([&["epoch", "workspace"], except].concat())
        .fetch_all(pool)
        .await
        .unwrap();
        let sql = format!(
            "SELECT r FROM (SELECT ROW({})::text AS r FROM read.{table} WHERE workspace = $1 AND epoch = $2) t
             ORDER BY r COLLATE \"C\"",
            columns.join(", ")
        );
        let rows: Vec<String> = sqlx::query_scalar(&sql).bind(workspace).bind(epoch).fetch_all(pool).await.unwrap();
        text = [text, (*table).to_owned(), rows.join("\n")].join("\n");
    }
    text
}

/// The epoch that a workspace's readers see.
pub(crate) async fn live_epoch(pool: &PgPool, workspace: i32) -> i32 {
    sqlx::query_scalar("SELECT epoch FROM read.live_epochs WHERE projection = 'campaign_model' AND workspace = $1")
        .bind(workspace)
        .fetch_one(pool)
        .await
        .unwrap()
}

/// All rows that a workspace's readers see.
pub(crate) async fn live_rows(pool: &PgPool, workspace: i32) -> String {
    everything(pool, workspace, live_epoch(pool, workspace).await, &[]).await
}

/// The live checkpoint.
pub(crate) async fn checkpoint(pool: &PgPool, workspace: i32) -> i64 {
    let status = projections::status(pool).await.unwrap();
    status.into_iter().find(|log| log.workspace == workspace).unwrap().checkpoint
}

/// What waits in the epochs that readers see: where it begins, of which campaign, how many events.
pub(crate) async fn parked(pool: &PgPool) -> Vec<(i64, Option<CampaignId>, i64)> {
    let parts = projections::parked::list(pool).await.unwrap();
    let live = parts.into_iter().filter(|part| part.is_live);
    live.map(|part| (part.position, part.campaign_id.map(CampaignId), part.waiting)).collect()
}

/// How many things a workspace's readers see counted.
pub(crate) async fn counted(pool: &PgPool, workspace: i32) -> i64 {
    sqlx::query_scalar(
        "SELECT coalesce(sum(value), 0)::bigint FROM read.rollup_15m JOIN read.live_epochs USING (workspace, epoch)
         WHERE projection = 'campaign_model' AND workspace = $1",
    )
    .bind(workspace)
    .fetch_one(pool)
    .await
    .unwrap()
}
