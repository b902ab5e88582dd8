//! What decisions look up or keep unique beside their own stream: generic rows that an append asserts, takes or
//! releases in its transaction.
//!
//! A decision reads claims without a lock ([`find_claims`]), decides, and lets the append assert what it read; a race
//! lost shows as [`AppendError::Claim`](crate::AppendError::Claim) with what is there now.

use sqlx::PgPool;

/// A claim that a request checks, writes, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What is claimed: the name of a rule, such as `source_name`.
    pub kind: &'static str,
    /// Which one of it.
    pub key: String,
    /// What must hold before the request.
    pub expect: ClaimPrecondition,
    /// What the request makes of it.
    pub then: ClaimEffect,
}

/// What a request asserts of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimPrecondition {
    /// Nothing.
    Any,
    /// Nobody holds it.
    Absent,
    /// It is held exactly so.
    Held {
        /// Who holds it.
        owner: String,
        /// What is said about it.
        state: String,
    },
}

/// What a request makes of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimEffect {
    /// Leaves it.
    Keep,
    /// Takes it, or changes it.
    Put {
        /// Who holds it from now on.
        owner: String,
        /// What is said about it.
        state: String,
    },
    /// Releases it.
    Remove,
}

/// A claim as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredClaim {
    /// What is claimed.
    pub kind: String,
    /// Which one of it.
    pub key: String,
    /// Who holds it.
    pub owner: String,
    /// What is said about it.
    pub state: String,
}

/// The claims of a workspace among the wanted `(kind, key)` pairs that are held, in no particular order.
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

/// Removes the claims of a kind whose keys sort before `key`, in every workspace. Needs the rights of the user that
/// migrates.
pub async fn remove_claims_before(admin: &PgPool, kind: &str, key: &str) -> Result<(), sqlx::Error> {
    // Workspace by workspace, as the claims' index begins.
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
