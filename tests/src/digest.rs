//! A digest of every row of an epoch, to compare two rebuilds byte by byte.

use sha2::{Digest, Sha256};
use sqlx::{PgPool, Row};

/// SHA-256 over all rows of one epoch of every partitioned read table, in key order, without the epoch itself.
pub async fn digest_of_epoch(pool: &PgPool, epoch: i32) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'read' AND NOT c.relispartition ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert!(!tables.is_empty());
    let mut digest = Sha256::new();
    for table in tables {
        let query = format!("SELECT (to_jsonb(t) - 'epoch')::text FROM read.{table} t WHERE epoch = $1 ORDER BY 1");
        digest.update(table.as_bytes());
        for row in sqlx::query(&query).bind(epoch).fetch_all(pool).await.unwrap() {
            digest.update(row.get::<String, _>(0).as_bytes());
        }
    }
    hex::encode(digest.finalize())
}
