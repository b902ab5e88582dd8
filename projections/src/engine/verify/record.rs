//! The stored results of verification, which every process can report.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::super::Projection;
use super::{Problem, Verification};

/// The last results for a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastVerified {
    /// The projection.
    pub projection: String,
    /// Whether only some campaigns were compared.
    pub sampled: bool,
    /// The time since which every workspace has passed once. One that never has counts from its opening, when its log
    /// and its rows were empty.
    pub passed_at: DateTime<Utc>,
    /// The rows that differed in each workspace's last comparison.
    pub differences: i64,
    /// The workspaces whose last comparison did not complete.
    pub problems: i64,
}

/// The last results of every projection that was ever verified.
pub async fn last_verified(pool: &PgPool) -> Result<Vec<LastVerified>, sqlx::Error> {
    sqlx::query_as!(
        LastVerified,
        r#"SELECT known.projection AS "projection!", known.sampled AS "sampled!",
                  min(coalesce(v.passed_at, w.created_at)) AS "passed_at!",
                  coalesce(sum(v.differences), 0)::bigint AS "differences!", count(v.problem) AS "problems!"
           FROM (SELECT DISTINCT projection, sampled FROM read.verifications) known
           CROSS JOIN log.workspaces w
           LEFT JOIN read.verifications v
               ON v.projection = known.projection AND v.sampled = known.sampled AND v.workspace = w.workspace
           GROUP BY 1, 2 ORDER BY 1, 2"#
    )
    .fetch_all(pool)
    .await
}

/// Stores the result of a comparison.
pub(super) async fn store(
    pool: &PgPool,
    projection: &Projection,
    sampled: bool,
    verification: &Verification,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let problem = verification.problem.as_ref().map(Problem::full_text);
    let differences = i64::try_from(verification.differences()).unwrap_or(i64::MAX);
    sqlx::query!(
        "INSERT INTO read.verifications AS v (projection, workspace, sampled, epoch, position, differences, problem,
                                              verified_at, passed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (projection, workspace, sampled) DO UPDATE
         SET epoch = excluded.epoch, position = excluded.position, differences = excluded.differences,
             problem = excluded.problem, verified_at = excluded.verified_at,
             passed_at = coalesce(excluded.passed_at, v.passed_at)",
        projection.name,
        verification.workspace,
        sampled,
        verification.epoch,
        verification.position,
        differences,
        problem,
        now,
        verification.passed().then_some(now)
    )
    .execute(pool)
    .await?;
    Ok(())
}

impl LastVerified {
    /// Sets the gauges. Every process reports them, whichever process verified.
    pub(crate) fn set_gauges(&self) {
        describe();
        let scope = if self.sampled { "sample" } else { "whole" };
        let labels = [("projection", self.projection.clone()), ("scope", scope.to_owned())];
        metrics::gauge!("highwater_verify_last_passed_timestamp_seconds", &labels).set(seconds(self.passed_at));
        metrics::gauge!("highwater_verify_differences", &labels).set(count(self.differences));
        metrics::gauge!("highwater_verify_problems", &labels).set(count(self.problems));
    }
}

fn describe() {
    metrics::describe_gauge!(
        "highwater_verify_last_passed_timestamp_seconds",
        "Every workspace's rows were proved equal to a rebuild at this time or later."
    );
    metrics::describe_gauge!("highwater_verify_differences", "Rows that differed when they were last verified.");
    metrics::describe_gauge!("highwater_verify_problems", "Workspaces that could not be verified to their end.");
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, exact for the milliseconds of many centuries")]
fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; beyond 2^53 one more does not matter")]
fn count(many: i64) -> f64 {
    many as f64
}
