//! `read.plan_changes`: given what was decided of a campaign, then how its plan changed.

use domain::campaign::{Budget, BudgetPeriod, CampaignEvent, CampaignState};
use domain::money::Money;
use projections::catch_up;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::logs::{Log, at, campaign, changed, created, eur, pools};
use crate::support::replaying::rebuild;
use crate::support::rows::{everything, live_epoch, rows};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn budgets_and_states_are_rows(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let (id, when) = (campaign(1), at("2026-11-22T08:00:00Z"));
    let budget = Some(Budget { amount: Money { micros: 7_000_000_000, currency: eur() }, per: BudgetPeriod::Day });
    log.append(created(id)).await;
    for event in [
        CampaignEvent::CampaignBudgetSet { budget, at: when },
        CampaignEvent::CampaignLaunched { at: when },
        CampaignEvent::CampaignRenamed { name: "Boots".to_owned(), at: when },
        CampaignEvent::CampaignBudgetSet { budget: None, at: when },
        CampaignEvent::CampaignPaused { at: when },
        CampaignEvent::CampaignArchived { at: when },
        CampaignEvent::CampaignUnarchived { state: CampaignState::Paused, at: when },
    ] {
        log.append(changed(id, event)).await;
    }
    catch_up(&pool).await.unwrap();
    let found = rows(
        &admin,
        log.workspace,
        "plan_changes",
        "position, campaign_id, changed_at AT TIME ZONE 'UTC' AS at, state, budget_micros, budget_currency, budget_per",
    )
    .await;
    let row = |position: i64, state: Option<&str>, budget: Option<i64>| {
        json!({"position": position, "campaign_id": id.to_string(), "at": "2026-11-22T08:00:00", "state": state,
            "budget_micros": budget, "budget_currency": budget.map(|_| "EUR"), "budget_per": budget.map(|_| "day")})
    };
    assert_eq!(
        found.as_array().unwrap()[1..],
        [
            row(3, None, Some(7_000_000_000)),
            row(4, Some("launched"), None),
            row(6, None, None),
            row(7, Some("paused"), None),
            row(8, Some("archived"), None),
            row(9, Some("paused"), None),
        ]
    );
    let first = live_epoch(&admin, log.workspace).await;
    let before = everything(&admin, log.workspace, first, &[]).await;
    rebuild(&pool).await;
    let second = live_epoch(&admin, log.workspace).await;
    assert_eq!((second > first, everything(&admin, log.workspace, second, &[]).await), (true, before));
}
