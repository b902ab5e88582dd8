//! Being told that a log has grown.

use event_store::{LOG_CHANNEL, heads};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use crate::support::{Writer, one_lane, pool_as, request, workspace};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn notifies_after_the_commit(_: PgPoolOptions, connect: PgConnectOptions) {
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
async fn batch_without_events_does_not_notify(_: PgPoolOptions, connect: PgConnectOptions) {
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
async fn notifies_of_the_last_commit_before_shutdown(_: PgPoolOptions, connect: PgConnectOptions) {
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
