//! The read models, one file each, and the projection that they make up.
//!
//! Every view's file says what its rows are. It also says why they depend neither on how the log was cut into batches
//! nor on the order between streams.

mod activity; // the changes of a campaign, and their authors
mod breakdowns; // stated totals by dimension, and the totals that follow from them
mod campaign_sources; // the sources that feed a campaign
mod campaigns;
mod corrections; // the effect of each correction of an observation
mod dimensions; // pushed observations by one dimension at a time
mod insert_hint; // which rows are certainly new
mod months; // months of tables, made before rows are written
mod observed; // the campaigns and months of a batch of observations
mod plan_changes; // the changes of a campaign's budget and state
mod rollups; // pushed observations, summed
mod scope_marks; // the last event that touched each scope
mod source_arrivals; // when observations last came
mod source_grains; // in which grains and zones a source states its totals
mod source_measures; // which measures a source states
mod source_syncs; // a source's own runs
mod sources;
mod statements; // stated totals, the newest per key
mod workspaces;

use crate::engine::{Projection, View};

/// The core projection: the tables that readers combine into campaigns, metrics and freshness, under one checkpoint.
pub static CAMPAIGN_MODEL: Projection = Projection {
    name: "campaign_model",
    version: 10,
    tables: &[
        "workspaces",
        "campaigns",
        "sources",
        "source_syncs",
        "source_runs",
        "source_changes",
        "source_measures",
        "source_arrivals",
        "source_grains",
        "campaign_sources",
        "rollup_15m",
        "rollup_hourly",
        "rollup_daily",
        "dimension_values",
        "dimension_totals",
        "corrections",
        "statements",
        "breakdowns",
        "activity",
        "plan_changes",
        "scope_marks",
    ],
    views: campaign_model,
};

fn campaign_model() -> Vec<Box<dyn View>> {
    vec![
        Box::new(workspaces::Workspaces::default()),
        Box::new(campaigns::Campaigns::default()),
        Box::new(sources::Sources::default()),
        Box::new(source_syncs::SourceSyncs::default()),
        Box::new(source_measures::SourceMeasures::default()),
        Box::new(source_arrivals::SourceArrivals::default()),
        Box::new(source_grains::SourceGrains::default()),
        Box::new(campaign_sources::CampaignSources::default()),
        Box::new(rollups::Rollups::default()),
        Box::new(dimensions::Dimensions::of(CAMPAIGN_MODEL.name)),
        Box::new(corrections::Corrections::default()),
        Box::new(statements::Statements::default()),
        Box::new(breakdowns::Breakdowns::default()),
        Box::new(activity::Activity::default()),
        Box::new(plan_changes::PlanChanges::default()),
        Box::new(scope_marks::ScopeMarks::default()),
    ]
}
