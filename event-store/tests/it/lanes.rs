//! Waiting, overflowing, going away, stopping.

use event_store::{AppendError, AppendRequest, AppenderConfig};
use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{
    Writer, admin, check_log, enqueued, event, hold_head, one_lane, request, waiting_writer, workspace,
};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn full_queue_rejects_at_once(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, AppenderConfig { queue_requests: 2, ..one_lane() }).await;
    let ws = workspace(&connect, "acme").await;
    let holding = hold_head(&writer.admin, ws).await;
    let writing = enqueued(&writer.appender, request(ws, "a"));
    waiting_writer(&writer.admin).await;
    let waiting = [enqueued(&writer.appender, request(ws, "a")), enqueued(&writer.appender, request(ws, "a"))];
    assert!(matches!(enqueued(&writer.appender, request(ws, "a")).await, Err(AppendError::Overloaded)));
    holding.rollback().await.unwrap();
    writing.await.unwrap();
    for appended in join_all(waiting).await {
        appended.unwrap();
    }
    writer.append(request(ws, "a")).await.unwrap();
    assert_eq!(check_log(&writer.pool, ws).await, 4);
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn queue_is_bounded_by_bytes(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, AppenderConfig { queue_bytes: 3_000, ..one_lane() }).await;
    let ws = workspace(&connect, "acme").await;
    let large = || AppendRequest { events: vec![event(&format!("\"{}\"", "x".repeat(1_700)))], ..request(ws, "a") };
    let holding = hold_head(&writer.admin, ws).await;
    let writing = enqueued(&writer.appender, large());
    waiting_writer(&writer.admin).await;
    assert!(matches!(enqueued(&writer.appender, large()).await, Err(AppendError::Overloaded)));
    let small = enqueued(&writer.appender, request(ws, "a"));
    holding.rollback().await.unwrap();
    writing.await.unwrap();
    small.await.unwrap();
    writer.append(large()).await.unwrap();
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn dropped_caller_does_not_cancel_the_append(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let holding = hold_head(&writer.admin, ws).await;
    let being_written = enqueued(&writer.appender, request(ws, "a"));
    waiting_writer(&writer.admin).await;
    let queued = enqueued(&writer.appender, request(ws, "a"));
    let patient = enqueued(&writer.appender, request(ws, "a"));
    drop(being_written);
    drop(queued);
    holding.rollback().await.unwrap();
    let appended = patient.await.unwrap();
    assert_eq!((appended.version, appended.position), (3, 3));
    assert_eq!(check_log(&writer.pool, ws).await, 3);
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn shutdown_writes_queued_requests(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, AppenderConfig { batch_requests: 3, ..one_lane() }).await;
    let ws = workspace(&connect, "acme").await;
    let holding = hold_head(&writer.admin, ws).await;
    let waiting: Vec<_> = (0..10).map(|_| enqueued(&writer.appender, request(ws, "a"))).collect();
    waiting_writer(&writer.admin).await;
    writer.shutdown.cancel();
    assert!(matches!(writer.append(request(ws, "a")).await, Err(AppendError::ShuttingDown)));
    assert!(!writer.done.is_finished());
    holding.rollback().await.unwrap();
    for (n, appended) in (1..).zip(join_all(waiting).await) {
        assert_eq!(appended.unwrap().position, n);
    }
    let appender = writer.appender.clone();
    let pool = writer.pool.clone();
    writer.done.await.unwrap();
    assert!(matches!(appender.append(request(ws, "a")).await, Err(AppendError::ShuttingDown)));
    assert_eq!(check_log(&pool, ws).await, 10);
    pool.close().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn writers_stop_with_the_last_appender(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    writer.append(request(ws, "a")).await.unwrap();
    drop(writer.appender);
    writer.done.await.unwrap();
    writer.pool.close().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn bad_request_does_not_fail_its_neighbours(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    // What the checks in front let through and the database refuses, of both kinds: data and constraint.
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                  $$ BEGIN RAISE EXCEPTION 'bad content' USING ERRCODE = TG_ARGV[0]; END $$;
                  CREATE TRIGGER data BEFORE INSERT ON log.events FOR EACH ROW
                  WHEN (NEW.event_type = 'BadData') EXECUTE FUNCTION refuse('22000');
                  CREATE TRIGGER constrained BEFORE INSERT ON log.events FOR EACH ROW
                  WHEN (NEW.event_type = 'BadConstraint') EXECUTE FUNCTION refuse('23000')";
    sqlx::raw_sql(refuse).execute(&mut admin(&connect).await).await.unwrap();
    let typed = |event_type: &str| {
        let event = event_store::NewEvent { event_type: event_type.to_owned(), ..event("{}") };
        AppendRequest { events: vec![event], ..request(ws, "a") }
    };
    let holding = hold_head(&writer.admin, ws).await;
    let mut batch = vec![enqueued(&writer.appender, typed("Good"))];
    waiting_writer(&writer.admin).await;
    let rest = ["Good", "BadData", "Good", "BadConstraint", "Good"].map(typed);
    batch.extend(rest.map(|request| enqueued(&writer.appender, request)));
    holding.rollback().await.unwrap();
    let answers = join_all(batch).await;
    let versions: Vec<_> = answers.iter().map(|answer| answer.as_ref().ok().map(|appended| appended.version)).collect();
    assert_eq!(versions, [Some(1), Some(2), None, Some(3), None, Some(4)]);
    assert!(matches!(&answers[2], Err(AppendError::Invalid(why)) if why == "bad content"));
    assert!(matches!(&answers[4], Err(AppendError::Unavailable(_))));
    assert_eq!(check_log(&writer.pool, ws).await, 4);
    writer.stop().await;
}
