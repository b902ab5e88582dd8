//! The lives of the logs: which are noted, by whom, and where the logs stood.

use event_store::{
    Generation, GenerationCause, GenerationHead, declare_generation, generation_heads, generations, note_generation,
};
use futures_util::future::join_all;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Writer, now, one_lane, pool_as, request, workspace};

fn causes(generations: &[Generation]) -> Vec<GenerationCause> {
    generations.iter().map(|generation| generation.cause).collect()
}

/// Another process appends an event.
async fn append_anew(connect: &PgConnectOptions, workspace: i32) {
    let writer = Writer::start(connect, one_lane()).await;
    writer.append(request(workspace, "a")).await.unwrap();
    writer.append(request(workspace, "a")).await.unwrap();
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn notes_the_server_before_the_first_append_and_once(options: PgPoolOptions, connect: PgConnectOptions) {
    let admin = options.connect_with(connect.clone()).await.unwrap();
    let ws = workspace(&connect, "acme").await;
    append_anew(&connect, ws).await;
    append_anew(&connect, ws).await;
    let known = generations(&admin).await.unwrap();
    assert_eq!(causes(&known), [GenerationCause::First]);
    assert_eq!((known[0].number, known[0].began_at, known[0].timeline), (1, now(), 1));
    let began = generation_heads(&admin, 1).await.unwrap();
    assert_eq!(began[&ws], GenerationHead { position: 0, recorded_at: None });
}

/// As if the database had been noted on another server, before it was restored here.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn another_server_begins_a_generation_at_the_heads_of_the_restored_logs(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let admin = options.connect_with(connect.clone()).await.unwrap();
    let ws = workspace(&connect, "acme").await;
    append_anew(&connect, ws).await;
    for (noted, cause) in [
        ("timeline = timeline + 1", GenerationCause::OtherTimeline),
        ("system_identifier = 7", GenerationCause::OtherDatabase),
        ("database = 7", GenerationCause::OtherDatabase),
    ] {
        let head = generations(&admin).await.unwrap().len();
        sqlx::query(&format!("UPDATE log.generations SET {noted}")).execute(&admin).await.unwrap();
        append_anew(&connect, ws).await;
        let known = generations(&admin).await.unwrap();
        assert_eq!((known.len(), known[head].cause), (head + 1, cause), "{noted}");
        let began = generation_heads(&admin, known[head].number).await.unwrap();
        let position = i64::try_from(2 * head).unwrap();
        assert_eq!(began[&ws], GenerationHead { position, recorded_at: Some(now()) }, "{noted}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn writers_that_meet_a_server_at_once_begin_one_generation(pool: PgPool) {
    let note = async || note_generation(&mut pool.acquire().await.unwrap(), now()).await.unwrap();
    join_all((0..8).map(|_| note())).await;
    assert_eq!(causes(&generations(&pool).await.unwrap()), [GenerationCause::First]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn only_the_migrating_user_declares_a_generation(options: PgPoolOptions, connect: PgConnectOptions) {
    let admin = options.connect_with(connect.clone()).await.unwrap();
    note_generation(&mut admin.acquire().await.unwrap(), now()).await.unwrap();
    declare_generation(&admin, now(), Some("a copy was put back")).await.unwrap();
    let known = generations(&admin).await.unwrap();
    assert_eq!(causes(&known), [GenerationCause::First, GenerationCause::Declared]);
    assert_eq!(known[1].note.as_deref(), Some("a copy was put back"));
    for role in ["highwater_command", "highwater_projector", "highwater_read"] {
        assert!(declare_generation(&pool_as(&connect, role).await, now(), None).await.is_err(), "{role}");
    }
}
