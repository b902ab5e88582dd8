//! Keys against the table that holds them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use chrono::{DateTime, TimeDelta, Utc};
use platform::authenticator::Authenticator;
use platform::clock::{Clock, ManualClock};
use platform::keys::{KeyError, NewKey, Revocation, create_key, insert_key, list_keys, revoke_key};
use platform::principal::{Actor, Scope};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use uuid::Uuid;

fn noon() -> ManualClock {
    ManualClock::new(DateTime::from_timestamp(1_795_262_400, 0).unwrap())
}

const NEW: NewKey<'static> = NewKey { workspace: 7, name: "dashboard", scopes: &[Scope::Read] };

async fn make(pool: &PgPool, now: DateTime<Utc>) -> (Uuid, SecretString) {
    create_key(&mut pool.acquire().await.unwrap(), NEW, now).await.unwrap()
}

async fn revoke(pool: &PgPool, key_id: Uuid, now: DateTime<Utc>) -> Revocation {
    revoke_key(&mut pool.acquire().await.unwrap(), key_id, now).await.unwrap()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn key_resolves_to_workspace_and_scopes(pool: PgPool) {
    let clock = noon();
    let (key_id, key) = make(&pool, clock.now()).await;
    let text = key.expose_secret();
    assert!(text.starts_with("hw_") && text.len() == 46, "{text}");
    assert!(!format!("{key:?}").contains(text));

    let keys = Authenticator::new(pool.clone(), clock.shared());
    let caller = keys.authenticate(text).await.unwrap().unwrap();
    assert_eq!((caller.actor.clone(), caller.workspace), (Actor::key(key_id), 7));
    assert_eq!(caller.scopes, [Scope::Read].into_iter().collect());
    assert_eq!(keys.authenticate("hw_unknown").await.unwrap(), None);
    assert_eq!(keys.authenticate(&text.to_lowercase()).await.unwrap(), None);

    let stored: Vec<u8> = sqlx::query_scalar("SELECT digest FROM auth.keys").fetch_one(&pool).await.unwrap();
    assert_eq!(stored.len(), 32);
    assert!(!stored.windows(4).any(|window| text.as_bytes().windows(4).any(|part| part == window)));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn malformed_key_costs_no_query(pool: PgPool) {
    let keys = Authenticator::new(pool.clone(), noon().shared());
    pool.close().await;
    for garbage in ["", "a b", "ключ", "hw_\0", &"a".repeat(201)] {
        assert_eq!(keys.authenticate(garbage).await.unwrap(), None);
    }
    assert!(matches!(keys.authenticate("hw_plausible").await, Err(KeyError::Database(_))));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn revoked_key_stops_within_five_seconds(pool: PgPool) {
    let clock = noon();
    let (key_id, key) = make(&pool, clock.now()).await;
    let keys = Authenticator::new(pool.clone(), clock.shared());
    let known = async || keys.authenticate(key.expose_secret()).await.unwrap().is_some();
    assert!(known().await);

    assert_eq!(revoke(&pool, key_id, clock.now()).await, Revocation::Revoked);
    assert!(known().await, "remembered");
    clock.advance(TimeDelta::milliseconds(2_400));
    assert!(known().await, "remembered");
    clock.advance(TimeDelta::milliseconds(200));
    assert!(!known().await, "refreshed before it expires");
    assert!(!known().await, "and forgotten");

    let revoked_at = clock.now() - TimeDelta::milliseconds(2_600);
    assert_eq!(revoke(&pool, key_id, clock.now()).await, Revocation::AlreadyRevoked { at: revoked_at });
    assert_eq!(revoke(&pool, Uuid::nil(), clock.now()).await, Revocation::Unknown);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn cached_key_outlives_the_database_for_five_seconds(pool: PgPool) {
    let clock = noon();
    let (_, key) = make(&pool, clock.now()).await;
    let keys = Authenticator::new(pool.clone(), clock.shared());
    let key = key.expose_secret();
    assert!(keys.authenticate(key).await.unwrap().is_some());
    pool.close().await;
    clock.advance(TimeDelta::seconds(1));
    assert!(keys.clone().authenticate(key).await.unwrap().is_some());
    clock.advance(TimeDelta::seconds(4));
    assert!(matches!(keys.authenticate(key).await, Err(KeyError::Database(_))));
    // A clock that was set back proves nothing.
    clock.advance(TimeDelta::seconds(-60));
    assert!(matches!(keys.authenticate(key).await, Err(KeyError::Database(_))));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn given_key_can_be_set_again(pool: PgPool) {
    let clock = noon();
    let mut conn = pool.acquire().await.unwrap();
    let key = SecretString::from("hw_dev".to_owned());
    let first = insert_key(&mut conn, NEW, &key, clock.now()).await.unwrap();
    revoke_key(&mut conn, first, clock.now()).await.unwrap();
    let all = NewKey { workspace: 8, name: " development ", scopes: &Scope::ALL };
    assert_eq!(insert_key(&mut conn, all, &key, clock.now()).await.unwrap(), first);

    let listed = list_keys(&mut conn, None).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].workspace, listed[0].name.as_str()), (8, "development"));
    assert_eq!((listed[0].scopes.as_slice(), listed[0].revoked_at), (Scope::ALL.as_slice(), None));
    assert_eq!(list_keys(&mut conn, Some(7)).await.unwrap(), []);
    drop(conn);
    let caller = Authenticator::new(pool, clock.shared()).authenticate("hw_dev").await.unwrap().unwrap();
    assert_eq!(caller.workspace, 8);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_keys_without_name_scope_or_form(pool: PgPool) {
    let now = noon().now();
    let mut conn = pool.acquire().await.unwrap();
    let key = |text: &str| SecretString::from(text.to_owned());
    let nameless = NewKey { name: " ", ..NEW };
    assert!(matches!(create_key(&mut conn, nameless, now).await, Err(KeyError::NoName)));
    let powerless = NewKey { scopes: &[], ..NEW };
    assert!(matches!(create_key(&mut conn, powerless, now).await, Err(KeyError::NoScope)));
    assert!(matches!(insert_key(&mut conn, NEW, &key("two words"), now).await, Err(KeyError::NotAKey)));
    assert!(matches!(insert_key(&mut conn, NEW, &key(""), now).await, Err(KeyError::NotAKey)));
}
