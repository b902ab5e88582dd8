//! The read models, one file each, and the projection that they make up.
//!
//! Every view's file says what its rows are, and why they depend neither on how the log was cut into batches nor on the
//! order between streams.

mod activity; // who did what to a campaign
mod campaign_sources; // which sources feed a campaign
mod campaigns;
mod corrections; // what each correction of an observation did
mod dimensions; // pushed observations by one dimension at a time
mod insert_hint; // which rows cannot be there yet
mod months; // months of tables, made before rows are written
mod observed; // what a batch of observations names
mod rollups; // pushed observations, summed
mod scope_marks; // the last event that touched each scope
mod source_completions; // when a source said that it was complete, through when
mod source_grains; // in which grains and zones a source states its totals
mod source_syncs; // a source's own runs
mod sources;
mod statements; // stated totals, the newest per key
mod workspaces;

use crate::engine::{Projection, View};

/// The core one: what readers combine into campaigns, metrics and freshness, under one checkpoint.
pub static CAMPAIGN_MODEL: Projection = Projection {
    name: "campaign_model",
    version: 6,
    tables: &[
        "workspaces",
        "campaigns",
        "sources",
        "source_syncs",
        "source_completions",
        "source_grains",
        "campaign_sources",
        "rollup_15m",
        "rollup_hourly",
        "rollup_daily",
        "dimension_values",
        "dimension_totals",
        "corrections",
        "statements",
        "activity",
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
        Box::new(source_completions::SourceCompletions::default()),
        Box::new(source_grains::SourceGrains::default()),
        Box::new(campaign_sources::CampaignSources::default()),
        Box::new(rollups::Rollups::default()),
        Box::new(dimensions::Dimensions::of(CAMPAIGN_MODEL.name)),
        Box::new(corrections::Corrections::default()),
        Box::new(statements::Statements::default()),
        Box::new(activity::Activity::default()),
        Box::new(scope_marks::ScopeMarks::default()),
    ]
}
