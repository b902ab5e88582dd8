//! What is kept unique, or looked up, beside a stream.

use event_store::{AppendError, AppendRequest, Claim, ClaimEffect, ClaimPrecondition, StoredClaim, find_claims};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Writer, check_log, one_lane, request, take, workspace};

fn held(owner: &str, state: &str) -> ClaimPrecondition {
    ClaimPrecondition::Held { owner: owner.to_owned(), state: state.to_owned() }
}

fn claim(key: &str, expect: ClaimPrecondition, then: ClaimEffect) -> Claim {
    Claim { kind: "name", key: key.to_owned(), expect, then }
}

fn found(key: &str, owner: &str, state: &str) -> StoredClaim {
    StoredClaim { kind: "name".to_owned(), key: key.to_owned(), owner: owner.to_owned(), state: state.to_owned() }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn takes_changes_asserts_and_releases_claims(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let with = |claims| AppendRequest { claims, ..request(ws, "a") };

    writer.append(with(vec![take("x", "a")])).await.unwrap();
    match writer.append(with(vec![take("y", "b"), take("x", "b")])).await {
        Err(AppendError::Claim { kind: "name", key, found: Some(holder) }) => {
            assert_eq!((key.as_str(), *holder), ("x", found("x", "a", "taken")));
        }
        other => panic!("{other:?}"),
    }
    let wanted = [("name", "x"), ("name", "y"), ("other", "x")];
    assert_eq!(find_claims(&writer.pool, ws, &wanted).await.unwrap(), [found("x", "a", "taken")]);

    let put = ClaimEffect::Put { owner: "c".to_owned(), state: "2".to_owned() };
    let wrong = writer.append(with(vec![claim("x", held("a", "other"), put.clone())])).await;
    assert!(matches!(wrong, Err(AppendError::Claim { found: Some(_), .. })), "{wrong:?}");
    writer.append(with(vec![claim("x", held("a", "taken"), put)])).await.unwrap();
    writer.append(with(vec![claim("x", held("c", "2"), ClaimEffect::Keep)])).await.unwrap();
    assert_eq!(find_claims(&writer.pool, ws, &wanted).await.unwrap(), [found("x", "c", "2")]);

    writer.append(with(vec![claim("x", held("c", "2"), ClaimEffect::Remove)])).await.unwrap();
    assert!(find_claims(&writer.pool, ws, &wanted).await.unwrap().is_empty());
    let gone = writer.append(with(vec![claim("x", held("c", "2"), ClaimEffect::Keep)])).await;
    assert!(matches!(gone, Err(AppendError::Claim { found: None, .. })), "{gone:?}");
    assert_eq!(check_log(&writer.pool, ws).await, 4);
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn checks_claims_against_the_state_before_the_request(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let renames = vec![
        take("old", "a"),
        claim("old", ClaimPrecondition::Absent, ClaimEffect::Remove),
        claim("new", ClaimPrecondition::Any, ClaimEffect::Put { owner: "a".to_owned(), state: String::new() }),
    ];
    writer.append(AppendRequest { claims: renames, ..request(ws, "a") }).await.unwrap();
    let held = find_claims(&writer.pool, ws, &[("name", "old"), ("name", "new")]).await.unwrap();
    assert_eq!(held, [found("new", "a", "")]);
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn claims_are_scoped_to_a_workspace(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    for name in ["one", "two"] {
        let ws = workspace(&connect, name).await;
        writer.append(AppendRequest { claims: vec![take("x", name)], ..request(ws, "a") }).await.unwrap();
        assert_eq!(find_claims(&writer.pool, ws, &[("name", "x")]).await.unwrap(), [found("x", name, "taken")]);
    }
    writer.stop().await;
}
