//! Claims: rows that decisions look up or keep unique besides their own stream. An append asserts, takes or releases
//! them in its transaction.
//!
//! A decision reads claims without a lock ([`find_claims`]), and its append asserts what it read. A lost race gives
//! [`AppendError::Claim`](crate::AppendError::Claim) with the current claim.

use sqlx::PgPool;

/// The use of a claim by a request: a check, a change, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The kind: the name of a rule, such as `source_name`.
    pub kind: &'static str,
    /// The key within the kind.
    pub key: String,
    /// The precondition.
    pub expect: ClaimPrecondition,
    /// The change.
    pub then: ClaimEffect,
}

/// The precondition of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimPrecondition {
    /// None.
    Any,
    /// The claim does not exist.
    Absent,
    /// The claim has exactly this owner and state.
    Held {
        /// The owner.
        owner: String,
        /// The state.
        state: String,
    },
}

/// The change of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimEffect {
    /// None.
    Keep,
    /// Creates or changes it.
    Put {
        /// The new owner.
        owner: String,
        /// The new state.
        state: String,
    },
    /// Removes it.
    Remove,
}

/// A claim as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredClaim {
    /// The kind.
    pub kind: String,
    /// The key within the kind.
    pub key: String,
    /// The owner.
    pub owner: String,
    /// The state.
    pub state: String,
}

/// The existing claims of a workspace among the wanted `(kind, key)` pairs, in no particular order.
pub async fn find_claims(
    pool: &PgPool,
    workspace: i32,
    wanted: &[(&str, &str)],
) -> Result<Vec<StoredClaim>, sqlx::Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let (kinds, keys): (Vec<&str>, Vec<&str>) = wanted.iter().copied().unzip();
    sqlx::query_as!(
        StoredClaim,
        r#"SELECT kind AS "kind!", key AS "key!", owner AS "owner!", state AS "state!"
           FROM log.find_claims($1, $2, $3)"#,
        workspace,
        &kinds as _,
        &keys as _,
    )
    .fetch_all(pool)
    .await
}

/// Which claims of a kind to find by their keys' order.
#[derive(Debug, Clone, Copy)]
pub struct ClaimRange<'a> {
    /// The least key.
    pub first: &'a str,
    /// What all keys sort before.
    pub end: &'a str,
    /// The only ids that a key may end in, if not all are wanted.
    pub endings: Option<&'a [String]>,
    /// How many to find at most.
    pub most: i32,
}

/// The claims of a kind in a range of keys, in the keys' order.
pub async fn find_claims_between(
    pool: &PgPool,
    workspace: i32,
    kind: &str,
    range: ClaimRange<'_>,
) -> Result<Vec<StoredClaim>, sqlx::Error> {
    let ClaimRange { first, end, endings, most } = range;
    let found = sqlx::query!(
        r#"SELECT key AS "key!", owner AS "owner!", state AS "state!"
           FROM log.find_claims_between($1, $2, $3, $4, $5, $6)"#,
        workspace,
        kind,
        first,
        end,
        endings as _,
        most,
    )
    .fetch_all(pool)
    .await?;
    let of_kind = |key, owner, state| StoredClaim { kind: kind.to_owned(), key, owner, state };
    Ok(found.into_iter().map(|row| of_kind(row.key, row.owner, row.state)).collect())
}

/// The claims of a kind that are held in a workspace, by key.
pub async fn list_claims(pool: &PgPool, workspace: i32, kind: &str) -> Result<Vec<StoredClaim>, sqlx::Error> {
    sqlx::query_as!(
        StoredClaim,
        "SELECT kind, key, owner, state FROM log.claims WHERE workspace = $1 AND kind = $2 ORDER BY key",
        workspace,
        kind,
    )
    .fetch_all(pool)
    .await
}

/// Removes the claims of a kind whose keys sort before `key`, in every workspace. It needs the rights of the migrating
/// user.
pub async fn remove_claims_before(admin: &PgPool, kind: &str, key: &str) -> Result<(), sqlx::Error> {
    // One workspace at a time, because the claims' index begins with it.
    sqlx::query!(
        r#"DELETE FROM log.claims held USING log.workspaces w
           WHERE held.workspace = w.workspace AND held.kind = $1 AND held.key < $2 COLLATE "C""#,
        kind,
        key,
    )
    .execute(admin)
    .await?;
    Ok(())
}
