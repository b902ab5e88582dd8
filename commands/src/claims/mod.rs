//! What the command side looks up or keeps unique, as claims: rows that an append asserts, takes or releases.
//!
//! | kind | key | owner | state |
//! | --- | --- | --- | --- |
//! | `source_name` | the name | source | its definition, how that changed, its version |
//! | `completeness` | source | source | the instant that it is complete through |
//! | `campaign` | campaign | campaign | `open`; in older logs also `archived <instant>`, which means the same |
//! | `external_campaign` | `<source name or *>\n<external id>` | campaign | empty |
//! | `statement` | `<source>/<series>/<grain>/<zone>/<bucket>/<campaign>` | source | measure -> [value?, stated ms] |
//! | `statement_breakdown` | the same, `<dimensions>/` before the bucket | source | rows of `statement`, by values |
//! | `correction` | `<UTC day>/<item id>` of a corrected observation | source | `[count, value]` that it comes to |
//! | `backfill` | `<source>/<name>` | source | its edge |
//! | `backfill_chunk` | `<source>/<name>/<number>` | source | its digest, and what became of its items |
//! | `created_campaigns` | `<UTC day>/<source>` | source | how many campaigns it created on that day |
//! | `statement_grain` | `<series>/<campaign>/<measure>` | source | `<grain> <zone>` |

mod lookup; // lookup of claims, with a cache
mod statement_keys; // the keys of what a source states

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use domain::campaign::{CampaignEvent, ExternalId};
use domain::ids::CampaignId;
use event_store::{Claim, ClaimEffect, ClaimPrecondition};
use uuid::Uuid;

pub(crate) use lookup::{CachePolicy, ClaimCache, ClaimReader, Key};
pub(crate) use statement_keys::{StatementKeys, kind_of};

pub(crate) const SOURCE_NAME: &str = "source_name";
pub(crate) const COMPLETENESS: &str = "completeness";
pub(crate) const CAMPAIGN: &str = "campaign";
pub(crate) const EXTERNAL_CAMPAIGN: &str = "external_campaign";
pub(crate) const STATEMENT: &str = "statement";
pub(crate) const STATEMENT_BREAKDOWN: &str = "statement_breakdown";
pub(crate) const CORRECTION: &str = "correction";
pub(crate) const BACKFILL: &str = "backfill";
pub(crate) const BACKFILL_CHUNK: &str = "backfill_chunk";
pub(crate) const CREATED_CAMPAIGNS: &str = "created_campaigns";
pub(crate) const STATEMENT_GRAIN: &str = "statement_grain";

/// All kinds that are looked up.
const KINDS: [&str; 11] = [
    SOURCE_NAME,
    COMPLETENESS,
    CAMPAIGN,
    EXTERNAL_CAMPAIGN,
    STATEMENT,
    STATEMENT_BREAKDOWN,
    CORRECTION,
    BACKFILL,
    BACKFILL_CHUNK,
    CREATED_CAMPAIGNS,
    STATEMENT_GRAIN,
];

/// The state of a campaign.
const OPEN: &str = "open";

/// How the claim of a source's completeness writes the instant.
pub(crate) fn completeness(through: DateTime<Utc>) -> String {
    through.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The key of an external id. A source's name contains no line feed, so the separator is unambiguous.
pub(crate) fn external_key(source: Option<&str>, id: &str) -> String {
    format!("{}\n{id}", source.unwrap_or("*"))
}

/// The external id in a key.
pub(crate) fn external_id(key: &str) -> &str {
    key.split_once('\n').map_or(key, |(_, id)| id)
}

/// The key of an observation's total. Days are dropped whole, so the day comes first.
pub(crate) fn correction_key(day: NaiveDate, id: Uuid) -> String {
    format!("{day}/{id}")
}

/// The changes of the claims of a campaign with `external_ids`, given these events.
pub(crate) fn of_campaign(campaign: CampaignId, external_ids: &[ExternalId], events: &[CampaignEvent]) -> Vec<Claim> {
    let owner = campaign.to_string();
    let before = keys(external_ids);
    let mut after = before.clone();
    let mut claims = Vec::new();
    for event in events {
        match event {
            CampaignEvent::CampaignCreated { external_ids, .. } => {
                claims.push(take(CAMPAIGN, owner.clone(), &owner, OPEN));
                after = keys(external_ids);
            }
            CampaignEvent::CampaignExternalIdsSet { external_ids, .. } => after = keys(external_ids),
            CampaignEvent::CampaignRenamed { .. }
            | CampaignEvent::CampaignRescheduled { .. }
            | CampaignEvent::CampaignTimeZoneChanged { .. }
            | CampaignEvent::CampaignCurrencyChanged { .. }
            | CampaignEvent::CampaignChannelsSet { .. }
            | CampaignEvent::CampaignBudgetSet { .. }
            | CampaignEvent::CampaignAttributesSet { .. }
            | CampaignEvent::CampaignLaunched { .. }
            | CampaignEvent::CampaignPaused { .. }
            | CampaignEvent::CampaignResumed { .. }
            | CampaignEvent::CampaignCompleted { .. }
            | CampaignEvent::CampaignArchived { .. }
            | CampaignEvent::CampaignUnarchived { .. } => {}
        }
    }
    claims.extend(before.difference(&after).map(|key| Claim {
        kind: EXTERNAL_CAMPAIGN,
        key: key.clone(),
        expect: ClaimPrecondition::Held { owner: owner.clone(), state: String::new() },
        then: ClaimEffect::Remove,
    }));
    claims.extend(after.difference(&before).map(|key| take(EXTERNAL_CAMPAIGN, key.clone(), &owner, "")));
    claims
}

fn keys(external_ids: &[ExternalId]) -> BTreeSet<String> {
    external_ids.iter().map(|external| external_key(external.source.as_deref(), &external.id)).collect()
}

/// Takes a claim that must have no owner yet.
pub(crate) fn take(kind: &'static str, key: String, owner: &str, state: &str) -> Claim {
    Claim {
        kind,
        key,
        expect: ClaimPrecondition::Absent,
        then: ClaimEffect::Put { owner: owner.to_owned(), state: state.to_owned() },
    }
}
