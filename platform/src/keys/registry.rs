//! The table `auth.keys`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{PgConnection, PgPool};
use uuid::{NoContext, Timestamp, Uuid};

use super::{Digest, KeyError, digest, is_well_formed};
use crate::principal::{Actor, Principal, Scope};

/// A key to create.
#[derive(Debug, Clone, Copy)]
pub struct NewKey<'a> {
    pub workspace: i32,
    /// The purpose of the key, for people.
    pub name: &'a str,
    pub scopes: &'a [Scope],
}

/// A listed key: its record without the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    pub key_id: Uuid,
    pub workspace: i32,
    pub name: String,
    pub scopes: Vec<Scope>,
    pub created_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    Revoked,
    AlreadyRevoked { at: DateTime<Utc> },
    Unknown,
}

/// Creates a key of 256 random bits. Only this call returns the secret.
pub async fn create_key(
    conn: &mut PgConnection,
    new: NewKey<'_>,
    now: DateTime<Utc>,
) -> Result<(Uuid, SecretString), KeyError> {
    let random: [u8; 32] = rand::random();
    let key = SecretString::from(format!("hw_{}", URL_SAFE_NO_PAD.encode(random)));
    let key_id = insert_key(conn, new, &key, now).await?;
    Ok((key_id, key))
}

/// Inserts a key with a given secret, such as the development key. An existing key is set to `new` and is no longer
/// revoked.
pub async fn insert_key(
    conn: &mut PgConnection,
    new: NewKey<'_>,
    key: &SecretString,
    now: DateTime<Utc>,
) -> Result<Uuid, KeyError> {
    if new.name.trim().is_empty() {
        return Err(KeyError::NoName);
    }
    if new.scopes.is_empty() {
        return Err(KeyError::NoScope);
    }
    if !is_well_formed(key.expose_secret()) {
        return Err(KeyError::NotAKey);
    }
    let scopes: Vec<String> = new.scopes.iter().map(|scope| scope.name().to_owned()).collect();
    let digest = digest(key.expose_secret());
    let key_id = sqlx::query_scalar!(
        "INSERT INTO auth.keys (key_id, workspace, name, digest, scopes, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (digest) DO UPDATE
             SET workspace = excluded.workspace, name = excluded.name, scopes = excluded.scopes, revoked_at = NULL
         RETURNING key_id",
        made_at(now),
        new.workspace,
        new.name.trim(),
        digest.as_slice(),
        &scopes,
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(key_id)
}

/// A key id that sorts by the given time.
fn made_at(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()))
}

/// The keys of one workspace, or of all, oldest first.
pub async fn list_keys(conn: &mut PgConnection, workspace: Option<i32>) -> Result<Vec<KeyRecord>, KeyError> {
    let rows = sqlx::query!(
        "SELECT key_id, workspace, name, scopes, created_at, revoked_at FROM auth.keys
         WHERE $1::integer IS NULL OR workspace = $1
         ORDER BY created_at, key_id",
        workspace,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(KeyRecord {
                key_id: row.key_id,
                workspace: row.workspace,
                name: row.name,
                scopes: parse_scopes(row.key_id, &row.scopes)?,
                created_at: row.created_at,
                revoked_at: row.revoked_at,
            })
        })
        .collect()
}

/// Revokes a key. Processes that cached it accept it for at most five seconds more.
pub async fn revoke_key(conn: &mut PgConnection, key_id: Uuid, now: DateTime<Utc>) -> Result<Revocation, KeyError> {
    let before = sqlx::query_scalar!(
        "WITH found AS (SELECT key_id, revoked_at FROM auth.keys WHERE key_id = $1 FOR UPDATE)
         UPDATE auth.keys SET revoked_at = coalesce(found.revoked_at, $2)
         FROM found WHERE keys.key_id = found.key_id
         RETURNING found.revoked_at",
        key_id,
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(match before {
        None => Revocation::Unknown,
        Some(None) => Revocation::Revoked,
        Some(Some(at)) => Revocation::AlreadyRevoked { at },
    })
}

pub(super) async fn find_key(pool: &PgPool, digest: &Digest) -> Result<Option<Principal>, KeyError> {
    let row = sqlx::query!(
        "SELECT key_id, workspace, scopes FROM auth.keys WHERE digest = $1 AND revoked_at IS NULL",
        digest.as_slice(),
    )
    .fetch_optional(pool)
    .await?;
    row.map(|row| {
        let scopes = parse_scopes(row.key_id, &row.scopes)?.into_iter().collect();
        Ok(Principal { actor: Actor::key(row.key_id), workspace: row.workspace, scopes })
    })
    .transpose()
}

fn parse_scopes(key_id: Uuid, names: &[String]) -> Result<Vec<Scope>, KeyError> {
    names.iter().map(|name| name.parse().map_err(|source| KeyError::Scope { key_id, source })).collect()
}
