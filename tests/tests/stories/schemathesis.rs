//! The APIs are what their documents say: schemathesis reads both and sends what it makes of them, right and wrong.
//!
//! `make described` installs it and runs this then, and says so when it cannot.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use http_edge::HttpConfig;
use http_edge::config::LimitConfig;
use serde_json::json;
use sqlx::PgPool;
use tests::{Caller, Soak, TestSystem};
use tokio::process::Command;

const NOW: &str = "2026-11-20T09:30:00Z";

/// What an answer must be: no 5xx, and nothing that its document does not say.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance";

/// The seed of `make test`, which is the same each time.
const SEED: u64 = 20_261_120;

/// How long it may send to each API; both are asked at once.
const SECONDS: u64 = 40;

/// A workspace in which the examples of the documents name something.
async fn populate(caller: &Caller) -> String {
    caller.push_source("tracker").await;
    caller.pull_source("google_ads").await;
    let campaign = caller.campaign("Winter sale").await;
    caller.campaign("=1+1").await;
    for (id, clicks) in [(1, 5), (2, 7)] {
        caller.observe("tracker", &campaign, id, clicks).await;
    }
    let statements = json!({ "source": "google_ads", "grain": "day", "time_zone": "UTC", "statements": [{
        "campaign_id": campaign, "bucket": "2026-11-19",
        "measures": { "impressions": 12_000, "clicks": 340, "spend": { "amount": "123.45", "currency": "EUR" } }
    }]});
    caller.post("/v1/statements", &statements).await.expect(200);
    // One source that has ended, and one that failed.
    caller.pull_source("bing_ads").await;
    caller.post("/v1/sources/bing_ads/end", &json!({ "at": "2026-11-19T23:00:00Z" })).await.expect(200);
    caller.pull_source("meta_ads").await;
    caller.post("/v1/sources/meta_ads/syncs", &json!({ "status": "failed", "reason": "quota" })).await.expect(200);
    let corrected = json!({ "source": "tracker", "observations": [{
        "id": "3", "adjusts": "1", "type": "click", "occurred_at": "2026-11-20T09:06:00Z", "count": 4
    }]});
    caller.post("/v1/observations", &corrected).await.expect(200);
    caller.caught_up().await;
    campaign
}

/// Runs schemathesis against one API; gives what it says when it finds something.
async fn run(python: &str, url: &str, key: &str, campaign: &str, soak: Soak) -> Result<(), String> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stories");
    let seconds = SECONDS * soak.rounds;
    let output = Command::new(python)
        .args(["-m", "schemathesis.cli", "run", &format!("{url}/openapi.json"), "--checks", CHECKS, "--no-color"])
        .args(["--header", &format!("Authorization: Bearer {key}")])
        .args(["--phases", "examples,coverage,fuzzing", "--seed", &soak.seed.to_string()])
        .args(["--max-time", &seconds.to_string(), "--request-timeout", "20", "--workers", "1"])
        .args(["--generation-database", "none", "--warnings", "off", "--suppress-health-check", "all"])
        .args(["--continue-on-failure"])
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONPATH", &here)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HIGHWATER_CAMPAIGN", campaign)
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(seconds + 120), output).await;
    let output = output.map_err(|_| format!("{url}: schemathesis does not end"))?.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() { Ok(()) } else { Err(format!("{said}\n{}", String::from_utf8_lossy(&output.stderr))) }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
#[ignore = "needs schemathesis, which `make described` installs"]
async fn apis_conform_to_their_openapi_documents(pool: PgPool) {
    let tools = std::env::var_os("HIGHWATER_SCHEMATHESIS").map(PathBuf::from).unwrap();
    let python = tools.join("bin/python").to_str().unwrap().to_owned();
    // No rates: what is asked too often says nothing of what was asked.
    let limits = LimitConfig {
        key_requests_per_s: 0,
        address_requests_per_s: 0,
        address_bad_keys_per_s: 0,
        source_items_per_s: 0,
        ..LimitConfig::default()
    };
    let http = HttpConfig { limits, ..HttpConfig::default() };
    let system = TestSystem::start_at_work(&pool, NOW, |mut config| {
        (config.command, config.read) = (http.clone(), http);
        config
    })
    .await;
    let caller = system.workspace("acme").await;
    let campaign = populate(&caller).await;
    let soak = Soak::of_environment(SEED);
    let (command, read) = (system.command_url(), system.read_url());
    let (of_command, of_read) = tokio::join!(
        run(&python, &command, caller.key(), &campaign, soak),
        run(&python, &read, caller.key(), &campaign, soak)
    );
    let found: Vec<_> = [of_command, of_read].into_iter().filter_map(Result::err).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    system.stop().await;
}
