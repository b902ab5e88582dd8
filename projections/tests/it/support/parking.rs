//! What tests of parked parts share: events that cannot be applied, and numbers that the database refuses for a while.

use domain::bucket::{Bucket, Grain};
use domain::ids::CampaignId;
use domain::measure::Measure;
use domain::observation::ObservationType::Click;
use domain::source::SourceKind;
use sqlx::PgPool;

use crate::support::logs::{
    Log, Seen, TestEvent, at, campaign, completed, created, date, observed, registered, source, stated,
};

pub(crate) const NOON: &str = "2026-11-21T12:00:00Z";
/// What is forbidden of a campaign are numbers of this time.
pub(crate) const FORBIDDEN: &str = "2026-11-21T13:00:00Z";

pub(crate) fn click(id: CampaignId) -> Seen {
    (id, Click, at(NOON), 1, None)
}

pub(crate) fn bad(id: CampaignId) -> Seen {
    (id, Click, at(FORBIDDEN), 1, None)
}

/// A name that JSON can say and no text column can hold.
pub(crate) async fn renamed_to_nul(log: &mut Log, id: CampaignId) -> i64 {
    let name = r#"{"CampaignRenamed":{"name":"a\u0000b","at":"2026-11-01T00:00:00Z"}}"#;
    log.append_raw("campaign", &id.to_string(), "CampaignRenamed", name).await
}

/// A batch that does not decode.
pub(crate) async fn garbled(log: &mut Log, from: u128) -> i64 {
    log.append_raw("observations", &source(from).to_string(), "ObservationsRecorded", r#"{"source": 7}"#).await
}

pub(crate) async fn repair(admin: &PgPool, position: i64, payload: &str) {
    sqlx::query("UPDATE log.events SET payload = $1::json WHERE position = $2")
        .bind(payload)
        .bind(position)
        .execute(admin)
        .await
        .unwrap();
}

/// From now on the database refuses some numbers of a campaign, until it is allowed again.
pub(crate) async fn forbid(admin: &PgPool, id: CampaignId) {
    let rule = format!("CHECK (campaign_id <> '{id}' OR bucket <> '{FORBIDDEN}')");
    let sql = format!("ALTER TABLE read.rollup_15m ADD CONSTRAINT forbidden {rule} NOT VALID");
    sqlx::query(&sql).execute(admin).await.unwrap();
}

/// Of the parts of the table, too: an epoch that was made meanwhile has the rule by itself.
pub(crate) async fn allow(admin: &PgPool) {
    sqlx::query("ALTER TABLE read.rollup_15m DROP CONSTRAINT forbidden").execute(admin).await.unwrap();
    let parts: Vec<String> = sqlx::query_scalar(
        "SELECT conrelid::regclass::text FROM pg_constraint WHERE conname = 'forbidden' AND contype = 'c'",
    )
    .fetch_all(admin)
    .await
    .unwrap();
    for part in parts {
        sqlx::query(&format!("ALTER TABLE {part} DROP CONSTRAINT forbidden")).execute(admin).await.unwrap();
    }
}

/// Events of every kind, for two campaigns and three sources.
pub(crate) fn varied() -> Vec<TestEvent> {
    let both = [click(campaign(1)), click(campaign(2))];
    let day = Bucket::Day(date("2026-11-20"));
    let spent = [(Measure::Spend, 7_000_000)];
    let said = |id| (id, day, at("2026-11-21T00:00:00Z"), spent.as_slice());
    vec![
        created(campaign(1)),
        created(campaign(2)),
        registered(source(1), SourceKind::Push),
        registered(source(2), SourceKind::Pull),
        registered(source(3), SourceKind::Push),
        observed(source(1), &both),
        observed(source(3), &both),
        stated(source(2), Grain::Day, "Europe/Berlin", &[said(campaign(1)), said(campaign(2))]),
        completed(source(2), "2026-11-21T01:00:00Z", "2026-11-20T23:00:00Z", Grain::Day),
    ]
}
