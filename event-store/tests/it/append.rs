//! What a request writes, and where it is found again.

use event_store::{
    AppendError, AppendRequest, ExpectedVersion, Metadata, NewEvent, OpenWorkspaceError, Payload, heads,
    open_workspace, read_after,
};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::support::{Writer, check_log, event, now, one_lane, request, workspace};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn numbers_events_and_keeps_them_verbatim(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let payload = r#"{ "ü" : [1.50, 12345678901234567890], "a": "\"" }"#;
    let events = vec![
        event(payload),
        NewEvent {
            event_type: "Ended".to_owned(),
            event_version: "3".to_owned(),
            payload: Payload::Json("null".to_owned()),
        },
    ];
    let first = writer.append(AppendRequest { events, ..request(ws, "a") }).await.unwrap();
    assert_eq!((first.version, first.position, first.replayed), (2, 2, false));
    let second = writer.append(request(ws, "b")).await.unwrap();
    assert_eq!((second.version, second.position), (1, 3));

    let mut connection = writer.pool.acquire().await.unwrap();
    let stored = read_after(&mut connection, ws, 0, 2).await.unwrap();
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0].payload(), payload);
    assert_eq!(stored[0].metadata(), r#"{"actor":"tester"}"#);
    assert_eq!((stored[0].position, stored[0].sequence, stored[0].recorded_at), (1, 1, now()));
    assert_eq!((stored[0].stream_type(), stored[0].stream_id()), ("thing", format!("{ws}/a").as_str()));
    assert_eq!((stored[1].event_type(), stored[1].event_version()), ("Ended", "3"));
    assert_eq!((stored[1].position, stored[1].sequence, stored[1].payload()), (2, 2, "null"));
    let rest = read_after(&mut connection, ws, 2, 10).await.unwrap();
    assert_eq!(rest.iter().map(|event| event.position).collect::<Vec<_>>(), [3]);
    assert_eq!(heads(&mut connection).await.unwrap(), [(ws, 3)]);
    drop(connection);
    check_log(&writer.pool, ws).await;
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_an_unexpected_version(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let at = |version| AppendRequest { expected: ExpectedVersion::Exact(version), ..request(ws, "a") };
    assert!(matches!(writer.append(at(1)).await, Err(AppendError::Version { actual: 0 })));
    assert_eq!(writer.append(at(0)).await.unwrap().version, 1);
    assert!(matches!(writer.append(at(0)).await, Err(AppendError::Version { actual: 1 })));
    assert_eq!(writer.append(at(1)).await.unwrap().version, 2);
    assert_eq!(check_log(&writer.pool, ws).await, 2);
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn request_without_events_only_checks(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let check =
        |version| AppendRequest { expected: ExpectedVersion::Exact(version), events: Vec::new(), ..request(ws, "a") };
    let empty = writer.append(check(0)).await.unwrap();
    assert_eq!((empty.version, empty.position), (0, 0));
    writer.append(request(ws, "a")).await.unwrap();
    writer.append(request(ws, "b")).await.unwrap();
    let current = writer.append(check(1)).await.unwrap();
    assert_eq!((current.version, current.position), (1, 2));
    assert!(matches!(writer.append(check(0)).await, Err(AppendError::Version { actual: 1 })));
    assert_eq!(check_log(&writer.pool, ws).await, 2);
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn logs_are_independent(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let (one, two) = (workspace(&connect, "one").await, workspace(&connect, "two").await);
    for ws in [one, two] {
        let appended = writer.append(request(ws, "a")).await.unwrap();
        assert_eq!((appended.version, appended.position), (1, 1));
    }
    let elsewhere = AppendRequest { stream_id: format!("{two}/a"), ..request(one, "a") };
    assert!(matches!(writer.append(elsewhere).await, Err(AppendError::Invalid(_))));
    assert!(matches!(writer.append(request(999, "a")).await, Err(AppendError::Invalid(_))));
    check_log(&writer.pool, one).await;
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_invalid_requests_before_queueing(_: PgPoolOptions, connect: PgConnectOptions) {
    let config = event_store::AppenderConfig { request_rows: 2, request_bytes: 2_000, ..one_lane() };
    let writer = Writer::start(&connect, config).await;
    let ws = workspace(&connect, "acme").await;
    let wrong = [
        vec![event("{")],
        vec![event("\"\\u0000\"")],
        vec![event(&format!("\"{}\"", "x".repeat(2_000)))],
        vec![event("1"), event("2"), event("3")],
    ];
    for events in wrong {
        let refused = writer.append(AppendRequest { events, ..request(ws, "a") }).await;
        assert!(matches!(refused, Err(AppendError::Invalid(_))), "{refused:?}");
    }
    let metadata = Metadata([("actor".to_owned(), "\0".to_owned())].into());
    let refused = writer.append(AppendRequest { metadata, ..request(ws, "a") }).await;
    assert!(matches!(refused, Err(AppendError::Invalid(_))));
    assert_eq!(check_log(&writer.pool, ws).await, 0);
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn workspace_names_are_unique(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    let first = open_workspace(&mut connection, "acme", now()).await.unwrap();
    assert!(matches!(open_workspace(&mut connection, "acme", now()).await, Err(OpenWorkspaceError::NameTaken(_))));
    assert!(matches!(open_workspace(&mut connection, " ", now()).await, Err(OpenWorkspaceError::InvalidName)));
    let second = open_workspace(&mut connection, "umbrella", now()).await.unwrap();
    assert_eq!(heads(&mut connection).await.unwrap(), [(first, 0), (second, 0)]);
}
