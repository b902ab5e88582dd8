//! Being told that a log has grown.

use std::time::Duration;

use event_store::{LOG_CHANNEL, NotificationListener, heads};
use futures_util::FutureExt;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use crate::support::{Writer, admin, one_lane, pool_as, request, workspace};

const NEVER: Duration = Duration::from_hours(1);

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_notification_comes_after_the_commit(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let reader = pool_as(&connect, "highwater_projector").await;
    let mut listener = PgListener::connect_with(&reader).await.unwrap();
    listener.listen(LOG_CHANNEL).await.unwrap();
    for position in 1..=30 {
        let appending = writer.append(request(ws, "a"));
        let notified = async {
            // Coalesced notifications of the append before may still come.
            loop {
                let notification = listener.recv().await.unwrap();
                assert_eq!((notification.channel(), notification.payload()), (LOG_CHANNEL, ""));
                let head = heads(&mut reader.acquire().await.unwrap()).await.unwrap()[0].1;
                if head >= position {
                    return head;
                }
            }
        };
        let (appended, head) = tokio::join!(appending, notified);
        assert_eq!((appended.unwrap().position, head), (position, position));
    }
    drop(listener);
    reader.close().await;
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_batch_that_only_checked_wakes_nobody(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let mut listener = PgListener::connect_with(&writer.pool).await.unwrap();
    listener.listen(LOG_CHANNEL).await.unwrap();
    let check = event_store::AppendRequest { events: Vec::new(), ..request(ws, "a") };
    writer.append(check).await.unwrap();
    let pool = writer.pool.clone();
    // The end of the writer is the end of its notifications, and what is sent after it comes after them.
    writer.shutdown.cancel();
    writer.done.await.unwrap();
    sqlx::query("SELECT pg_notify($1, 'the end')").bind(LOG_CHANNEL).execute(&pool).await.unwrap();
    assert_eq!(listener.recv().await.unwrap().payload(), "the end");
    drop(listener);
    pool.close().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_commit_at_the_very_end_is_announced(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let reader = pool_as(&connect, "highwater_projector").await;
    let mut listener = PgListener::connect_with(&reader).await.unwrap();
    listener.listen(LOG_CHANNEL).await.unwrap();
    let last = crate::support::enqueued(&writer.appender, request(ws, "a"));
    writer.stop().await;
    last.await.unwrap();
    listener.recv().await.unwrap();
    drop(listener);
    reader.close().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn wakeups_come_with_the_connection_with_notifications_and_with_time(
    _: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let pool = pool_as(&connect, "highwater_projector").await;
    let notify = async || {
        sqlx::query("SELECT pg_notify('somewhere', '')").execute(&pool).await.unwrap();
    };
    let mut wakeups = NotificationListener::new(pool.clone(), "somewhere", NEVER);
    wakeups.changed().await;
    assert!(wakeups.changed().now_or_never().is_none());
    notify().await;
    wakeups.changed().await;

    let listening = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    sqlx::query(listening).execute(&mut admin(&connect).await).await.unwrap();
    // Once for the loss, once for the new connection, once for the notification.
    wakeups.changed().await;
    wakeups.changed().await;
    notify().await;
    wakeups.changed().await;

    let mut impatient = NotificationListener::new(pool.clone(), "nowhere", Duration::from_millis(1));
    for _ in 0..3 {
        impatient.changed().await;
    }
    drop((wakeups, impatient));
    pool.close().await;
}
