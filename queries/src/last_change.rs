//! What last touched the campaigns and the numbers that a query depends on: one input of a result's version.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::database::snapshot::Snapshot;
use crate::error::ReadError;

/// The most campaigns that a query watches one by one. With more, it watches all.
const MAX_WATCHED: usize = 100;

/// The campaigns whose events may change a result.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// These campaigns.
    Campaigns(Vec<Uuid>),
    /// All campaigns.
    Workspace,
    /// The numbers of all campaigns, where nothing of the campaigns themselves is shown.
    Numbers {
        /// Whether it matters which sources feed which campaigns.
        by_feed: bool,
    },
}

/// The names of the marks of the numbers in some ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct NumberMarks {
    /// The UTC months that they touch, by which campaigns are marked.
    pub months: Vec<String>,
    /// The marks of the workspace, which may be finer.
    pub of_workspace: Vec<String>,
}

impl NumberMarks {
    /// Those of these UTC months.
    pub(crate) fn of_months(months: Vec<String>) -> Self {
        let of_workspace = months.iter().map(|month| format!("month:{month}")).collect();
        Self { months, of_workspace }
    }
}

/// The last change of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastChange {
    /// The position of the last event that touched it.
    pub position: i64,
    /// When the clock last made a launched campaign active.
    pub last_start: Option<DateTime<Utc>>,
    /// When it next will.
    pub next_start: Option<DateTime<Utc>>,
}

impl Scope {
    /// The scope of a query about these campaigns; about all if it names none.
    pub(crate) fn of(campaigns: impl IntoIterator<Item = Uuid>) -> Self {
        let campaigns: Vec<_> = campaigns.into_iter().take(MAX_WATCHED + 1).collect();
        if campaigns.is_empty() || campaigns.len() > MAX_WATCHED { Self::Workspace } else { Self::Campaigns(campaigns) }
    }

    /// The last change of its campaigns, their sources, and their numbers with these marks.
    pub(crate) async fn last_change(
        &self,
        snapshot: &mut Snapshot,
        marks: &NumberMarks,
    ) -> Result<LastChange, ReadError> {
        match self {
            Self::Workspace => last_change_of_workspace(snapshot, &marks.of_workspace).await,
            Self::Campaigns(campaigns) => last_change_of_campaigns(snapshot, marks, campaigns).await,
            Self::Numbers { by_feed } => last_change_of_numbers(snapshot, &marks.of_workspace, *by_feed).await,
        }
    }
}

/// The names of the marks of campaigns in these months.
fn campaign_marks(campaigns: &[Uuid], months: &[String]) -> Vec<String> {
    let of_campaign = |id: &Uuid| {
        let campaign = id.as_hyphenated().to_string();
        months.iter().map(move |month| format!("campaign:{campaign}:{month}"))
    };
    campaigns.iter().flat_map(of_campaign).collect()
}

async fn last_change_of_workspace(snapshot: &mut Snapshot, marks: &[String]) -> Result<LastChange, ReadError> {
    let (epoch, workspace, now) = (snapshot.epoch, snapshot.workspace, snapshot.now);
    let last_change = sqlx::query_as!(
        LastChange,
        r#"SELECT greatest(
               0,
               -- LIMIT: each mark is looked up by itself, however many there are.
               (SELECT max(m.position) FROM unnest($3::text[]) n (scope)
                CROSS JOIN LATERAL (SELECT position FROM read.scope_marks
                                    WHERE epoch = $1 AND workspace = $2 AND scope = n.scope LIMIT 1) m),
               (SELECT max(position) FROM read.campaigns WHERE epoch = $1 AND workspace = $2),
               (SELECT max(position) FROM read.campaign_sources WHERE epoch = $1 AND workspace = $2)
           ) AS "position!",
           (SELECT max(starts_at) FROM read.campaigns
            WHERE epoch = $1 AND workspace = $2 AND state = 'launched' AND starts_at <= $4) AS last_start,
           (SELECT min(starts_at) FROM read.campaigns
            WHERE epoch = $1 AND workspace = $2 AND state = 'launched' AND starts_at > $4) AS next_start"#,
        epoch,
        workspace,
        marks,
        now,
    )
    .fetch_one(snapshot.db())
    .await?;
    Ok(last_change)
}

async fn last_change_of_numbers(
    snapshot: &mut Snapshot,
    marks: &[String],
    by_feed: bool,
) -> Result<LastChange, ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let position = sqlx::query_scalar!(
        r#"SELECT greatest(
               0,
               -- LIMIT: each mark is looked up by itself, however many there are.
               (SELECT max(m.position) FROM unnest($3::text[]) n (scope)
                CROSS JOIN LATERAL (SELECT position FROM read.scope_marks
                                    WHERE epoch = $1 AND workspace = $2 AND scope = n.scope LIMIT 1) m),
               CASE WHEN $4 THEN (SELECT max(position) FROM read.campaign_sources
                                  WHERE epoch = $1 AND workspace = $2) END
           ) AS "position!""#,
        epoch,
        workspace,
        marks,
        by_feed,
    )
    .fetch_one(snapshot.db())
    .await?;
    Ok(LastChange { position, last_start: None, next_start: None })
}

async fn last_change_of_campaigns(
    snapshot: &mut Snapshot,
    marks: &NumberMarks,
    campaigns: &[Uuid],
) -> Result<LastChange, ReadError> {
    let of_campaigns = campaign_marks(campaigns, &marks.months);
    let (epoch, workspace, now) = (snapshot.epoch, snapshot.workspace, snapshot.now);
    let last_change = sqlx::query_as!(
        LastChange,
        r#"WITH watched AS MATERIALIZED (
               SELECT position, CASE WHEN state = 'launched' THEN starts_at END AS starts_at
               FROM read.campaigns WHERE epoch = $1 AND workspace = $2 AND campaign_id = ANY($5)
           )
           SELECT greatest(
               0,
               -- Nothing touched the numbers of these campaigns in the ranges later than either of these.
               least(
                   coalesce((SELECT max(position) FROM read.scope_marks
                             WHERE epoch = $1 AND workspace = $2 AND scope = ANY($3)), 0),
                   -- LIMIT: each mark is looked up by itself, however many there are.
                   coalesce((SELECT max(m.position) FROM unnest($6::text[]) n (scope)
                             CROSS JOIN LATERAL (SELECT position FROM read.scope_marks
                                                 WHERE epoch = $1 AND workspace = $2 AND scope = n.scope LIMIT 1) m),
                            0)),
               (SELECT max(position) FROM watched),
               -- OFFSET: by campaign, not backwards through all positions until one is met.
               (SELECT max(position) FROM (SELECT position FROM read.campaign_sources
                                           WHERE epoch = $1 AND workspace = $2 AND campaign_id = ANY($5) OFFSET 0) fed)
           ) AS "position!",
           (SELECT max(starts_at) FROM watched WHERE starts_at <= $4) AS last_start,
           (SELECT min(starts_at) FROM watched WHERE starts_at > $4) AS next_start"#,
        epoch,
        workspace,
        &of_campaigns,
        now,
        campaigns,
        &marks.of_workspace,
    )
    .fetch_one(snapshot.db())
    .await?;
    Ok(last_change)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{MAX_WATCHED, NumberMarks, Scope, campaign_marks};

    #[test]
    fn scope_of_many_campaigns_is_the_workspace() {
        let ids = |count: usize| (0..count).map(|n| Uuid::from_u128(n as u128));
        assert_eq!(Scope::of(ids(0)), Scope::Workspace);
        assert_eq!(Scope::of(ids(MAX_WATCHED)), Scope::Campaigns(ids(MAX_WATCHED).collect()));
        assert_eq!(Scope::of(ids(MAX_WATCHED + 1)), Scope::Workspace);
    }

    #[test]
    fn names_scope_marks_as_the_projection_does() {
        let months = ["2026-11".to_owned(), "2026-12".to_owned()];
        let of_workspace = NumberMarks::of_months(months.to_vec()).of_workspace;
        assert_eq!(of_workspace, ["month:2026-11", "month:2026-12"]);
        assert_eq!(
            campaign_marks(&[Uuid::from_u128(0xca01)], &months),
            [
                "campaign:00000000-0000-0000-0000-00000000ca01:2026-11",
                "campaign:00000000-0000-0000-0000-00000000ca01:2026-12",
            ]
        );
    }
}
