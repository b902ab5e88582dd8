//! Connections that die.

use event_store::{AppendError, AppendRequest, AppenderConfig};
use futures_util::future::join_all;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Writer, check_log, enqueued, hold_head, one_lane, receipt, request, waiting_writer, workspace};

async fn terminate(pool: &PgPool, pid: i32) {
    let terminated: bool =
        sqlx::query_scalar("SELECT pg_terminate_backend($1)").bind(pid).fetch_one(pool).await.unwrap();
    assert!(terminated);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn lost_connection_fails_its_batch_and_is_replaced(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let with_receipt = |n: u8| AppendRequest { receipt: Some(receipt(&n.to_string(), n, "")), ..request(ws, "a") };
    let holding = hold_head(&writer.admin, ws).await;
    let first = enqueued(&writer.appender, with_receipt(0));
    terminate(&writer.admin, waiting_writer(&writer.admin).await).await;
    assert!(matches!(first.await, Err(AppendError::Unavailable(_))));

    let ahead = enqueued(&writer.appender, with_receipt(1));
    let pid = waiting_writer(&writer.admin).await;
    let batch: Vec<_> = (2..5).map(|n| enqueued(&writer.appender, with_receipt(n))).collect();
    terminate(&writer.admin, pid).await;
    assert!(matches!(ahead.await, Err(AppendError::Unavailable(_))));
    terminate(&writer.admin, waiting_writer(&writer.admin).await).await;
    for answer in join_all(batch).await {
        assert!(matches!(answer, Err(AppendError::Unavailable(_))), "{answer:?}");
    }
    holding.rollback().await.unwrap();
    // Nothing had been written, and the receipts would have said so if it had.
    for n in 0..5 {
        assert!(!writer.append(with_receipt(n)).await.unwrap().replayed);
    }
    assert_eq!(check_log(&writer.admin, ws).await, 5);
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn replaces_dead_idle_connections(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    writer.append(request(ws, "a")).await.unwrap();
    let all_others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(all_others).execute(&writer.admin).await.unwrap();
    let in_doubt = writer.append(request(ws, "a")).await;
    assert!(matches!(in_doubt, Ok(_) | Err(AppendError::Unavailable(_))), "{in_doubt:?}");
    writer.append(request(ws, "a")).await.unwrap();
    check_log(&writer.admin, ws).await;
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn append_times_out(_: PgPoolOptions, connect: PgConnectOptions) {
    let append_timeout = std::time::Duration::from_millis(50);
    let writer = Writer::start(&connect, AppenderConfig { append_timeout, ..one_lane() }).await;
    let ws = workspace(&connect, "acme").await;
    let holding = hold_head(&writer.admin, ws).await;
    assert!(matches!(writer.append(request(ws, "a")).await, Err(AppendError::Unavailable(_))));
    holding.rollback().await.unwrap();
    // Whether the first was written is not known: the server may have got the lock before it missed us.
    loop {
        match writer.append(request(ws, "a")).await {
            Ok(_) => break,
            Err(AppendError::Unavailable(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    check_log(&writer.pool, ws).await;
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reports_unavailable_without_a_database(_: PgPoolOptions, connect: PgConnectOptions) {
    let connect_timeout = std::time::Duration::from_millis(50);
    let writer = Writer::start(&connect, AppenderConfig { connect_timeout, ..one_lane() }).await;
    writer.pool.close().await;
    assert!(matches!(writer.append(request(1, "a")).await, Err(AppendError::Unavailable(_))));
    writer.stop().await;
}
