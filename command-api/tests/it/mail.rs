//! Mail: the first open of a message and its recipient counts as a message that was opened, every one as an open.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Api, Call, Reply, source};

async fn start(pool: PgPool, id_scope: &str) -> (Api, Uuid) {
    let api = Api::start(pool).await;
    let mut mailer = source("mailer", "push");
    mailer["channel"] = json!("email");
    mailer["id_scope"] = json!(id_scope);
    assert_eq!(api.post("/v1/sources", &mailer).await.status, 201);
    let campaign = api.campaign(&json!([])).await;
    (api, campaign)
}

fn seen(kind: &str, id: &str, campaign: Uuid, at: &str, recipient: &str) -> Value {
    json!({"id": id, "campaign_id": campaign, "type": kind, "occurred_at": at, "message": "spring-1", "recipient": recipient})
}

async fn send(api: &Api, items: &[Value]) -> Reply {
    api.post("/v1/observations", &json!({"source": "mailer", "observations": items})).await
}

/// How many rows of each type the log holds.
async fn rows(api: &Api) -> BTreeMap<String, usize> {
    let payloads: Vec<String> =
        sqlx::query_scalar("SELECT payload::text FROM log.events WHERE event_type = 'ObservationsRecorded'")
            .fetch_all(&api.pool)
            .await
            .unwrap();
    let mut rows = BTreeMap::new();
    for payload in payloads {
        assert!(!payload.to_lowercase().contains("@example"), "{payload}");
        let batch: Value = serde_json::from_str(&payload).unwrap();
        for row in batch["observations"].as_array().unwrap() {
            *rows.entry(row[2].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    rows
}

fn counted(rows: &[(&str, usize)]) -> BTreeMap<String, usize> {
    rows.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
}

async fn opens_of_months_count_one_message(pool: PgPool, id_scope: &str) {
    let (api, campaign) = start(pool, id_scope).await;
    let open = |id: &str, at: &str, recipient: &str| seen("open", id, campaign, at, recipient);
    let now = "2026-11-21T22:00:00Z";
    let first = send(&api, &[open("e-1", now, "ann@example.com"), open("e-2", now, "Ann@example.com")]).await;
    assert_eq!(first.counts(), [2, 0, 0, 0]);
    // The provider's webhook is repeated; then the same id stands for something else.
    let again = [open("e-1", now, "ann@example.com"), open("e-2", now, "bob@example.com")];
    let reply = send(&api, &again).await;
    assert_eq!(reply.results(), ["0 duplicate already_recorded", "1 conflict other_content"]);
    // In the hour around a change of periods of receipt, and in the periods after it.
    for (n, now) in ["2026-12-02T23:45:00Z", "2026-12-03T00:10:00Z", "2027-01-15T12:00:00Z", "2027-02-10T12:00:00Z"]
        .into_iter()
        .enumerate()
    {
        api.clock.set(now.parse().unwrap());
        let items = [
            open(&format!("f-{n}"), now, "ann@example.com"),
            open(&format!("g-{n}"), now, "bob@example.com"),
            seen("click", &format!("f-{n}"), campaign, now, "ann@example.com"),
        ];
        assert_eq!(send(&api, &items).await.counts(), [3, 0, 0, 0]);
    }
    assert_eq!(
        rows(&api).await,
        counted(&[("click", 1), ("click_total", 4), ("open", 2), ("open_total", 10)]),
        "{id_scope}"
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn opens_count_one_message_where_ids_are_unique_within_a_day(pool: PgPool) {
    opens_of_months_count_one_message(pool, "day").await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn opens_count_one_message_where_ids_are_unique_for_the_window(pool: PgPool) {
    opens_of_months_count_one_message(pool, "window").await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn two_processes_count_a_message_once(pool: PgPool) {
    let (api, campaign) = start(pool, "window").await;
    let processes = [api.clone(), api.another_process().await];
    let mut racing = JoinSet::new();
    for n in 0..24 {
        let process = processes[n % 2].clone();
        let items: Vec<Value> = (0..6)
            .map(|m| {
                let recipient = format!("{}@example.com", (n + m) % 8);
                seen("open", &format!("e-{n}-{m}"), campaign, "2026-11-21T21:00:00Z", &recipient)
            })
            .collect();
        racing.spawn(async move {
            let body = json!({"source": "mailer", "observations": items});
            process.call(Call::post("/v1/observations").json(&body).once(&format!("k-{n}"))).await
        });
    }
    assert!(racing.join_all().await.iter().all(|reply| reply.counts() == [6, 0, 0, 0]));
    assert_eq!(rows(&api).await, counted(&[("open", 8), ("open_total", 144)]));
    // A repeated request gets the answer of the first time.
    let items = [seen("open", "e-0-0", campaign, "2026-11-21T21:00:00Z", "0@example.com")];
    let once = Call::post("/v1/observations").json(&json!({"source": "mailer", "observations": items})).once("again");
    let first = api.call(once.clone()).await;
    assert_eq!(first.counts(), [0, 1, 0, 0]);
    assert_eq!(api.call(once).await.body, first.body);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn source_of_mail_with_unique_ids_takes_no_open_of_nobody(pool: PgPool) {
    let (api, campaign) = start(pool, "window").await;
    let at = "2026-11-21T21:00:00Z";
    let plain = |kind: &str| json!({"id": "e-1", "campaign_id": campaign, "type": kind, "occurred_at": at});
    let reply = send(&api, &[plain("open"), plain("open_total"), plain("click"), plain("machine_open")]).await;
    assert_eq!(reply.results(), ["0 rejected bad_message"]);
    assert_eq!(reply.body["results"][0]["field"], "message");
    let mut half = seen("open", "e-2", campaign, at, "ann@example.com");
    half.as_object_mut().unwrap().remove("message");
    let mut correction = seen("open_total", "c-1", campaign, at, "ann@example.com");
    correction["adjusts"] = json!("e-1");
    let mut retraction = plain("open_total");
    retraction["id"] = json!("c-2");
    retraction["adjusts"] = json!("e-1");
    let reply = send(&api, &[half, correction, retraction]).await;
    assert_eq!(reply.results(), ["0 rejected bad_message", "1 rejected bad_message"]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn open_of_mail_says_who_opened_or_how_many(pool: PgPool) {
    let (api, campaign) = start(pool, "day").await;
    let bare = |id: &str, kind: &str| json!({"id": id, "campaign_id": campaign, "type": kind, "occurred_at": "2026-11-21T21:00:00Z"});
    let mut counted_by_sender = bare("e-4", "open");
    counted_by_sender["count"] = json!(3);
    let events = [bare("e-1", "open"), bare("e-2", "open_total"), bare("e-3", "click"), counted_by_sender];
    let reply = send(&api, &events).await;
    assert_eq!(reply.results(), ["0 rejected bad_message"]);
    assert_eq!(reply.body["results"][0]["field"], "message");
    assert_eq!(rows(&api).await, counted(&[("open_total", 1), ("click", 1), ("open", 1)]));
    // A source that is not of mail counts what it is sent.
    assert_eq!(api.post("/v1/sources", &source("tracker", "push")).await.status, 201);
    let body = json!({"source": "tracker", "observations": [bare("e-1", "open")]});
    assert_eq!(api.post("/v1/observations", &body).await.counts(), [1, 0, 0, 0]);
}
