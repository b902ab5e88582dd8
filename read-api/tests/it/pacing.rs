//! Whether a campaign spends its budget as its days pass.

use chrono::{DateTime, Utc};
use domain::bucket::Grain;
use domain::campaign::{Budget, BudgetPeriod, CampaignEvent};
use domain::measure::Measure;
use domain::money::Money;
use domain::observation::ObservationType::Spend;
use domain::source::{SourceKind, SourceRole};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::support::World;
use crate::support::given::{
    Given, at, campaign, changed, clicks, created, date, days, definition, observed, pulled, pushing, registered,
    stated,
};

const NOON: &str = "2026-11-22T12:00:00Z";

fn path() -> String {
    format!("/v1/campaigns/{}/pacing", campaign(1))
}

fn flight(from: &str, to: Option<&str>) -> Given {
    let (starts_on, ends_on) = (date(from), to.map(date));
    changed(1, CampaignEvent::CampaignRescheduled { starts_on, ends_on, at: at(NOON) })
}

fn budget(euros: i64, per: BudgetPeriod) -> Given {
    let amount = Money { micros: euros * 1_000_000, currency: "EUR".parse().unwrap() };
    changed(1, CampaignEvent::CampaignBudgetSet { budget: Some(Budget { amount, per }), at: at(NOON) })
}

fn spent(from: u128, when: &str, euros: i64) -> Given {
    observed(from, 1, &[(Spend, when, 1, Some(euros * 1_000_000))])
}

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

/// A campaign of ten days in Berlin, on the seventh: 5,000 EUR in all, or as a test says.
async fn shop(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    let mut analytics = definition("analytics", "organic_social", SourceKind::Push);
    analytics.role = SourceRole::Reference;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            flight("2026-11-16", Some("2026-11-25")),
            changed(1, CampaignEvent::CampaignLaunched { at: at(NOON) }),
            pushing(1, "tracker", "paid_search"),
            pulled(2, "google_ads", "paid_search"),
            registered(3, analytics),
        ])
        .await;
    world
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn whole_days_are_compared_with_the_budget(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    world
        .given([
            // The last instant of the 21st in Berlin, and the first of today.
            spent(1, "2026-11-21T22:59:59Z", 100),
            spent(1, "2026-11-21T23:00:00Z", 40),
            days(2, 1, &[("2026-11-17", &[(Measure::Spend, 1_400_000_000)])]),
            spent(3, "2026-11-20T10:00:00Z", 9_999),
        ])
        .await;
    let reply = world.get(&path()).await.ok();
    insta::assert_json_snapshot!(reply.body, @r#"
    {
      "data": {
        "budget": {
          "amount": "5000.000000",
          "currency": "EUR",
          "per": "total"
        },
        "budget_total": {
          "amount": "5000.000000",
          "currency": "EUR"
        },
        "campaign_id": "00000000-0000-0000-0000-00000000ca01",
        "daily_needed": {
          "amount": "875.000000",
          "currency": "EUR"
        },
        "daily_pace": {
          "amount": "250.000000",
          "currency": "EUR"
        },
        "days": 10,
        "elapsed_days": 6,
        "elapsed_share": 0.6,
        "ends_on": "2026-11-25",
        "exhausted_on": null,
        "expected": {
          "amount": "3000.000000",
          "currency": "EUR"
        },
        "index": 0.5,
        "paused_days": 0,
        "projected": {
          "amount": "2500.000000",
          "currency": "EUR"
        },
        "remaining_days": 4,
        "spent": {
          "amount": "1540.000000",
          "currency": "EUR"
        },
        "spent_before_today": {
          "amount": "1500.000000",
          "currency": "EUR"
        },
        "starts_on": "2026-11-16",
        "status": "active",
        "today": "2026-11-22"
      },
      "meta": {
        "currency": "EUR",
        "epoch": 1,
        "freshness": {
          "complete_through": null,
          "final_through": null,
          "first_incomplete": "2026-11-15T23:00:00Z",
          "sources": [
            {
              "complete_through": null,
              "final_through": null,
              "parked": 0,
              "role": "reference",
              "source": "analytics",
              "status": "never"
            },
            {
              "complete_through": null,
              "final_through": null,
              "parked": 0,
              "role": "primary",
              "source": "google_ads",
              "status": "never"
            },
            {
              "complete_through": null,
              "final_through": null,
              "parked": 0,
              "role": "primary",
              "source": "tracker",
              "status": "never"
            }
          ],
          "state": "live"
        },
        "last_changed_at": "2026-11-22T12:00:00Z",
        "model": "pacing",
        "query": {
          "campaign_id": "00000000-0000-0000-0000-00000000ca01"
        },
        "time_zone": "Europe/Berlin",
        "version": "11@1795348800000000.1795305600.0.9f7dc2e606889400",
        "warnings": [
          {
            "code": "grain_mismatch",
            "detail": "google_ads states days of UTC, which are not those of Europe/Berlin: each stands under its own date, uncut.",
            "measures": [
              "spend"
            ],
            "sources": [
              "google_ads"
            ]
          },
          {
            "code": "overlapping_primaries",
            "detail": "These primary sources state the same measures of the same campaign and channel, so totals add them. If they count the same thing, all but one of them should have the role reference.",
            "measures": [
              "spend"
            ],
            "sources": [
              "google_ads",
              "tracker"
            ]
          }
        ]
      }
    }
    "#);
    assert!(reply.header("data-freshness").starts_with("state=live"));
}

fn decided(event: impl FnOnce(DateTime<Utc>) -> CampaignEvent, when: &str) -> Given {
    changed(1, event(at(when)))
}

fn budget_at(euros: i64, per: BudgetPeriod, when: &str) -> Given {
    let amount = Money { micros: euros * 1_000_000, currency: "EUR".parse().unwrap() };
    decided(|at| CampaignEvent::CampaignBudgetSet { budget: Some(Budget { amount, per }), at }, when)
}

/// A campaign of the 6th to the 25th in Berlin with 100 EUR a day, which spent 100 EUR on each day before today.
async fn running(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            flight("2026-11-06", Some("2026-11-25")),
            budget_at(100, BudgetPeriod::Day, "2026-11-05T09:00:00Z"),
            decided(|at| CampaignEvent::CampaignLaunched { at }, "2026-11-05T10:00:00Z"),
            pushing(1, "tracker", "paid_search"),
        ])
        .await;
    world.given((6..22).map(|day| spent(1, &format!("2026-11-{day:02}T10:00:00Z"), 100))).await;
    world
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn each_day_has_the_budget_that_stood_on_it(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = running(options, connect).await;
    let held = world.get(&path()).await.ok();
    assert_eq!((&held.body["data"]["expected"], &held.body["data"]["index"]), (&eur("1600.000000"), &json!(1)));
    world.given([budget_at(200, BudgetPeriod::Day, "2026-11-22T08:00:00Z")]).await;
    let raised = world.get_with(&path(), &[("if-none-match", held.etag())]).await.ok();
    let data = &raised.body["data"];
    assert_eq!((&data["expected"], &data["index"]), (&eur("1600.000000"), &json!(1)));
    assert_eq!((&data["budget_total"], &data["daily_needed"]), (&eur("2400.000000"), &eur("200.000000")));
    // A replay gives the same answer.
    let stop = CancellationToken::new();
    projections::replay(&world.projector, "campaign_model", &world.replaying(), &|_| {}, stop).await.unwrap();
    assert_eq!(&world.get(&path()).await.ok().body["data"], data);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn paused_days_count_nothing_and_their_spend_is_a_warning(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = running(options, connect).await;
    assert_eq!(world.get(&path()).await.ok().warnings(), Vec::<&str>::new());
    world
        .given([
            decided(|at| CampaignEvent::CampaignPaused { at }, "2026-11-17T12:00:00Z"),
            decided(|at| CampaignEvent::CampaignResumed { at }, "2026-11-20T12:00:00Z"),
        ])
        .await;
    let reply = world.get(&path()).await.ok();
    let data = &reply.body["data"];
    assert_eq!((&data["elapsed_days"], &data["paused_days"]), (&json!(16), &json!(2)));
    assert_eq!((&data["expected"], &data["index"]), (&eur("1400.000000"), &json!(1.142_857)));
    assert_eq!(
        reply.body["meta"]["warnings"],
        json!([{
            "code": "spend_while_paused",
            "detail": "The campaign spent 200.000000 EUR on 2 days on which it was paused, archived or completed all day.",
            "measures": ["spend"],
            "spend": {
                "campaign_id": campaign(1).to_string(),
                "amount": eur("200.000000"),
                "dates": ["2026-11-18", "2026-11-19"]
            }
        }])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn pacing_changes_at_midnight_of_the_campaign(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    world.given([spent(1, "2026-11-21T10:00:00Z", 100), spent(1, "2026-11-22T10:00:00Z", 60)]).await;
    let held = world.get(&path()).await.ok();
    world.set_clock("2026-11-22T22:59:59Z");
    assert_eq!(world.get_with(&path(), &[("if-none-match", held.etag())]).await.status, 304);
    world.set_clock("2026-11-22T23:00:00Z");
    let next = world.get_with(&path(), &[("if-none-match", held.etag())]).await.ok();
    let member = |name: &str| next.body["data"][name].clone();
    assert_eq!(member("today"), json!("2026-11-23"));
    assert_eq!((member("elapsed_days"), member("spent_before_today")), (json!(7), eur("160.000000")));
    // Spend of any day moves it, and so do budget and dates; what only clicks does not.
    let mut last = next;
    for (moves, event) in [
        (true, spent(1, "2026-09-01T10:00:00Z", 1)),
        (true, budget(70, BudgetPeriod::Day)),
        (true, flight("2026-11-17", Some("2026-11-25"))),
    ] {
        world.given([event]).await;
        let again = world.get_with(&path(), &[("if-none-match", last.etag())]).await;
        assert_eq!(again.status == 200, moves);
        last = again.ok();
    }
    assert_eq!(last.body["data"]["spent"], eur("161.000000"));
    // Five of nine days of 5,000 in all, with which it was launched, and one day at 70.
    assert_eq!((&last.body["data"]["expected"], last.warnings()), (&eur("2847.777778"), vec![]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn unavailable_pacing_is_null_with_a_reason(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    world.given([clicks(1, 1, "2026-11-20T10:00:00Z", 5)]).await;
    let reply = world.get(&path()).await.ok();
    assert_eq!((&reply.body["data"]["spent"], reply.warnings()), (&json!(null), vec!["no_spend"]));
    assert_eq!(reply.body["data"]["expected"], eur("3000.000000"));
    world
        .given([
            changed(1, CampaignEvent::CampaignBudgetSet { budget: None, at: at(NOON) }),
            flight("2026-11-16", None),
            spent(1, "2026-11-20T10:00:00Z", 10),
        ])
        .await;
    let reply = world.get(&path()).await.ok();
    assert_eq!(reply.warnings(), ["no_budget", "no_end"]);
    let data = &reply.body["data"];
    for name in [
        "budget",
        "budget_total",
        "expected",
        "index",
        "projected",
        "exhausted_on",
        "daily_needed",
        "days",
        "elapsed_share",
    ] {
        assert_eq!(data[name], json!(null), "{name}");
    }
    assert_eq!((&data["spent"], &data["elapsed_days"]), (&eur("10.000000"), &json!(6)));
    assert_eq!(world.get(&format!("/v1/campaigns/{}/pacing", campaign(9))).await.problem(404), "not-found");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn other_currencies_are_neither_added_nor_compared(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    let mut dollars = definition("dollars", "paid_social", SourceKind::Push);
    dollars.currency = "USD".parse().unwrap();
    world.given([registered(4, dollars), spent(4, "2026-11-20T10:00:00Z", 10)]).await;
    let reply = world.get(&path()).await.ok();
    assert_eq!(reply.body["data"]["spent"], json!({"amount": "10.000000", "currency": "USD"}));
    assert_eq!((&reply.body["data"]["index"], reply.warnings()), (&json!(null), vec!["currency_mismatch"]));
    for (when, code) in [("2026-11-19T10:00:00Z", 1), ("2026-11-20T10:00:00Z", 1)] {
        world.given([spent(1, when, 5)]).await;
        let reply = world.get(&path()).await.ok();
        assert_eq!((&reply.body["data"]["spent"], &reply.body["data"]["projected"]), (&json!(null), &json!(null)));
        assert_eq!(reply.warnings().iter().filter(|warning| **warning == "mixed_currency").count(), code);
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn spend_outside_of_the_flight_counts(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    // Billed early, in another zone's days.
    world
        .given([stated(2, 1, Grain::Day, "Pacific/Kiritimati", &[("2026-08-01", &[(Measure::Spend, 7_000_000)])])])
        .await;
    let reply = world.get(&path()).await.ok();
    assert_eq!(reply.body["data"]["spent"], eur("7.000000"));
    assert_eq!(reply.body["data"]["daily_pace"], eur("0.000000"));
}
