//! The numbers of the leaderboard by campaign, and the ranks that follow from them as the values of reports do.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use domain::measure::Measure;
use domain::money::Currency;
use domain::source::SourceRole;
use uuid::Uuid;

use super::pieces::Pieces;
use super::{LeaderboardQuery, RankedCampaign};
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::report::coverage::{Coverage, RatioSet};
use crate::report::measure_values::{MeasureTotals, ValueContext, currencies_stating};
use crate::report::partial;
use crate::report::query::RatioBasis;
use crate::report::value::Value;
use crate::report::warnings::{self, Overlap};
use crate::sources::{self, PeriodId, Source, SourcePeriods, periods_of};
use crate::warning::Warning;

/// The numbers of a workspace's campaigns over a window, and what warnings follow from them.
#[derive(Debug, Default)]
pub(super) struct LeaderboardNumbers {
    campaigns: BTreeMap<Uuid, CampaignNumbers>,
    /// By source, the measures of which it has numbers that count no longer, because another series holds their dates.
    pub(super) replaced: BTreeMap<Uuid, BTreeSet<&'static str>>,
    /// By source, the measures that it states for days other than the workspace's.
    pub(super) uncut: BTreeMap<Uuid, BTreeSet<&'static str>>,
}

/// The numbers of one campaign.
#[derive(Debug, Default)]
struct CampaignNumbers {
    name: String,
    /// The sources that ever fed it.
    feeding: BTreeSet<Uuid>,
    totals: MeasureTotals,
    /// Who states a measure of it in a piece between cuts.
    stated_in: BTreeMap<(Measure, usize), BTreeSet<PeriodId>>,
}

/// The ranked campaigns, and what warnings follow from their values.
#[derive(Debug)]
pub(super) struct Ranking {
    /// By currency and rank.
    pub(super) campaigns: Vec<(RankKey, RankedCampaign)>,
    /// How many campaigns have amounts of different currencies.
    pub(super) mixed: usize,
    /// The warnings about a ratio.
    pub(super) partial: Vec<Warning>,
}

/// The sort key of a ranked campaign: currency, rank, campaign.
pub(super) type RankKey = (String, i64, Uuid);

impl LeaderboardNumbers {
    /// The numbers of the query's measures by primary sources.
    pub(super) async fn load(
        snapshot: &mut Snapshot,
        query: &LeaderboardQuery,
        (measures, pieces): (&BTreeSet<Measure>, &Pieces),
        coverage: &Coverage,
    ) -> Result<Self, ReadError> {
        let (workspace, days) = (snapshot.workspace, query.window.days());
        let names: Vec<_> = measures.iter().map(|measure| measure.name().to_owned()).collect();
        let rows = sqlx::query!(
            r#"SELECT s.campaign_id AS "campaign_id!", s.source_id AS "source_id!", s.piece AS "piece!",
                      s.measure AS "measure!", s.value::text AS "value!", s.uncut AS "uncut!", c.name AS "name!",
                      c.sources AS "sources!"
               FROM read.leaderboard s
               JOIN read.leaderboard c
                 ON c.workspace = $1 AND c.days = 0 AND c.measure = '' AND c.campaign_id = s.campaign_id
               WHERE s.workspace = $1 AND s.days = $2 AND s.measure = ANY($3)"#,
            workspace,
            days,
            &names,
        )
        .fetch_all(snapshot.db())
        .await?;
        let mut numbers = Self::default();
        for row in rows {
            let measure: Measure = row.measure.parse().map_err(ReadError::corrupt)?;
            let piece = usize::try_from(row.piece).map_err(ReadError::corrupt)?;
            let source = pieces.source(row.source_id, piece);
            let primary = source.filter(|source| source.definition.role_of(measure) == SourceRole::Primary);
            let Some(period) = primary.map(Source::period_id) else { continue };
            if period.series != row.source_id {
                numbers.replaced.entry(period.source).or_default().insert(measure.name());
                continue;
            }
            if row.uncut {
                numbers.uncut.entry(period.source).or_default().insert(measure.name());
            }
            let campaign = numbers.campaigns.entry(row.campaign_id).or_insert_with(|| CampaignNumbers {
                name: row.name,
                feeding: row.sources.into_iter().collect(),
                ..CampaignNumbers::default()
            });
            campaign.stated_in.entry((measure, piece)).or_default().insert(period);
            let covered: RatioSet = coverage.among(period, &campaign.feeding);
            let value = row.value.parse().map_err(ReadError::corrupt)?;
            let added = campaign.totals.add_value(period, measure, covered, value);
            added.ok_or_else(|| ReadError::corrupt("a sum does not fit 128 bits"))?;
        }
        Ok(numbers)
    }

    /// The sources that state the same measure of the same campaign at the same time.
    pub(super) fn overlaps(&self, pieces: &Pieces) -> BTreeSet<Overlap> {
        let mut stating: BTreeMap<Measure, BTreeSet<PeriodId>> = BTreeMap::new();
        for ((measure, _), ids) in self.campaigns.values().flat_map(|campaign| &campaign.stated_in) {
            stating.entry(*measure).or_default().extend(ids);
        }
        let ids = warnings::may_overlap(stating).into_values().flatten().collect();
        let mut overlaps = BTreeSet::new();
        for (span, periods) in sources::segments(&ids, &pieces.periods, pieces.span) {
            for campaign in self.campaigns.values() {
                let mut together: BTreeMap<Measure, BTreeSet<PeriodId>> = BTreeMap::new();
                let stated = campaign.stated_in.iter().filter(|((_, piece), _)| pieces.begins_within(*piece, span));
                for ((measure, _), ids) in stated {
                    let held = ids.iter().filter(|id| periods.get(&id.source) == Some(id));
                    together.entry(*measure).or_default().extend(held);
                }
                overlaps.extend(together.into_iter().filter(|(_, ids)| ids.len() > 1));
            }
        }
        overlaps
    }

    /// The campaigns with a value, each currency ranked by itself. Equal values share a rank.
    pub(super) fn ranking(
        &self,
        query: &LeaderboardQuery,
        sources: &SourcePeriods,
        coverage: &Coverage,
    ) -> Result<Ranking, ReadError> {
        let (mut valued, mut mixed) = (BTreeMap::<Option<Currency>, Vec<_>>::new(), 0);
        for (id, campaign) in &self.campaigns {
            let (values, by_currency) = campaign.totals.values(
                &[query.measure],
                &ValueContext {
                    sources,
                    coverage,
                    is_of_one_source: false,
                    stating: &|measure, only| campaign.stating(sources, measure, only),
                },
            )?;
            mixed += usize::from(!by_currency.is_empty());
            for value in values {
                let (currency, number) = match value {
                    Value::Null => continue,
                    Value::Count(number) | Value::Millionths(number) => (None, number),
                    Value::Money(number, currency) => (Some(currency), number),
                };
                valued.entry(currency).or_default().push((Reverse(number), *id, value, campaign));
            }
        }
        let mut campaigns = Vec::new();
        for (currency, mut valued) in valued {
            valued.sort_unstable_by_key(|(number, id, ..)| (*number, *id));
            let currency = currency.map_or_else(String::new, String::from);
            let (mut rank, mut last) = (0, None);
            for (place, (number, campaign_id, value, campaign)) in (1..).zip(valued) {
                if last.replace(number) != Some(number) {
                    rank = place;
                }
                let ranked = RankedCampaign { rank, campaign_id, campaign: campaign.name.clone(), value };
                campaigns.push(((currency.clone(), rank, campaign_id), ranked));
            }
        }
        let numbers = self.campaigns.values().map(|campaign| &campaign.totals);
        Ok(Ranking { campaigns, mixed, partial: partial::warnings(coverage, sources, &numbers)? })
    }
}

impl CampaignNumbers {
    /// The currencies of the primary sources that feed it and state a measure.
    fn stating(&self, sources: &SourcePeriods, measure: Measure, only: Option<Currency>) -> BTreeSet<Currency> {
        let feeding = self.feeding.iter().flat_map(|id| periods_of(sources, *id));
        let primary = feeding.filter(|source| source.definition.role_of(measure) == SourceRole::Primary);
        currencies_stating(primary, measure, only)
    }
}

/// The coverage of the measure by the sources of the board.
pub(super) fn coverage(query: &LeaderboardQuery, sources: &SourcePeriods) -> Coverage {
    Coverage::new(&[query.measure], RatioBasis::Printed, sources, false)
}
