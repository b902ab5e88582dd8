//! An ad account moves from UTC to Berlin and from dollars to euros: at a date that is past, and at one that comes.

use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Caller, TestSystem};

async fn source(caller: &Caller, name: &str, kind: &str) {
    let body = json!({
        "name": name, "channel": "paid_search", "kind": kind, "role": "primary",
        "time_zone": "UTC", "currency": "USD", "expected_delay_s": 3600, "restatement_horizon_s": 604_800
    });
    caller.post("/v1/sources", &body).await.expect(201);
}

fn totals(grain: &str, zone: &str, campaign: &str, spend: &[(&str, &str)]) -> Value {
    let statements: Vec<_> = spend
        .iter()
        .map(|(bucket, spend)| json!({"campaign_id": campaign, "bucket": bucket, "measures": {"spend": spend}}))
        .collect();
    json!({"source": "ads", "grain": grain, "time_zone": zone, "statements": statements})
}

/// Spend by day of Berlin, and the codes of the warnings.
async fn spend(caller: &Caller, source: &str, from: &str, to: &str) -> (Vec<String>, Vec<Value>) {
    caller.caught_up().await;
    let query = json!({
        "measures": ["spend"], "date_from": from, "date_to": to, "time_zone": "Europe/Berlin", "granularity": "day",
        "filters": {"source": [source]}
    });
    let answer = caller.post_read("/v1/reports", &query).await.expect(200);
    let amount = |money: &Value| match money {
        Value::Null => "none".to_owned(),
        money => format!("{} {}", money["amount"].as_str().unwrap(), money["currency"].as_str().unwrap()),
    };
    let rows = answer.body["data"].as_array().unwrap().iter().map(|row| amount(&row["spend"])).collect();
    let warnings = answer.body["meta"]["warnings"].as_array().unwrap().iter().map(|warning| warning["code"].clone());
    (rows, warnings.collect())
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn account_moves_to_another_zone_and_currency(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    source(&acme, "ads", "pull").await;
    let campaign = acme.campaign("Winter").await;
    let days = [("2026-11-16", "1"), ("2026-11-17", "2"), ("2026-11-18", "4"), ("2026-11-19", "8")];
    let sent = acme.post("/v1/statements", &totals("day", "UTC", &campaign, &days)).await.expect(200);
    assert_eq!(sent.body["accepted"], 4);

    // It moved on the 18th, and we are told on the 20th.
    let moved = json!({"time_zone": "Europe/Berlin", "currency": "EUR", "from": "2026-11-18", "reason": "sold"});
    acme.patch("/v1/sources/ads", &moved).await.expect(200);
    let (rows, warnings) = spend(&acme, "ads", "2026-11-16", "2026-11-19").await;
    assert_eq!(rows, ["1.000000 USD", "2.000000 USD"]);
    assert_eq!(
        warnings,
        ["grain_mismatch", "series_replaced"],
        "what was stated of the 18th and 19th counts no longer"
    );

    // The connector reads again, with a batch that reaches across the edge.
    let across = [("2026-11-17", "3"), ("2026-11-18", "5"), ("2026-11-19", "9")];
    let sent = acme.post("/v1/statements", &totals("day", "Europe/Berlin", &campaign, &across)).await.expect(200);
    assert_eq!((&sent.body["accepted"], &sent.body["results"][0]["reason"]), (&json!(2), &json!("zone_mismatch")));
    let sent = acme.post("/v1/statements", &totals("day", "UTC", &campaign, &across[..1])).await.expect(200);
    assert_eq!(sent.body["accepted"], 1);
    let (rows, warnings) = spend(&acme, "ads", "2026-11-16", "2026-11-19").await;
    assert_eq!(rows, ["1.000000 USD", "3.000000 USD", "5.000000 EUR", "9.000000 EUR"]);
    assert_eq!(warnings, ["grain_mismatch"]);

    // It will bill in dollars again, and by the hour, from the 22nd on.
    let coming = json!({"currency": "USD", "from": "2026-11-22"});
    acme.patch("/v1/sources/ads", &coming).await.expect(200);
    system.clock.advance(chrono::Duration::days(3));
    let hours = [("2026-11-21T22:00:00Z", "20"), ("2026-11-21T23:00:00Z", "40"), ("2026-11-22T08:00:00Z", "80")];
    let sent = acme.post("/v1/statements", &totals("hour", "Europe/Berlin", &campaign, &hours)).await.expect(200);
    // Its days of euros are stated, so an hour of them is not; Berlin's 22nd begins at 23:00Z.
    assert_eq!((&sent.body["accepted"], &sent.body["results"][0]["reason"]), (&json!(2), &json!("grain_conflict")));
    let (rows, _) = spend(&acme, "ads", "2026-11-19", "2026-11-22").await;
    assert_eq!(rows, ["9.000000 EUR", "120.000000 USD"]);

    // What an export no longer has is taken back, in euros as in dollars.
    let mut whole = totals("day", "Europe/Berlin", &campaign, &[("2026-11-18", "6")]);
    whole["replace"] = json!({"from": "2026-11-18", "to": "2026-11-23"});
    let sent = acme.post("/v1/statements", &whole).await.expect(200);
    assert_eq!((&sent.body["accepted"], &sent.body["retracted"]), (&json!(1), &json!(1)), "{sent:?}");
    let told = spend(&acme, "ads", "2026-11-16", "2026-11-23").await;
    assert_eq!(told.0, ["1.000000 USD", "3.000000 USD", "6.000000 EUR", "120.000000 USD"]);

    let shown = acme.get("/v1/freshness").await.expect(200);
    assert_eq!(shown.body["sources"].as_array().or(shown.body["data"]["sources"].as_array()).map(Vec::len), Some(1));
    // A rebuild says the same, and agrees row by row.
    system.verify().await;
    system.replay().await;
    assert_eq!(spend(&acme, "ads", "2026-11-16", "2026-11-23").await, told);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn shop_bills_in_another_currency_from_a_date_on(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    source(&acme, "shop", "push").await;
    let campaign = acme.campaign("Winter").await;
    acme.patch("/v1/sources/shop", &json!({"currency": "EUR", "from": "2026-11-20"})).await.expect(200);
    let spent = |id: &str, at: &str, value: &str| {
        json!({"id": id, "campaign_id": campaign, "type": "spend", "occurred_at": at,
               "value": value})
    };
    let batch = json!({"source": "shop", "observations": [
        spent("a", "2026-11-20T00:00:00Z", "1"),
        spent("b", "2026-11-19T23:59:59Z", "2"),
        json!({"id": "c", "type": "spend", "occurred_at": "2026-11-20T09:00:00Z", "adjusts": "b",
               "value": {"amount": "1.50", "currency": "USD"}}),
    ]});
    let sent = acme.post("/v1/observations", &batch).await.expect(200);
    assert_eq!(sent.body["accepted"], 3, "{sent:?}");
    // The 20th of UTC begins at one in Berlin.
    let query = |granularity: &str| {
        json!({"measures": ["spend"], "date_from": "2026-11-19", "date_to": "2026-11-20", "time_zone": "UTC",
               "granularity": granularity})
    };
    acme.caught_up().await;
    let by_day = acme.post_read("/v1/reports", &query("day")).await.expect(200).body;
    assert_eq!(by_day["data"][0]["spend"], json!({"amount": "1.500000", "currency": "USD"}), "{by_day}");
    assert_eq!(by_day["data"][1]["spend"], json!({"amount": "1.000000", "currency": "EUR"}), "{by_day}");
    let all = acme.post_read("/v1/reports", &query("all")).await.expect(200).body;
    assert_eq!(all["data"][0]["spend"], Value::Null);
    assert_eq!(all["data"][0]["by_currency"]["EUR"]["spend"]["amount"], "1.000000", "{all}");
    // The same again counts once.
    let again = acme.post("/v1/observations", &batch).await.expect(200);
    assert_eq!((&again.body["accepted"], &again.body["duplicates"]), (&json!(0), &json!(3)), "{again:?}");
    system.verify().await;
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn history_and_lasting_ids_lie_on_both_sides_of_a_move(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    let body = json!({
        "name": "shop", "channel": "paid_search", "kind": "push", "role": "primary", "id_scope": "window",
        "time_zone": "UTC", "currency": "USD", "expected_delay_s": 3600, "restatement_horizon_s": 604_800
    });
    acme.post("/v1/sources", &body).await.expect(201);
    let campaign = acme.campaign("Winter").await;
    acme.patch("/v1/sources/shop", &json!({"currency": "EUR", "from": "2026-11-20"})).await.expect(200);
    let spent = |id: &str, at: &str, value: &str| json!({"id": id, "campaign_id": campaign, "type": "spend", "occurred_at": at, "value": value});
    let send = async |path: &str, observations: Value| {
        let sent = acme.post(path, &json!({"source": "shop", "observations": observations})).await.expect(200);
        (sent.body["accepted"].as_i64().unwrap(), sent.body["duplicates"].as_i64().unwrap())
    };
    let both = json!([spent("a", "2026-11-20T00:00:00Z", "1"), spent("b", "2026-11-19T23:59:59Z", "2")]);
    assert_eq!(send("/v1/observations", both.clone()).await, (2, 0));
    assert_eq!(send("/v1/observations", both).await, (0, 2));
    // It had moved in May already, as it turns out.
    let earlier = json!({"time_zone": "UTC", "currency": "EUR", "from": "2026-05-10"});
    acme.patch("/v1/sources/shop", &earlier).await.expect(200);
    let old = json!([spent("o-1", "2026-05-09T12:00:00Z", "16"), spent("o-2", "2026-05-10T12:00:00Z", "32")]);
    let chunk = "/v1/observations?backfill=old&chunk=1&before=2026-06-01T00:00:00Z";
    assert_eq!(send(chunk, old.clone()).await, (2, 0));
    assert_eq!(send(chunk, old).await.0, 2, "the chunk is recorded once, and answered alike");
    acme.caught_up().await;
    let query = json!({"measures": ["spend"], "date_from": "2026-05-01", "date_to": "2026-05-31", "time_zone": "UTC",
                       "granularity": "all"});
    let told = acme.post_read("/v1/reports", &query).await.expect(200).body;
    let sums = &told["data"][0]["by_currency"];
    assert_eq!(sums["USD"]["spend"]["amount"], "16.000000", "{told}");
    assert_eq!(sums["EUR"]["spend"]["amount"], "32.000000", "{told}");
    system.verify().await;
    system.replay().await;
    assert_eq!(acme.post_read("/v1/reports", &query).await.expect(200).body["data"], told["data"]);
    system.stop().await;
}
