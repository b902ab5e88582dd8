//! What the log itself holds, read past the program.

use domain::observation::{ObservationsRecorded, RECORDED};
use sqlx::PgConnection;

/// The id of every observation in every log, as often as it is there.
pub async fn observation_ids(database: &mut PgConnection) -> Vec<String> {
    let payloads: Vec<String> = sqlx::query_scalar("SELECT payload::text FROM log.events WHERE event_type = $1")
        .bind(RECORDED)
        .fetch_all(database)
        .await
        .unwrap();
    let batches = payloads.iter().map(|payload| serde_json::from_str::<ObservationsRecorded>(payload).unwrap());
    batches.flat_map(|batch| batch.observations).map(|observation| observation.id).collect()
}

/// Positions are 1, 2, 3, … up to the head in every log, and versions are 1, 2, 3, … in every stream.
pub async fn assert_contiguous(database: &mut PgConnection) {
    let broken: Vec<String> = sqlx::query_scalar(
        "SELECT format('log %s: %s events, positions %s to %s, head %s', h.workspace, count(e.position), min(e.position),
                       max(e.position), h.position)
         FROM log.heads h LEFT JOIN log.events e USING (workspace) GROUP BY h.workspace, h.position
         HAVING count(e.position) <> h.position OR coalesce(max(e.position), 0) <> h.position
             OR count(DISTINCT e.position) <> count(e.position)
         UNION ALL
         SELECT format('stream %s %s: %s events, versions %s to %s', aggregate_type, aggregate_id, count(*), min(sequence),
                       max(sequence))
         FROM log.events GROUP BY aggregate_type, aggregate_id
         HAVING min(sequence) <> 1 OR max(sequence) <> count(*)",
    )
    .fetch_all(database)
    .await
    .unwrap();
    assert!(broken.is_empty(), "{broken:#?}");
}
