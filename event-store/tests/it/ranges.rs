//! A range of a log comes as its events were stored, however odd they are: the same as row by row.

use event_store::{StoredEvent, read_after, read_range};
use futures_util::TryStreamExt;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::workspace;

/// Payloads that a text format would have to escape, that compress well and badly, and that are empty.
fn odd() -> Vec<String> {
    let long = r#"{"id":"observation","é":"\\ \" \t"}"#.repeat(100_000);
    let mixed: String =
        (0..200_000_u32).filter_map(|n| char::from_u32(0x20 + n.wrapping_mul(2_654_435_761) % 0x2_0000)).collect();
    let texts = ["", "\\N", "\\.", "a\tb\nc\rd", "\u{1}\u{7f}", "日本語 🚀 e\u{301} \u{feff}", "\"'\\/", &mixed];
    let mut payloads: Vec<String> = texts.iter().map(|text| serde_json::to_string(text).unwrap()).collect();
    payloads.extend(["null", "{}", " [ ] ", "1e400", r#"{"a":1,"a":2}"#, r#""\ud83d\ude80""#].map(str::to_owned));
    payloads.push(format!("[{}]", vec![long.replace("}{", "},{"); 1].concat()));
    payloads
}

async fn store(admin: &PgPool, workspace: i32, payloads: &[String]) {
    sqlx::query(
        r#"INSERT INTO log.events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, workspace,
                                position, recorded_at)
           SELECT 'thing', $1 || '/' || chr(9) || 'é\', n, '', chr(10), payload::json, '{"who":"\\ é"}', $1::integer, n,
                  '1969-12-31 23:59:59.999999Z'::timestamptz + n * interval '0.1 s'
           FROM unnest($2::text[]) WITH ORDINALITY AS stored (payload, n)"#,
    )
    .bind(workspace)
    .bind(payloads)
    .execute(admin)
    .await
    .unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reads_a_range_as_stored(_: PgPoolOptions, connect: PgConnectOptions) {
    let admin = PgPoolOptions::new().max_connections(1).connect_with(connect.clone()).await.unwrap();
    let (ours, others) = (workspace(&connect, "ours").await, workspace(&connect, "others").await);
    let payloads = odd();
    store(&admin, ours, &payloads).await;
    store(&admin, others, &payloads[..3]).await;
    let mut session = admin.begin().await.unwrap();
    let last = i64::try_from(payloads.len()).unwrap();

    let by_row = read_after(&mut session, ours, 0, last + 1).await.unwrap();
    let in_range: Vec<StoredEvent> =
        read_range(&mut session, ours, 0, last).await.unwrap().try_collect().await.unwrap();
    assert_eq!(in_range.len(), payloads.len());
    for (event, payload) in in_range.iter().zip(&payloads) {
        assert_eq!(event.payload(), payload);
    }
    assert!(in_range == by_row, "the same events come in both ways");

    let some: Vec<StoredEvent> = read_range(&mut session, ours, 2, 5).await.unwrap().try_collect().await.unwrap();
    assert!(some == by_row[2..5]);
    let none: Vec<StoredEvent> =
        read_range(&mut session, ours, last, last + 9).await.unwrap().try_collect().await.unwrap();
    assert!(none.is_empty());
}
