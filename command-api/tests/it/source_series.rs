//! A source moves on to another time zone or currency from a date on: a series begins.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Api, Call, Reply};

async fn patch(api: &Api, name: &str, body: &Value) -> Reply {
    api.call(Call::new(Method::PATCH, &format!("/v1/sources/{name}")).json(body)).await
}

/// It is 21 November 2026, 22:00Z. The sources `ads` (pull) and `shop` (push) are in Berlin and in euros.
async fn start(pool: PgPool) -> (Api, Uuid) {
    let api = Api::start(pool).await;
    api.source("ads", "pull").await;
    api.source("shop", "push").await;
    let campaign = api.campaign(&json!([])).await;
    (api, campaign)
}

fn days(zone: &str, of: Uuid, spend: &[(&str, Value)]) -> Value {
    let day = |(day, spend): &(&str, Value)| json!({"campaign_id": of, "bucket": day, "measures": {"spend": spend}});
    let statements: Vec<_> = spend.iter().map(day).collect();
    json!({"source": "ads", "grain": "day", "time_zone": zone, "statements": statements})
}

fn money(amount: &str, currency: &str) -> Value {
    json!({"amount": amount, "currency": currency})
}

/// Series, currency and number of items of each batch in the log, with 0 for the first series.
async fn batches(api: &Api) -> Vec<(u8, String, usize)> {
    let payloads: Vec<String> = sqlx::query_scalar(
        "SELECT payload::text FROM log.events WHERE workspace = 1 AND aggregate_type IN ('observations', 'statements')
         ORDER BY position",
    )
    .fetch_all(&api.pool)
    .await
    .unwrap();
    let batch = |text: &String| {
        let payload: Value = serde_json::from_str(text).unwrap();
        let items = payload["observations"].as_array().or(payload["statements"].as_array()).unwrap().len();
        (u8::from(!payload["series"].is_null()), payload["currency"].as_str().unwrap().to_owned(), items)
    };
    payloads.iter().map(batch).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn zone_and_currency_change_from_a_date_on(pool: PgPool) {
    let (api, _) = start(pool).await;
    let body = json!({"time_zone": "America/New_York", "currency": "USD", "from": "2026-11-01"});
    let reply = patch(&api, "ads", &body).await;
    assert_eq!((reply.status, reply.header("etag")), (StatusCode::OK, Some("\"2\"")), "{reply}");
    assert_eq!(patch(&api, "ads", &body).await.header("etag"), Some("\"2\""), "the same again changes nothing");
    let coming = patch(&api, "ads", &json!({"currency": "CAD", "from": "2027-01-01"})).await;
    assert_eq!(coming.header("etag"), Some("\"3\""), "{coming}");

    let shown = api.call(Call::new(Method::GET, "/v1/sources/ads")).await.body;
    assert_eq!((&shown["time_zone"], &shown["currency"]), (&json!("America/New_York"), &json!("USD")));
    assert_eq!(
        shown["series"],
        json!([
            {"time_zone": "Europe/Berlin", "currency": "EUR", "from": null, "until": "2026-11-01"},
            {"time_zone": "America/New_York", "currency": "USD", "from": "2026-11-01", "until": "2027-01-01"},
            {"time_zone": "America/New_York", "currency": "CAD", "from": "2027-01-01", "until": null},
        ])
    );
    let half = patch(&api, "ads", &json!({"currency": "GBP", "from": "2026-12-01"})).await;
    assert_eq!((half.code(), half.field()), ("series-follows", "from"), "{half}");
    assert!(half.body["detail"].as_str().unwrap().contains("2027-01-01"), "{half}");

    let entries = api.call(Call::new(Method::GET, "/v1/sources/ads/activity")).await.body;
    assert_eq!(
        entries["data"][1]["changes"],
        json!({"time_zone": {"from": "Europe/Berlin", "to": "America/New_York"},
               "currency": {"from": "EUR", "to": "USD"}, "series_from": {"from": null, "to": "2026-11-01"}})
    );
    for (body, field) in [(json!({"time_zone": "Mars/Olympus"}), "time_zone"), (json!({"currency": "usd"}), "currency")]
    {
        let reply = patch(&api, "ads", &body).await;
        assert_eq!((reply.status, reply.field()), (StatusCode::UNPROCESSABLE_ENTITY, field), "{reply}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn statements_are_of_the_series_of_their_dates(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    patch(&api, "ads", &json!({"currency": "USD", "from": "2026-11-20"})).await;
    let body = days(
        "Europe/Berlin",
        campaign,
        &[
            ("2026-11-20", money("7.50", "USD")),
            ("2026-11-19", money("40.00", "EUR")),
            ("2026-11-20", money("8.00", "EUR")),
            ("2026-11-21", json!("1.25")),
        ],
    );
    let sent = api.call(Call::post("/v1/statements").json(&body).once("both")).await;
    assert_eq!(
        (sent.counts(), sent.results()),
        ([3, 0, 0, 1], vec!["2 rejected currency_mismatch".to_owned()]),
        "{sent}"
    );
    let detail = sent.body["results"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("USD"), "the error names the currency of the series: {detail}");
    assert_eq!(batches(&api).await, [(1, "USD".to_owned(), 2), (0, "EUR".to_owned(), 1)]);
    let again = api.call(Call::post("/v1/statements").json(&body).once("both")).await;
    assert_eq!(again.body, sent.body, "the receipt is of the whole request");
    assert_eq!(api.post("/v1/statements", &body).await.counts(), [0, 3, 0, 1]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn statement_in_another_zone_than_its_series_is_refused(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let other = api.campaign(&json!([])).await;
    assert_eq!(
        api.post("/v1/statements", &days("UTC", other, &[("2026-11-18", json!(1))])).await.counts(),
        [1, 0, 0, 0]
    );
    patch(&api, "ads", &json!({"time_zone": "UTC", "from": "2026-11-20"})).await;
    let both = [("2026-11-19", json!(1)), ("2026-11-20", json!(2))];
    let sent = api.post("/v1/statements", &days("UTC", campaign, &both)).await;
    assert_eq!((sent.counts(), sent.results()), ([1, 0, 0, 1], vec!["0 rejected zone_mismatch".to_owned()]), "{sent}");
    let detail = sent.body["results"][0]["detail"].as_str().unwrap();
    assert_eq!(
        detail,
        "is of a day that the source states in Europe/Berlin before 2026-11-20, and the batch is in UTC"
    );
    let sent = api.post("/v1/statements", &days("Europe/Berlin", campaign, &both)).await;
    assert_eq!(sent.results(), ["1 rejected zone_mismatch"], "{sent}");
    // What the first series stated in a zone of its own goes on there.
    assert_eq!(
        api.post("/v1/statements", &days("UTC", other, &[("2026-11-18", json!(3))])).await.counts(),
        [1, 0, 0, 0]
    );
    // Hours lie where they begin: Berlin's last hour before UTC's 20th is of its 20th.
    let hours = json!({"source": "ads", "grain": "hour", "time_zone": "Europe/Berlin", "statements": [
        {"campaign_id": campaign, "bucket": "2026-11-19T23:00:00Z", "measures": {"clicks": 1}},
        {"campaign_id": campaign, "bucket": "2026-11-20T00:00:00Z", "measures": {"clicks": 1}},
    ]});
    assert_eq!(api.post("/v1/statements", &hours).await.results(), ["1 rejected zone_mismatch"]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn replacement_keeps_to_the_series_of_its_buckets(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let stated = [("2026-11-18", json!(1)), ("2026-11-19", json!(2)), ("2026-11-20", json!(3))];
    api.post("/v1/statements", &days("Europe/Berlin", campaign, &stated)).await;
    patch(&api, "ads", &json!({"currency": "USD", "from": "2026-11-19"})).await;
    // What was stated in euros of the 19th and 20th counts no longer, so it is stated anew, and no duplicate.
    let anew = days("Europe/Berlin", campaign, &[("2026-11-19", json!(2)), ("2026-11-20", json!(4))]);
    assert_eq!(api.post("/v1/statements", &anew).await.counts(), [2, 0, 0, 0]);
    let mut whole = days("Europe/Berlin", campaign, &[("2026-11-20", json!(5))]);
    whole["replace"] = json!({"from": "2026-11-18", "to": "2026-11-20"});
    let replaced = api.post("/v1/statements", &whole).await;
    assert_eq!((replaced.counts(), &replaced.body["retracted"]), ([1, 0, 0, 0], &json!(2)), "{replaced}");
    let last: Vec<_> = batches(&api).await.into_iter().rev().take(2).collect();
    assert_eq!(last, [(0, "EUR".to_owned(), 1), (1, "USD".to_owned(), 2)], "the 18th in euros, the others in dollars");

    patch(&api, "ads", &json!({"time_zone": "UTC", "from": "2026-11-21"})).await;
    whole["replace"] = json!({"from": "2026-11-20", "to": "2026-11-21"});
    let refused = api.post("/v1/statements", &whole).await;
    assert_eq!((refused.status, refused.field()), (StatusCode::UNPROCESSABLE_ENTITY, "replace"), "{refused}");
    assert!(refused.to_string().contains("in UTC from 2026-11-21: replace those by themselves"), "{refused}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn date_alone_frees_the_grain(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    api.post("/v1/statements", &days("Europe/Berlin", campaign, &[("2026-11-18", json!(1))])).await;
    let hour = json!({"source": "ads", "grain": "hour", "time_zone": "Europe/Berlin", "statements": [
        {"campaign_id": campaign, "bucket": "2026-11-20T08:00:00Z", "measures": {"spend": 1}}]});
    assert_eq!(api.post("/v1/statements", &hour).await.results(), ["0 rejected grain_conflict"]);
    let reply = patch(&api, "ads", &json!({"from": "2026-11-20"})).await;
    assert_eq!(reply.header("etag"), Some("\"2\""), "{reply}");
    assert_eq!(api.post("/v1/statements", &hour).await.counts(), [1, 0, 0, 0]);
    assert_eq!(patch(&api, "ads", &json!({"from": "2026-11-20"})).await.header("etag"), Some("\"2\""));
    let entries = api.call(Call::new(Method::GET, "/v1/sources/ads/activity")).await.body;
    assert_eq!(entries["data"][0]["changes"], json!({"series_from": {"from": null, "to": "2026-11-20"}}));
}

fn spend(id: &str, of: Uuid, at: &str, value: &Value) -> Value {
    json!({"id": id, "campaign_id": of, "type": "spend", "occurred_at": at, "value": value})
}

fn shop(observations: &[Value]) -> Value {
    json!({"source": "shop", "observations": observations})
}

/// Dollars begin with Berlin's 21st, at 23:00Z of the 20th.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn observations_are_of_the_series_of_their_instants(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    patch(&api, "shop", &json!({"currency": "USD", "from": "2026-11-21"})).await;
    let before = |id: &str, value: Value| spend(id, campaign, "2026-11-20T22:59:00Z", &value);
    let after = |id: &str, value: Value| spend(id, campaign, "2026-11-20T23:00:00Z", &value);
    let sent = api
        .post(
            "/v1/observations",
            &shop(&[
                after("a", money("1", "USD")),
                before("b", money("2", "EUR")),
                after("c", money("3", "EUR")),
                before("d", json!(4)),
            ]),
        )
        .await;
    assert_eq!(
        (sent.counts(), sent.results()),
        ([3, 0, 0, 1], vec!["2 rejected currency_mismatch".to_owned()]),
        "{sent}"
    );
    assert_eq!(batches(&api).await, [(1, "USD".to_owned(), 1), (0, "EUR".to_owned(), 2)]);
    // Each item's result is under its own index, whatever event it would have been in.
    let body = shop(&[after("a", json!(1)), before("b", json!(9)), before("e", json!(5)), after("f", json!(6))]);
    let again = api.call(Call::post("/v1/observations").json(&body).once("k")).await;
    assert_eq!(again.counts(), [2, 1, 1, 0], "{again}");
    assert_eq!(again.results(), ["0 duplicate already_recorded", "1 conflict other_content"]);
    assert_eq!(again.body["results"][0]["id"], "a");
    let replayed = api.call(Call::post("/v1/observations").json(&body).once("k")).await;
    assert_eq!(replayed.body, again.body);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn correction_is_of_the_series_of_its_original(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let early = spend("early", campaign, "2026-11-20T12:00:00Z", &money("2", "EUR"));
    let late = spend("late", campaign, "2026-11-21T12:00:00Z", &money("3", "EUR"));
    api.post("/v1/observations", &shop(&[early, late])).await;
    patch(&api, "shop", &json!({"currency": "USD", "from": "2026-11-21"})).await;
    let adjust = |id: &str, of: &str, value: Value| {
        json!({"id": id, "type": "spend", "occurred_at": "2026-11-21T21:00:00Z", "adjusts": of,
               "value": value})
    };
    let sent = api
        .post(
            "/v1/observations",
            &shop(&[
                adjust("1", "early", money("1", "EUR")),
                adjust("2", "early", money("1", "USD")),
                // It was recorded in euros, of a day that is in dollars now: neither it nor this counts.
                adjust("3", "late", money("1", "EUR")),
                spend("new", campaign, "2026-11-21T20:00:00Z", &money("5", "USD")),
                adjust("4", "new", money("4", "USD")),
            ]),
        )
        .await;
    assert_eq!(
        (sent.counts(), sent.results()),
        ([4, 0, 0, 1], vec!["1 rejected currency_mismatch".to_owned()]),
        "{sent}"
    );
    assert_eq!(batches(&api).await[1..], [(0, "EUR".to_owned(), 2), (1, "USD".to_owned(), 2)]);
}

/// An instant is the same in every zone: what is pushed goes on, and an id stays taken.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn pushed_numbers_go_on_in_another_zone(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let sale = || shop(&[spend("a", campaign, "2026-11-20T12:00:00Z", &json!(2))]);
    assert_eq!(api.post("/v1/observations", &sale()).await.counts(), [1, 0, 0, 0]);
    patch(&api, "shop", &json!({"time_zone": "UTC", "from": "2026-11-01"})).await;
    assert_eq!(api.post("/v1/observations", &sale()).await.counts(), [0, 1, 0, 0]);
    api.post("/v1/observations", &shop(&[spend("b", campaign, "2026-11-20T12:00:00Z", &json!(2))])).await;
    assert_eq!(batches(&api).await, [(0, "EUR".to_owned(), 1), (0, "EUR".to_owned(), 1)]);
}
