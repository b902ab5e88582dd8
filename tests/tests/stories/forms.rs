//! The same rows over either HTTP, packed or not, as JSON or as a file.

use reqwest::Version;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING};
use sqlx::PgPool;
use tests::TestSystem;

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn csv_is_the_same_over_any_transport(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T09:30:00Z").await;
    let caller = system.workspace("acme").await;
    for number in 0..12 {
        caller.campaign(&format!("Campaign {number}")).await;
    }
    caller.caught_up().await;
    let url = format!("{}/v1/campaigns", system.read_url());
    let clients = [
        (Version::HTTP_11, reqwest::Client::builder().http1_only()),
        (Version::HTTP_2, reqwest::Client::builder().http2_prior_knowledge()),
    ];
    let mut files = Vec::new();
    for (version, client) in clients {
        let client = client.build().unwrap();
        let ask = |coding: &'static str| {
            let request = client.get(&url).bearer_auth(caller.key()).header(ACCEPT, "text/csv");
            request.header(ACCEPT_ENCODING, coding).send()
        };
        let plain = ask("identity").await.unwrap();
        assert_eq!((plain.status().as_u16(), plain.version()), (200, version));
        assert!(!plain.headers().contains_key(CONTENT_ENCODING));
        files.push(plain.text().await.unwrap());
        let packed = ask("gzip").await.unwrap();
        assert_eq!(packed.headers()[CONTENT_ENCODING], "gzip");
        let bytes = packed.bytes().await.unwrap();
        assert!(bytes.starts_with(&[0x1f, 0x8b]) && bytes.len() < files[0].len() / 2, "{}", bytes.len());
    }
    assert_eq!(files[0], files[1]);
    assert_eq!(files[0].lines().count(), 13);
    system.stop().await;
}
