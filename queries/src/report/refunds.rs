//! Money that is taken back in two ways: corrections take revenue off the day of the order, refunds are deducted on the
//! day on which they were paid. Net revenue of a source that does both for one order lacks the money twice.

use std::collections::BTreeSet;

use domain::measure::Measure;
use domain::observation::ObservationType;
use domain::source::SourceRole;
use uuid::Uuid;

use super::plan::Plan;
use super::query::ReportQuery;
use super::sum::Sum;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::sources::{Source, SourcePeriods, Sources, name_of};
use crate::warning::Warning;

/// The warning about sources that take money back in both ways, where net revenue is asked.
pub(super) async fn warning(
    snapshot: &mut Snapshot,
    query: &ReportQuery,
    (plan, sums): (&Plan, &[Sum]),
    (periods, sources): (&SourcePeriods, &Sources),
    campaigns: Option<&BTreeSet<Uuid>>,
) -> Result<Option<Warning>, ReadError> {
    let deducts = |measure: Measure| {
        let mut nets = query.measures.iter().filter_map(|measure| measure.net());
        nets.any(|net| net.deductions.contains(&measure))
    };
    if !deducts(Measure::Refunds) {
        return Ok(None);
    }
    let is_primary = |source: &Source| source.definition.role_of(Measure::Refunds) == SourceRole::Primary;
    let is_refunded = |sum: &&Sum| {
        sum.measure == Measure::Refunds && sum.value != 0 && periods.get(&sum.source).is_some_and(is_primary)
    };
    let refunding: BTreeSet<_> = sums.iter().filter(is_refunded).map(|sum| sum.source.source).collect();
    if refunding.is_empty() {
        return Ok(None);
    }
    let both = correcting(snapshot, &refunding, plan, campaigns).await?;
    if both.is_empty() {
        return Ok(None);
    }
    let names: BTreeSet<_> = both.into_iter().filter_map(name_of(sources)).collect();
    let names: Vec<_> = names.into_iter().map(str::to_owned).collect();
    let detail = format!(
        "{} takes revenue off orders by corrections, and states refunds, too. Where both are of one order, net revenue \
         lacks its money twice: send one of the two.",
        names.join(", ")
    );
    let measures = vec!["net_revenue"];
    Ok(Some(Warning { code: "refund_twice", detail, sources: names, measures, spend: None }))
}

/// Those of these sources whose corrections take revenue off orders of the range.
async fn correcting(
    snapshot: &mut Snapshot,
    sources: &BTreeSet<Uuid>,
    plan: &Plan,
    campaigns: Option<&BTreeSet<Uuid>>,
) -> Result<Vec<Uuid>, ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let (start, end) = plan.range().span;
    let sources: Vec<_> = sources.iter().copied().collect();
    let campaigns: Option<Vec<_>> = campaigns.map(|ids| ids.iter().copied().collect());
    let brings_revenue = |kind: &&ObservationType| kind.value_measure() == Some(Measure::Revenue);
    let types: Vec<_> = ObservationType::ALL.iter().filter(brings_revenue).map(|kind| kind.name().to_owned()).collect();
    let found = sqlx::query_scalar!(
        r#"SELECT a.source_id AS "source_id!" FROM unnest($3::uuid[]) AS a (source_id)
           WHERE EXISTS (
               SELECT FROM read.campaign_sources f
               JOIN read.corrections c ON c.epoch = $1 AND c.workspace = $2 AND c.campaign_id = f.campaign_id
               WHERE f.epoch = $1 AND f.workspace = $2 AND f.source_id = a.source_id
                 AND ($4::uuid[] IS NULL OR f.campaign_id = ANY($4))
                 AND c.bucket >= $5 AND c.bucket < $6 AND c.source_id = a.source_id AND c.type = ANY($7)
                 AND c.value_change < 0
           )"#,
        epoch,
        workspace,
        &sources,
        campaigns.as_deref(),
        start,
        end,
        &types,
    )
    .fetch_all(snapshot.db())
    .await?;
    Ok(found)
}
