//! The life of a source: its settings change from a date on, it ends and resumes, and completeness never moves back in
//! silence.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Api, Call, Reply, source};

async fn patch(api: &Api, body: &Value) -> Reply {
    api.call(Call::new(Method::PATCH, "/v1/sources/ads").json(body)).await
}

async fn show(api: &Api) -> Value {
    api.call(Call::new(Method::GET, "/v1/sources/ads")).await.body
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn changes_settings_from_a_date_on(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("ads", "pull").await;
    let reply = patch(&api, &json!({"horizons": {"conversions": "month_end + 40d"}, "from": "2026-11-01"})).await;
    assert_eq!((reply.status, reply.header("etag")), (StatusCode::OK, Some("\"2\"")), "{reply}");
    // The same again changes nothing.
    let again = patch(&api, &json!({"horizons": {"conversions": "month_end + 40d"}, "from": "2026-11-01"})).await;
    assert_eq!(again.header("etag"), Some("\"2\""));
    assert_eq!(api.log().await, ["1 source 1 SourceRegistered", "2 source 2 SourceChanged"]);

    let shown = show(&api).await;
    let horizons = |settings: &Value| settings["horizons"].clone();
    assert_eq!(horizons(&shown["settings"]), json!({"delivery": 2_592_000, "conversions": "month_end + 40d"}));
    assert_eq!(shown["history"].as_array().unwrap().len(), 2);
    assert_eq!(horizons(&shown["history"][0]), json!({"delivery": 2_592_000, "conversions": 2_592_000}));
    assert_eq!(shown["history"][1]["from"], "2026-11-01");
    let listed = api.call(Call::new(Method::GET, "/v1/sources")).await;
    assert_eq!(listed.body["data"], json!([shown]));
    // Whoever registers at each start need not know that it was changed since.
    assert_eq!(api.post("/v1/sources", &source("ads", "pull")).await.status, StatusCode::OK);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn horizons_are_shown_as_they_are_sent(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("ads", "pull").await;
    let sent = json!({"delivery": 259_200, "conversions": "month_end + 40d", "leads": 864_000});
    assert_eq!(patch(&api, &json!({"horizons": sent})).await.status, StatusCode::OK);
    let shown = show(&api).await["settings"]["horizons"].clone();
    assert_eq!(shown, sent);
    let version = show(&api).await["version"].clone();
    assert_eq!(patch(&api, &json!({"horizons": shown})).await.status, StatusCode::OK);
    assert_eq!(show(&api).await["version"], version);
    let activity = api.call(Call::new(Method::GET, "/v1/sources/ads/activity")).await;
    assert_eq!(activity.body["data"][0]["changes"]["horizons"]["to"], sent);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn changes_channel_and_roles_from_a_date_on(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("ads", "pull").await;
    let body = json!({"channel": "facebook", "role": "reference", "measure_roles": {"spend": "primary"},
                      "from": "2026-01-01", "reason": "counted by the tracker"});
    let reply = patch(&api, &body).await;
    assert_eq!((reply.status, reply.header("etag")), (StatusCode::OK, Some("\"2\"")), "{reply}");
    assert_eq!(reply.body["warnings"][0]["code"], "channel_looks_like", "{reply}");
    // Today it is so already, as it is from January on.
    let today = patch(&api, &json!({"role": "reference"})).await;
    assert_eq!(today.header("etag"), Some("\"2\""), "{today}");
    let shown = show(&api).await;
    let settings = |of: &Value| json!([of["channel"], of["role"], of["measure_roles"]]);
    assert_eq!(settings(&shown["settings"]), json!(["facebook", "reference", {"spend": "primary"}]));
    assert_eq!(shown["history"].as_array().unwrap().len(), 2);
    assert_eq!(settings(&shown["history"][0]), json!(["paid_search", "primary", {}]));
    assert_eq!(
        (&shown["history"][1]["from"], settings(&shown["history"][1])),
        (&json!("2026-01-01"), settings(&shown["settings"]))
    );
    for (body, status) in [
        (json!({"role": "secondary"}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"channel": ""}), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(patch(&api, &body).await.status, status, "{body}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn activity_shows_who_changed_what_and_why(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("ads", "pull").await;
    patch(&api, &json!({"role": "reference", "from": "2026-11-01", "reason": "counts what the tracker counts"})).await;
    // On this earlier date it is primary already: only its channel changes.
    patch(&api, &json!({"role": "primary", "channel": "video", "from": "2026-10-01"})).await;
    api.call(Call::new(Method::POST, "/v1/sources/ads/end").json(&json!({"at": "2026-11-20T00:00:00Z"}))).await;
    let reply = api.call(Call::new(Method::GET, "/v1/sources/ads/activity")).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply}");
    let entries = reply.body["data"].as_array().unwrap();
    let kinds: Vec<_> = entries.iter().map(|entry| (entry["kind"].as_str().unwrap(), &entry["version"])).collect();
    assert_eq!(
        kinds,
        [("ended", &json!(4)), ("changed", &json!(3)), ("changed", &json!(2)), ("registered", &json!(1))]
    );
    assert_eq!((&entries[0]["at"], &entries[0]["changes"]), (&json!("2026-11-20T00:00:00Z"), &Value::Null));
    assert_eq!(entries[1]["from"], "2026-10-01");
    assert_eq!(entries[1]["changes"], json!({"channel": {"from": "paid_search", "to": "video"}}));
    assert_eq!(entries[2]["from"], "2026-11-01");
    assert_eq!(entries[2]["changes"], json!({"role": {"from": "primary", "to": "reference"}}));
    assert_eq!(entries[2]["reason"], "counts what the tracker counts");
    assert_eq!(entries[2]["actor"]["kind"], "key");
    assert_eq!(entries[3]["changes"], Value::Null);
    let unknown = api.call(Call::new(Method::GET, "/v1/sources/bing/activity")).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_what_cannot_change_by_field(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("ads", "pull").await;
    for (body, field) in [
        (json!({"time_zone": "Berlin"}), "time_zone"),
        (json!({"currency": "US"}), "currency"),
        (json!({"kind": "push"}), "kind"),
        (json!({"name": "bing"}), "name"),
        (json!({"measure_roles": {"klicks": "reference"}}), "measure_roles"),
        (json!({"measures": ["klicks"]}), "measures"),
        (json!({"horizons": {"weekly": "7d"}}), "horizons"),
        (json!({"horizons": {"delivery": "soon"}}), "horizons"),
        (json!({"horizons": {"delivery": {"days": 3}}}), "horizons.delivery"),
        (json!({"horizons": {"delivery": "1d"}, "restatement_horizon_s": 1}), "restatement_horizon_s"),
        (json!({"expected_delay_s": -1}), "expected_delay_s"),
        (json!({"horizons": {"delivery": "401d"}}), "horizons"),
        (json!({"observation_window_s": 1}), "observation_window_s"),
        (json!({"from": "2200-01-01"}), "from"),
    ] {
        let reply = patch(&api, &body).await;
        assert_eq!((reply.status, reply.field()), (StatusCode::UNPROCESSABLE_ENTITY, field), "{body}: {reply}");
    }
    let unknown = api.call(Call::new(Method::PATCH, "/v1/sources/mail").json(&json!({"expected_delay_s": 1}))).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(api.log().await, ["1 source 1 SourceRegistered"]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn platform_sets_what_is_left_out(pool: PgPool) {
    let api = Api::start(pool).await;
    let body = json!({"name": "ads", "channel": "paid_social", "kind": "pull", "role": "primary", "currency": "EUR",
                      "platform": "linkedin"});
    assert_eq!(api.post("/v1/sources", &body).await.status, StatusCode::CREATED);
    let shown = show(&api).await;
    assert_eq!(shown["time_zone"], "UTC");
    assert_eq!(shown["settings"]["horizons"], json!({"delivery": 259_200, "conversions": 7_776_000}));
    for (member, value) in [("platform", json!("google_ads")), ("platform", Value::Null)] {
        let mut body = body.clone();
        body["name"] = json!("other");
        body[member] = value;
        let reply = api.post("/v1/sources", &body).await;
        assert_eq!((reply.status, reply.field()), (StatusCode::UNPROCESSABLE_ENTITY, "time_zone"), "{reply}");
    }
    let mut unknown = body.clone();
    (unknown["name"], unknown["platform"]) = (json!("other"), json!("myspace"));
    (unknown["time_zone"], unknown["expected_delay_s"], unknown["restatement_horizon_s"]) =
        (json!("UTC"), json!(1), json!(1));
    assert_eq!(api.post("/v1/sources", &unknown).await.code(), "unknown-platform");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn channel_that_looks_like_a_known_one_gives_a_warning(pool: PgPool) {
    let api = Api::start(pool).await;
    let mut body = source("ads", "pull");
    body["channel"] = json!("facebook");
    let reply = api.post("/v1/sources", &body).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    assert_eq!(reply.body["warnings"][0]["code"], "channel_looks_like", "{reply}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn ended_source_takes_nothing_of_later_times_until_it_resumes(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("ads", "pull").await;
    let id = api.campaign(&json!([])).await;
    let state = |day: &str| {
        json!({"source": "ads", "grain": "day", "time_zone": "Europe/Berlin",
               "statements": [{"campaign_id": id, "bucket": day, "measures": {"clicks": 1}}]})
    };
    assert_eq!(api.post("/v1/sources/ads/resume", &json!({})).await.code(), "source-not-ended");
    let ended = api.post("/v1/sources/ads/end", &json!({"at": "2026-11-19T23:00:00Z"})).await;
    assert_eq!((ended.status, ended.header("etag")), (StatusCode::OK, Some("\"2\"")), "{ended}");
    assert_eq!(show(&api).await["ended_at"], "2026-11-19T23:00:00Z");
    let before = api.post("/v1/statements", &state("2026-11-19")).await;
    assert_eq!(before.body["accepted"], 1, "{before}");
    let after = api.post("/v1/statements", &state("2026-11-20")).await;
    assert_eq!(after.body["results"][0]["reason"], "source_ended", "{after}");

    let resumed = api.post("/v1/sources/ads/resume", &json!({"from": "2026-11-20"})).await;
    assert_eq!((resumed.status, resumed.header("etag")), (StatusCode::OK, Some("\"3\"")), "{resumed}");
    assert_eq!(api.post("/v1/statements", &state("2026-11-20")).await.body["accepted"], 1);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn completeness_never_moves_back_in_silence(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("ads", "pull").await;
    let api = &api;
    let sync = |body: Value| async move { api.post("/v1/sources/ads/syncs", &body).await };
    let through = |day: &str| json!({"status": "completed", "complete_through": format!("2026-11-{day}T00:00:00Z")});
    let reopened = |day: &str| json!({"status": "reopened", "complete_through": format!("2026-11-{day}T00:00:00Z")});
    assert_eq!(sync(reopened("19")).await.code(), "not-complete-through");
    assert_eq!(sync(through("20")).await.status, StatusCode::OK);
    let back = sync(through("19")).await;
    assert_eq!((back.status, back.code()), (StatusCode::CONFLICT, "completeness-would-move-back"), "{back}");
    assert_eq!(back.body["complete_through"], "2026-11-20T00:00:00Z");
    // The same again is a run that read again; a backfill moves nothing.
    assert_eq!(sync(through("20")).await.status, StatusCode::OK);
    let covers = json!({"from": "2026-10-01T00:00:00Z", "to": "2026-10-08T00:00:00Z"});
    assert_eq!(sync(json!({"status": "completed", "covers": covers})).await.status, StatusCode::OK);
    let payload = api.last_payload().await;
    assert_eq!(payload["SyncCompleted"]["complete_through"], Value::Null);
    assert_eq!(payload["SyncCompleted"]["lookback_s"], 2_592_000);
    // It is taken back aloud, and moves on from there.
    assert_eq!(sync(reopened("21")).await.code(), "not-complete-through");
    assert_eq!(sync(reopened("18")).await.status, StatusCode::OK);
    assert_eq!(sync(through("19")).await.status, StatusCode::OK);
    assert_eq!(api.log().await.last().unwrap(), "6 syncs 5 SyncCompleted");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn push_source_may_complete_by_the_clock(pool: PgPool) {
    let api = Api::start(pool).await;
    let pushing = |name: &str, settings: Value| {
        let mut body = source(name, "push");
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        body
    };
    for (name, settings, code) in [
        ("silent", json!({"quiet_after_s": 3_600}), "quiet-after-alone"),
        ("hasty", json!({"complete_after_s": 600, "quiet_after_s": 899}), "quiet-after-out-of-range"),
        ("patient", json!({"complete_after_s": 600, "quiet_after_s": 2_678_401}), "quiet-after-out-of-range"),
    ] {
        let reply = api.post("/v1/sources", &pushing(name, settings)).await;
        assert_eq!((reply.status, reply.code()), (StatusCode::UNPROCESSABLE_ENTITY, code), "{reply}");
        assert_eq!(reply.field(), "quiet_after_s");
    }
    assert_eq!(
        api.post("/v1/sources", &pushing("ads", json!({"complete_after_s": 600}))).await.status,
        StatusCode::CREATED
    );
    // A day of silence, unless it says otherwise.
    assert_eq!(show(&api).await["settings"]["quiet_after_s"], 86_400);
    let changed = patch(&api, &json!({"quiet_after_s": 7_200})).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed}");
    assert_eq!(show(&api).await["settings"]["quiet_after_s"], 7_200);
}
