//! `read.dimension_values`: the values of a group that are kept, in the order of their first observation.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Group, RetainedValues, Values};

/// The stored values of a group.
#[derive(Debug, Default)]
pub(super) struct RetainedValueIndex {
    /// Whether each of the batch's values is kept already, by index.
    pub(super) kept: Vec<bool>,
    /// The number of values that are kept.
    pub(super) count: i32,
    /// The limit of kept values.
    pub(super) most: i32,
}

/// Loads the stored values of each group. A group is counted only if the batch has a value that is not kept.
pub(super) async fn known(
    projection: &str,
    epoch: i32,
    groups: &BTreeMap<&Group, &Values>,
    conn: &mut PgConnection,
) -> Result<Vec<RetainedValueIndex>, sqlx::Error> {
    let most = sqlx::query_scalar!(
        "SELECT dimension_values FROM read.epochs WHERE projection = $1 AND epoch = $2",
        projection,
        epoch
    )
    .fetch_one(&mut *conn)
    .await?;
    let mut known: Vec<RetainedValueIndex> = groups
        .values()
        .map(|values| RetainedValueIndex { kept: vec![false; values.in_order.len()], count: 0, most })
        .collect();
    let mut asked = ValueQuery::default();
    for (index, (group, values)) in (0_i32..).zip(groups) {
        for (place, (value, _)) in (0_i32..).zip(&values.in_order) {
            asked.push(group, value, (index, place));
        }
    }
    let rows = sqlx::query!(
        r#"SELECT a.place AS "place!", a.of_group AS "of_group!"
           FROM unnest($2::integer[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::integer[], $8::integer[])
                AS a (workspace, dimension, campaign_id, source_id, value, of_group, place)
           JOIN read.dimension_values v
             ON v.epoch = $1 AND v.workspace = a.workspace AND v.campaign_id = a.campaign_id
                 AND v.source_id = a.source_id
            AND v.dimension = a.dimension AND v.value = a.value"#,
        epoch,
        &asked.workspaces,
        &asked.dimensions,
        &asked.campaigns,
        &asked.sources,
        &asked.values,
        &asked.groups,
        &asked.places
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        let group = usize::try_from(row.of_group).ok().and_then(|index| known.get_mut(index));
        let place = usize::try_from(row.place).ok();
        if let Some(kept) = group.zip(place).and_then(|(group, place)| group.kept.get_mut(place)) {
            *kept = true;
        }
    }
    count(epoch, groups, &mut known, conn).await?;
    Ok(known)
}

/// Counts the values of the groups in which the batch has one that is not kept.
async fn count(
    epoch: i32,
    groups: &BTreeMap<&Group, &Values>,
    known: &mut [RetainedValueIndex],
    conn: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    let mut asked = ValueQuery::default();
    for ((index, group), known) in (0_i32..).zip(groups.keys()).zip(&*known) {
        if known.kept.contains(&false) {
            asked.push(group, "", (index, 0));
        }
    }
    if asked.workspaces.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        r#"SELECT a.of_group AS "of_group!", last.rank AS "rank!"
           FROM unnest($2::integer[], $3::text[], $4::uuid[], $5::uuid[], $6::integer[])
                AS a (workspace, dimension, campaign_id, source_id, of_group)
           CROSS JOIN LATERAL (
               SELECT v.rank FROM read.dimension_values v
               WHERE v.epoch = $1 AND v.workspace = a.workspace AND v.campaign_id = a.campaign_id
                 AND v.source_id = a.source_id AND v.dimension = a.dimension
               ORDER BY v.rank DESC LIMIT 1
           ) last"#,
        epoch,
        &asked.workspaces,
        &asked.dimensions,
        &asked.campaigns,
        &asked.sources,
        &asked.groups
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        if let Some(known) = usize::try_from(row.of_group).ok().and_then(|index| known.get_mut(index)) {
            known.count = row.rank;
        }
    }
    Ok(())
}

/// Values of groups to look up, column by column.
#[derive(Debug, Default)]
struct ValueQuery {
    workspaces: Vec<i32>,
    dimensions: Vec<String>,
    campaigns: Vec<Uuid>,
    sources: Vec<Uuid>,
    values: Vec<String>,
    groups: Vec<i32>,
    places: Vec<i32>,
}

impl ValueQuery {
    fn push(&mut self, group: &Group, value: &str, (index, place): (i32, i32)) {
        self.workspaces.push(group.workspace);
        self.dimensions.push(group.dimension.name().to_owned());
        self.campaigns.push(group.campaign.0);
        self.sources.push(group.series.0);
        self.values.push(value.to_owned());
        self.groups.push(index);
        self.places.push(place);
    }
}

/// Stores the values that are kept from now on.
pub(super) async fn keep(
    epoch: i32,
    chosen: &[RetainedValues<'_>],
    conn: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    let mut added = ValueQuery::default();
    for chosen in chosen {
        for &(value, rank) in &chosen.added {
            added.push(&chosen.group, value, (0, rank));
        }
    }
    if added.workspaces.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO read.dimension_values (epoch, workspace, dimension, campaign_id, source_id, value, rank)
         SELECT $1, * FROM unnest($2::integer[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::integer[])",
        epoch,
        &added.workspaces,
        &added.dimensions,
        &added.campaigns,
        &added.sources,
        &added.values,
        &added.places
    )
    .execute(conn)
    .await?;
    Ok(())
}
