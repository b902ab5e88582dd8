//! What an append reads does not grow with the log, though the statistics are those of an empty one.

use event_store::{AppendRequest, Claim, ClaimEffect, ClaimPrecondition, NewEvent, find_claims, find_receipt};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Writer, day, event, item, items, one_lane, receipt, request, take, workspace};

/// How many rows were read from the log's tables, once all other connections have ended and so have told theirs.
async fn rows_read(admin: &PgPool) -> i64 {
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                  AND backend_type = 'client backend' AND application_name = 'writer'";
    while sqlx::query_scalar::<_, i64>(others).fetch_one(admin).await.unwrap() > 0 {
        tokio::task::yield_now().await;
    }
    let read = "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint
                FROM pg_stat_user_tables WHERE schemaname = 'log'";
    sqlx::query_scalar(read).fetch_one(admin).await.unwrap()
}

fn numbered(workspace: i32, n: u32, claims: Vec<Claim>, event: NewEvent) -> AppendRequest {
    AppendRequest {
        claims,
        events: vec![event],
        receipt: Some(receipt(&n.to_string(), 1, "")),
        ..request(workspace, &n.to_string())
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn lookups_use_indexes_whatever_the_statistics(_: PgPoolOptions, connect: PgConnectOptions) {
    const FEW: u32 = 20;
    const MANY: u32 = 1_000;
    let as_writer = connect.clone().application_name("writer");
    let admin = PgPoolOptions::new().max_connections(1).connect_with(connect.clone()).await.unwrap();
    let ws = workspace(&connect, "acme").await;
    sqlx::query("SELECT log.ensure_day($1)").bind(day()).execute(&admin).await.unwrap();
    sqlx::query("VACUUM ANALYZE").execute(&admin).await.unwrap();

    let writer = Writer::start(&as_writer, one_lane()).await;
    // The same connection makes its plans while the tables are empty and keeps them.
    for n in 0..MANY {
        let event = items(vec![item(u128::from(n), 1)]);
        writer.append(numbered(ws, n, vec![take(&n.to_string(), "a")], event)).await.unwrap();
    }
    writer.stop().await;
    let before = rows_read(&admin).await;
    assert!(before < i64::from(MANY) * 20, "{before} rows read by {MANY} appends");

    sqlx::query("UPDATE pg_class SET reltuples = 0, relpages = 0 WHERE relnamespace = 'log'::regnamespace")
        .execute(&admin)
        .await
        .unwrap();
    let writer = Writer::start(&as_writer, one_lane()).await;
    for n in MANY..MANY + FEW {
        let held = ClaimPrecondition::Held { owner: "a".to_owned(), state: "taken".to_owned() };
        let changed = ClaimEffect::Put { owner: "b".to_owned(), state: String::new() };
        let key = (n - MANY).to_string();
        let claims = vec![
            Claim { kind: "name", key: key.clone(), expect: held.clone(), then: changed },
            Claim { kind: "name", key: (n - MANY / 2).to_string(), expect: held, then: ClaimEffect::Remove },
        ];
        writer.append(numbered(ws, n, claims, event("{}"))).await.unwrap();
        let taken = items(vec![item(u128::from(n - MANY), 1), item(u128::from(n), 1)]);
        writer.append(numbered(ws, n + FEW, Vec::new(), taken)).await.unwrap();
        writer.append(numbered(ws, n, Vec::new(), event("{}"))).await.unwrap();
        assert_eq!(find_claims(&writer.pool, ws, &[("name", &key)]).await.unwrap().len(), 1);
        assert!(find_receipt(&writer.pool, ws, &key, day()).await.unwrap().is_some());
    }
    writer.stop().await;
    let read = rows_read(&admin).await - before;
    assert!(read < i64::from(FEW) * 40, "{read} rows read by {FEW} rounds beside {MANY} claims, receipts and events");
    admin.close().await;
}
