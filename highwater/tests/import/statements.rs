//! `highwater import statements`.

use std::process::Output;

use chrono::{DateTime, Utc};
use highwater::system::RunningSystem;
use sqlx::PgPool;
use tempfile::NamedTempFile;
use tokio::process::Command;

use super::{KEY, complete_through, head, said, start, stated};

async fn import(system: &RunningSystem, file: &str, more: &[&str]) -> Output {
    import_at(&format!("http://{}", system.command_addr.unwrap()), KEY, file, more).await
}

async fn import_at(server: &str, key: &str, file: &str, more: &[&str]) -> Output {
    let csv = NamedTempFile::new().unwrap();
    std::fs::write(csv.path(), file).unwrap();
    Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(["import", "statements"])
        .arg(csv.path())
        .args([
            "--source-from",
            "Source",
            "--campaign-from",
            "Campaign",
            "--date-from",
            "Date",
            "--date-format",
            "%d.%m.%Y",
        ])
        .args(["--measure", "clicks=Clicks", "--measure", "spend=Cost", "--api-key", key, "--server", server])
        .args(more)
        .output()
        .await
        .unwrap()
}

const A: &str =
    "Date,Source,Campaign,Clicks,Cost\n01.01.2026,Ads,Sale,10,1.5\n02.01.2026,Ads,Sale,20,\n01.01.2026,Web,Sale,11,\n";
const B: &str = "Date,Source,Campaign,Clicks,Cost\n01.01.2026,Ads,Sale,12,1.5\n";

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn importing_a_then_b_then_a_ends_at_a(pool: PgPool) {
    let system = start(&pool).await;
    let first = said(&import(&system, A, &["--channel", "Ads=paid_search", "--reference-source", "Web"]).await, true);
    assert!(first.contains("sources: 2 (2 created)"), "{first}");
    assert!(first.contains("campaigns: 1 (1 created)"), "{first}");
    assert!(first.contains("statements: 3 accepted, 0 unchanged, 0 rejected"), "{first}");
    let at_a = stated(&pool).await;
    assert_eq!(at_a.len(), 4);

    said(&import(&system, B, &["--channel", "Ads=paid_search"]).await, true);
    assert_ne!(stated(&pool).await, at_a);
    said(&import(&system, A, &["--channel", "Ads=paid_search", "--reference-source", "Web"]).await, true);
    assert_eq!(stated(&pool).await, at_a);
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn second_import_appends_nothing(pool: PgPool) {
    let system = start(&pool).await;
    said(&import(&system, A, &["--complete-through", "2026-01-02"]).await, true);
    let after_first = head(&pool).await;
    let second = said(&import(&system, A, &["--complete-through", "2026-01-02"]).await, true);
    assert!(second.contains("statements: 0 accepted, 3 unchanged, 0 rejected"), "{second}");
    assert_eq!(head(&pool).await, after_first);
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn complete_through_is_the_end_of_the_day_in_the_zone(pool: PgPool) {
    let system = start(&pool).await;
    said(&import(&system, A, &["--complete-through", "2026-01-02", "--time-zone", "America/New_York"]).await, true);
    let end: DateTime<Utc> = "2026-01-03T05:00:00Z".parse().unwrap();
    assert_eq!(complete_through(&pool).await, [end, end]);
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn earlier_file_reads_days_again_without_moving_completeness_back(pool: PgPool) {
    let system = start(&pool).await;
    said(&import(&system, B, &["--complete-through", "2026-01-02"]).await, true);
    let told = said(&import(&system, A, &["--complete-through", "2026-01-01"]).await, true);
    assert!(told.contains("only reads days again"), "{told}");
    let end: DateTime<Utc> = "2026-01-03T00:00:00Z".parse().unwrap();
    assert_eq!(complete_through(&pool).await.last(), Some(&end));
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn names_bad_lines_and_sends_the_rest(pool: PgPool) {
    let system = start(&pool).await;
    let file = format!("{A}03.01.2026,Ads,Sale,many,\n02.01.2026,Ads,Sale,21,\n");
    let told = said(&import(&system, &file, &["--complete-through", "2026-01-02"]).await, false);
    assert!(told.contains("line 5 clicks `many`"), "{told}");
    assert!(told.contains("left out: clicks: 41 of 62 (66.1 %) and 1 cell that cannot be read"), "{told}");
    assert!(told.contains("line 6 repeats the source, campaign and date of line 3"), "{told}");
    assert!(told.contains("not reported complete"), "{told}");
    let days: Vec<String> = stated(&pool).await.into_iter().map(|(_, day, ..)| day).collect();
    assert_eq!(days, ["2026-01-01", "2026-01-01", "2026-01-01"]);
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn explains_a_wrong_key_or_server(pool: PgPool) {
    let system = start(&pool).await;
    let told = said(&import_at(&format!("http://{}", system.command_addr.unwrap()), "hw_other", A, &[]).await, false);
    assert!(told.contains("401"), "{told}");
    let told = said(&import_at("localhost:8081", KEY, A, &[]).await, false);
    assert!(told.contains("http://127.0.0.1:8081"), "{told}");
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn replacing_a_then_b_then_a_ends_at_a_for_lines_too(pool: PgPool) {
    let system = start(&pool).await;
    let replace = ["--replace", "2026-01-01..2026-01-02"];
    said(&import(&system, A, &replace).await, true);
    let at_a = stated(&pool).await;
    assert_eq!(at_a.len(), 4);

    // Of Ads, the second day is gone and the first has no cost any more. The file says nothing of Web.
    let b = "Date,Source,Campaign,Clicks,Cost\n01.01.2026,Ads,Sale,12,\n03.01.2026,Ads,Other,1,\n";
    let told = said(&import(&system, b, &replace).await, true);
    assert!(told.contains("statements: 2 accepted, 0 unchanged, 0 rejected"), "{told}");
    assert!(told.contains("values taken back: 2"), "{told}");
    let values: Vec<i64> = stated(&pool).await.into_iter().map(|(.., value)| value).collect();
    assert_eq!(values, [1, 12, 11], "Other, Sale of Ads, Sale of Web");

    said(&import(&system, A, &["--replace", "2026-01-01..2026-01-03"]).await, true);
    assert_eq!(stated(&pool).await, at_a);
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_file_with_a_bad_line_replaces_nothing(pool: PgPool) {
    let system = start(&pool).await;
    let file = format!("{A}03.01.2026,Ads,Sale,many,\n");
    let told = said(&import(&system, &file, &["--replace", "2026-01-01..2026-01-02"]).await, false);
    assert!(told.contains("nothing was sent"), "{told}");
    assert_eq!(head(&pool).await, 1, "the workspace was opened");
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn what_contradicts_the_registered_source_is_refused_before_anything_is_sent(pool: PgPool) {
    let system = start(&pool).await;
    said(&import(&system, B, &["--currency", "EUR"]).await, true);
    let after_first = head(&pool).await;
    for (option, value, what) in [
        ("--currency", "GBP", "the currency EUR, and here it is GBP"),
        ("--time-zone", "Europe/Berlin", "the time zone UTC, and here it is Europe/Berlin"),
        ("--reference-source", "Ads", "the role primary, and here it is reference"),
        ("--channel", "Ads=email", "the channel unassigned, and here it is email"),
        ("--expected-delay", "6h", "the expected delay 86400 s, and here it is 21600 s"),
        ("--complete-through", "2100-01-01", "lies in the future"),
    ] {
        let told = said(&import(&system, A, &[option, value]).await, false);
        assert!(told.contains("nothing was sent") && told.contains(what), "{told}");
    }
    assert_eq!(head(&pool).await, after_first);
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_file_that_is_mostly_refused_is_not_sent_unless_asked(pool: PgPool) {
    let system = start(&pool).await;
    let file = format!("{A}{}", "03.01.2026,Ads,Sale,many,\n".repeat(11));
    let told = said(&import(&system, &file, &[]).await, false);
    assert!(told.contains("rows: 14 (11 not sent") && told.contains("11 of 14 lines are refused"), "{told}");
    assert_eq!(head(&pool).await, 1, "the workspace was opened");
    let told = said(&import(&system, &file, &["--allow-partial"]).await, false);
    assert!(told.contains("statements: 3 accepted"), "{told}");
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn dry_run_prints_what_would_be_sent(pool: PgPool) {
    let system = start(&pool).await;
    let told = said(&import(&system, A, &["--dry-run"]).await, true);
    assert!(told.contains("3 statements of 1 campaigns, 2026-01-01 to 2026-01-02"), "{told}");
    assert!(told.contains("Ads  spend  1.500000 EUR") && told.contains("nothing was sent"), "{told}");
    assert_eq!(head(&pool).await, 1, "the workspace was opened");
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn campaign_with_an_id_is_renamed_and_its_status_is_true_of_its_days(pool: PgPool) {
    let system = start(&pool).await;
    let file = |name: &str, day: &str| format!("Date,Source,Id,Campaign,Clicks,Cost\n{day},Ads,771,{name},10,1\n");
    let by_id = ["--campaign-id-from", "Id"];
    said(&import(&system, &file("Spring", "01.01.2026"), &by_id).await, true);
    said(&import(&system, &file("Spring sale", "02.01.2026"), &by_id).await, true);
    let after_second = head(&pool).await;
    said(&import(&system, &file("Spring sale", "02.01.2026"), &by_id).await, true);
    assert_eq!(head(&pool).await, after_second);
    projections::catch_up(&pool).await.unwrap();
    let campaigns: Vec<(String, String, String)> =
        sqlx::query_as("SELECT name, state, ends_on::text FROM read.campaigns").fetch_all(&pool).await.unwrap();
    assert_eq!(campaigns, [("Spring sale".to_owned(), "completed".to_owned(), "2026-01-01".to_owned())]);
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_campaign_that_is_refused_stops_no_other(pool: PgPool) {
    let system = start(&pool).await;
    let twenty_one: Vec<String> = (0..21).map(|place| format!("S{place}=channel_{place}")).collect();
    let channels: Vec<&str> = twenty_one.iter().flat_map(|one| ["--channel", one.as_str()]).collect();
    let lines = (0..21).map(|place| format!("01.01.2026,S{place},Everywhere,1,\n")).collect::<Vec<_>>().concat();
    let file = format!("Date,Source,Campaign,Clicks,Cost\n{lines}01.01.2026,S1,Other,5,\n");
    let told = said(&import(&system, &file, &channels).await, false);
    assert!(told.contains("line 2 was not taken") && told.contains("21 channels are too many"), "{told}");
    assert!(told.contains("left out: clicks: 21 of 26"), "{told}");
    assert_eq!(stated(&pool).await.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>(), ["Other"]);
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn command_that_inspect_prints_imports_the_file(pool: PgPool) {
    let system = start(&pool).await;
    let csv = NamedTempFile::new().unwrap();
    let file = "Umsatzbericht\nTag;Kampagne;Klicks;Kosten\n1. März 2026;Frühling;1.200;10,50\n\
                1. März 2026;Frühling;3;0,25\n";
    std::fs::write(csv.path(), file).unwrap();
    let highwater = env!("CARGO_BIN_EXE_highwater");
    let inspected = Command::new(highwater).args(["import", "inspect"]).arg(csv.path()).output().await.unwrap();
    let told = said(&inspected, true);
    let command = told.lines().rfind(|line| line.starts_with("highwater ")).unwrap();
    let command = command.replacen("highwater", highwater, 1);
    let imported = Command::new("sh")
        .args(["-c", &command])
        .env("HIGHWATER_SERVER", format!("http://{}", system.command_addr.unwrap()))
        .env("HIGHWATER_API_KEY", KEY)
        .output()
        .await
        .unwrap();
    said(&imported, true);
    let values: Vec<(String, i64)> =
        stated(&pool).await.into_iter().map(|(_, _, measure, value)| (measure, value)).collect();
    assert_eq!(values, [("clicks".to_owned(), 1_203), ("spend".to_owned(), 10_750_000)]);
    system.shutdown().await.unwrap();
}
