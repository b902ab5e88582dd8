//! Observations in every form, over every version of HTTP, come to the same numbers.

use std::path::Path;

use async_compression::tokio::bufread::{GzipEncoder, ZstdEncoder};
use highwater::system::SystemConfig;
use http_edge::HttpConfig;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Client, ClientBuilder, Version};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestSystem, client};
use tokio::io::AsyncReadExt;

const NOW: &str = "2026-11-20T10:00:00Z";

/// How many lines are sent as newline-delimited JSON: two chunks.
const LINES: usize = 1_200;

fn item(id: &str) -> Value {
    json!({"id": id, "external_campaign_id": "winter", "type": "conversion", "occurred_at": "2026-11-20T09:05:00Z", "count": 0.1})
}

fn event(id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "tracker", "type": "com.example.conversion",
        "time": "2026-11-20T09:05:00Z", "subject": "winter", "data": {"count": 0.1}})
}

/// A path, a media type, a body, and how many observations are in it.
type Form = (&'static str, &'static str, String, usize);

/// The same in every form, with ids of its own.
fn forms(name: &str) -> Vec<Form> {
    let lines: Vec<String> = (0..LINES).map(|n| item(&format!("{name}-l{n}")).to_string()).collect();
    let batch =
        json!({"source": "tracker", "observations": [item(&format!("{name}-b1")), item(&format!("{name}-b2"))]});
    let events = json!([event(&format!("{name}-e1")), event(&format!("{name}-e2")), event(&format!("{name}-e3"))]);
    let others: Vec<String> = (0..LINES).map(|n| item(&format!("{name}-m{n}")).to_string()).collect();
    vec![
        ("/v1/observations", "application/json", batch.to_string(), 2),
        ("/v1/observations?source=tracker", "application/x-ndjson", lines.join("\n"), LINES),
        ("/v1/observations", "application/cloudevents+json", event(&format!("{name}-e0")).to_string(), 1),
        ("/v1/observations", "application/cloudevents-batch+json", events.to_string(), 3),
        // Each format at the path of its own.
        ("/v1/observations/lines?source=tracker", "application/x-ndjson", others.join("\n"), LINES),
        ("/v1/observations/cloud-event", "application/cloudevents+json", event(&format!("{name}-f0")).to_string(), 1),
        (
            "/v1/observations/cloud-events?source=tracker",
            "application/cloudevents-batch+json",
            json!([event(&format!("{name}-f1"))]).to_string(),
            1,
        ),
    ]
}

async fn packed(coding: &str, body: &str) -> Vec<u8> {
    let mut packed = Vec::new();
    match coding {
        "gzip" => GzipEncoder::new(body.as_bytes()).read_to_end(&mut packed).await.unwrap(),
        "zstd" => ZstdEncoder::new(body.as_bytes()).read_to_end(&mut packed).await.unwrap(),
        _ => body.as_bytes().read_to_end(&mut packed).await.unwrap(),
    };
    packed
}

/// Sends every form in every coding, twice each: once it counts, and then it is known.
async fn send_all(client: &Client, url: &str, key: &str, version: Version) -> usize {
    let mut sent = 0;
    for coding in ["identity", "gzip", "zstd"] {
        for (path, media_type, body, count) in forms(&format!("{version:?}-{coding}")) {
            let body = packed(coding, &body).await;
            for accepted in [count, 0] {
                let request = client.post(format!("{url}{path}")).bearer_auth(key).header("content-type", media_type);
                let answer = request.header("content-encoding", coding).body(body.clone()).send().await.unwrap();
                assert_eq!((answer.status().as_u16(), answer.version()), (200, version), "{media_type} {coding}");
                let text = answer.text().await.unwrap();
                let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
                assert_eq!(
                    (&last["accepted"], &last["duplicates"]),
                    (&json!(accepted), &json!(count - accepted)),
                    "{last}"
                );
                if media_type == "application/x-ndjson" {
                    assert_eq!((text.lines().count(), &last["done"], &last["lines"]), (3, &json!(true), &json!(LINES)));
                }
            }
            sent += count;
        }
    }
    sent
}

fn builder() -> ClientBuilder {
    // Makes sure that there is a provider of cryptography.
    drop(client(std::time::Duration::from_secs(1)));
    Client::builder().no_proxy()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn every_format_counts_the_same_over_http1_and_http2(pool: PgPool) {
    let system = TestSystem::start(&pool, NOW).await;
    let acme = system.workspace("acme").await;
    acme.push_source("tracker").await;
    let campaign = acme.campaign("Winter").await;
    acme.patch(&format!("/v1/campaigns/{campaign}"), &json!({"external_ids": [{"id": "winter"}]})).await.expect(200);

    let (first, second) = (builder().http1_only().build().unwrap(), builder().http2_prior_knowledge().build().unwrap());
    let mut sent = send_all(&first, &system.command_url(), acme.key(), Version::HTTP_11).await;
    sent += send_all(&second, &system.command_url(), acme.key(), Version::HTTP_2).await;
    acme.caught_up().await;
    let answer = acme.get(&format!("/v1/campaigns/{campaign}/metrics?granularity=all&measures=conversions")).await;
    // A tenth of a conversion each, and not a millionth more.
    let conversions = &answer.expect(200).body["data"][0]["conversions"];
    assert_eq!(conversions.to_string(), format!("{}.{}", sent / 10, sent % 10));
    system.stop().await;
}

/// Certificates in a directory; the authority that a client must trust.
fn certificates(directory: &Path) -> reqwest::Certificate {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    std::fs::write(directory.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), key.serialize_pem()).unwrap();
    reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn accepts_every_format_over_tls(pool: PgPool) {
    let directory = tempfile::tempdir().unwrap();
    let authority = certificates(directory.path());
    let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    let command = HttpConfig { tls_cert: Some(cert), tls_key: Some(key), ..HttpConfig::default() };
    let system = TestSystem::start_as(&pool, NOW, |config| SystemConfig { command, ..config }).await;
    let acme = system.workspace("acme").await;
    let url = system.command_url().replace("http://", "https://");

    let trusting = || builder().tls_certs_only([authority.clone()]);
    let (first, second) = (trusting().http1_only().build().unwrap(), trusting().build().unwrap());
    let source = json!({
        "name": "tracker", "channel": "paid_search", "kind": "push", "role": "primary", "time_zone": "UTC", "currency": "EUR",
        "expected_delay_s": 900, "restatement_horizon_s": 3600
    });
    let campaign = json!({"name": "Winter", "channels": ["paid_search"], "currency": "EUR", "time_zone": "UTC",
        "starts_on": "2026-11-01", "external_ids": [{"id": "winter"}]});
    for (path, body) in [("/v1/sources", source), ("/v1/campaigns", campaign)] {
        let answer = second.post(format!("{url}{path}")).bearer_auth(acme.key()).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 201);
    }
    send_all(&first, &url, acme.key(), Version::HTTP_11).await;
    // By what the two agreed on: ALPN.
    send_all(&second, &url, acme.key(), Version::HTTP_2).await;
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reads_accept_compressed_bodies(pool: PgPool) {
    let system = TestSystem::start(&pool, NOW).await;
    let acme = system.workspace("acme").await;
    let campaign = acme.campaign("Winter").await;
    acme.caught_up().await;
    let report =
        json!({"measures": ["clicks"], "date_from": "2026-11-20", "date_to": "2026-11-20", "granularity": "day"});
    let plain = acme.post_read("/v1/reports", &report).await.expect(200);
    for coding in ["gzip", "zstd"] {
        let request =
            builder().build().unwrap().post(format!("{}/v1/reports", system.read_url())).bearer_auth(acme.key());
        let request = request.header("content-type", "application/json").header("content-encoding", coding);
        let answer = request.body(packed(coding, &report.to_string()).await).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(body["data"], plain.body["data"], "{campaign}");
    }
    system.stop().await;
}
