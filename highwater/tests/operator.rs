//! The operator's commands as a program, against a database of their own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::process::{Output, Stdio};

use insta::assert_snapshot;
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, PgPool};
use tokio::process::Command;

async fn highwater(pool: &PgPool, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(line.split_whitespace())
        .env("HIGHWATER_DATABASE_URL", pool.connect_options().to_url_lossy().as_str())
        .output()
        .await
        .unwrap()
}

/// As the projector, who owns what it makes.
async fn catch_up(pool: &PgPool) {
    let url = SecretString::from(pool.connect_options().to_url_lossy().to_string());
    let projector = connect(&DatabaseConfig::at(url), DatabaseRole::Projector).await.unwrap();
    projections::catch_up(&projector).await.unwrap();
}

#[track_caller]
fn accepted(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn refused(output: &Output, naming: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains(naming), "{said}");
}

/// Where new databases are copies of one that is migrated, this one is not any more.
async fn empty(pool: &PgPool) {
    sqlx::raw_sql("DROP SCHEMA IF EXISTS read, auth, log CASCADE; DROP TABLE IF EXISTS _sqlx_migrations")
        .execute(pool)
        .await
        .unwrap();
}

#[sqlx::test(migrations = false)]
async fn unmigrated_database_says_what_to_do(pool: PgPool) {
    empty(&pool).await;
    let serve = "serve --roles command,projector,read --command-addr 127.0.0.1:0 --read-addr 127.0.0.1:0";
    refused(&highwater(&pool, serve).await, "highwater migrate");
    refused(&highwater(&pool, "status").await, "highwater migrate");
}

#[sqlx::test(migrations = false)]
async fn migration_is_idempotent(pool: PgPool) {
    empty(&pool).await;
    assert!(accepted(&highwater(&pool, "migrate").await).contains("up to date"));
    assert!(accepted(&highwater(&pool, "migrate").await).contains("up to date"));
}

/// The schema of a database with owners and rights, as pg_dump writes it.
async fn schema(pool: &PgPool) -> String {
    let programs: String =
        sqlx::query_scalar("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetch_one(pool).await.unwrap();
    let mut url = pool.connect_options().to_url_lossy();
    // Only sqlx knows this parameter.
    let known = url.query_pairs().into_owned().filter(|(name, _)| name != "statement-cache-capacity");
    let known: Vec<_> = known.collect();
    url.query_pairs_mut().clear().extend_pairs(known);
    let dumped =
        Command::new(format!("{programs}/pg_dump")).arg("--schema-only").arg(url.as_str()).output().await.unwrap();
    let text = accepted(&dumped);
    // They hold a random key.
    text.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn migration_makes_whole_what_a_restore_left_out(pool: PgPool) {
    let without_rights = "REASSIGN OWNED BY highwater_projector TO CURRENT_USER;
                          DROP OWNED BY highwater_command, highwater_projector, highwater_read";
    let open = "keys create --workspace acme --create-workspace --time-zone UTC --currency EUR --name n --scopes read";
    accepted(&highwater(&pool, open).await);
    let whole = schema(&pool).await;
    for (left_out, made) in [
        (without_rights, "owners and rights"),
        ("DROP SCHEMA read CASCADE", "`read`"),
        (&format!("DROP SCHEMA read CASCADE; {without_rights}"), "owners and rights"),
        // The tables of an epoch are there, their rows were left out.
        ("SELECT read.create_epoch('campaign_model', ARRAY['campaigns']); DELETE FROM read.epochs", "`read`"),
    ] {
        sqlx::raw_sql(left_out).execute(&pool).await.unwrap();
        let told = accepted(&highwater(&pool, "migrate").await);
        assert!(told.contains(made), "{left_out}: {told}");
        assert_eq!(schema(&pool).await, whole, "{left_out}");
        assert!(!accepted(&highwater(&pool, "migrate").await).contains("made again"), "{left_out}");
    }
    // The log is as it was, and the tables are filled from it.
    catch_up(&pool).await;
    assert!(accepted(&highwater(&pool, "status").await).contains("caught up"));
    assert!(accepted(&highwater(&pool, "verify").await).contains("acme"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn migration_names_the_dump_that_it_needs(pool: PgPool) {
    for (left_out, named) in
        [("DROP SCHEMA auth CASCADE", "--exclude-schema=read"), ("DROP TABLE _sqlx_migrations", "`_sqlx_migrations`")]
    {
        sqlx::raw_sql(left_out).execute(&pool).await.unwrap();
        refused(&highwater(&pool, "migrate").await, named);
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn key_is_shown_once_and_can_be_revoked(pool: PgPool) {
    refused(&highwater(&pool, "keys create --workspace acme --scopes read --name page").await, "--create-workspace");
    let open =
        "keys create --workspace acme --create-workspace --time-zone Europe/Berlin --currency EUR --name page --scopes";
    let made = accepted(&highwater(&pool, &format!("{open} read,command")).await);
    let line = |name: &str| made.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let (id, key) = (line("id:"), line("key:"));
    assert!(key.starts_with("hw_") && key.len() > 40, "{key}");

    // The workspace is there now, with its one first event.
    let other = accepted(&highwater(&pool, &format!("{open} read")).await);
    assert!(other.contains("key:"));
    let first: Vec<(i64, String)> =
        sqlx::query_as("SELECT position, event_type FROM log.events").fetch_all(&pool).await.unwrap();
    assert_eq!(first, [(1, "WorkspaceOpened".to_owned())]);

    // A workspace keeps its zone and currency, so others are not taken for it.
    let others =
        "keys create --workspace acme --create-workspace --time-zone UTC --currency USD --name page --scopes read";
    refused(&highwater(&pool, others).await, "has the time zone Europe/Berlin and the currency EUR");
    assert_eq!(accepted(&highwater(&pool, "keys list").await).matches("page").count(), 2);

    let listed = accepted(&highwater(&pool, "keys list --workspace acme").await);
    assert!(listed.contains(&id) && listed.contains("command, read") && !listed.contains(&key), "{listed}");

    accepted(&highwater(&pool, &format!("keys revoke {id}")).await);
    assert!(accepted(&highwater(&pool, &format!("keys revoke {id}")).await).contains("before"));
    refused(&highwater(&pool, "keys revoke 01890000-0000-7000-8000-000000000000").await, "no key");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn declares_a_restore_and_shows_where_the_logs_stand(pool: PgPool) {
    let open = "keys create --workspace acme --create-workspace --time-zone UTC --currency EUR --name n --scopes read";
    accepted(&highwater(&pool, open).await);
    let told: Value = serde_json::from_str(&accepted(&highwater(&pool, "status --json").await)).unwrap();
    assert_eq!(told["generations"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["generations"][0]["cause"], "first");
    assert_eq!(told["logs"][0]["generation_began_at"], 0, "noted before the first event");

    let declared = accepted(&highwater(&pool, "restored --note monday").await);
    assert!(declared.starts_with("generation 2 of the logs, for 0 s: declared by an operator: monday"), "{declared}");
    assert!(declared.contains("acme") && declared.contains("send it again"), "{declared}");
    let told: Value = serde_json::from_str(&accepted(&highwater(&pool, "status --json").await)).unwrap();
    let newest = &told["generations"][1];
    assert_eq!((&newest["cause"], &newest["note"]), (&json!("declared"), &json!("monday")));
    assert_eq!(told["logs"][0]["generation_began_at"], 1);
    let shown = accepted(&highwater(&pool, "status").await);
    assert!(shown.contains("generation 2 of the logs"), "{shown}");
    // The same server is no new life.
    accepted(&highwater(&pool, "migrate").await);
    let told: Value = serde_json::from_str(&accepted(&highwater(&pool, "status --json").await)).unwrap();
    assert_eq!(told["generations"].as_array().unwrap().len(), 2, "{told}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn status_and_replay_show_every_log(pool: PgPool) {
    let open = "keys create --workspace acme --create-workspace --time-zone UTC --currency EUR --name n --scopes read";
    accepted(&highwater(&pool, open).await);
    let behind = accepted(&highwater(&pool, "status").await);
    assert!(behind.contains("acme") && behind.contains("not followed yet"), "{behind}");

    projections::catch_up(&pool).await.unwrap();
    let caught_up = accepted(&highwater(&pool, "status").await);
    assert!(caught_up.contains("caught up") && caught_up.contains("no projector runs"), "{caught_up}");
    assert_eq!(highwater(&pool, "status --check").await.status.code(), Some(1));

    // Its session is the test's own, so it lives.
    let mut session = pool.acquire().await.unwrap();
    sqlx::query(
        "INSERT INTO log.leases (consumer, holder, name, session, lease)
         VALUES ('projection other 1', gen_random_uuid(), 'elsewhere pid 1', pg_backend_pid(), interval '1 hour')",
    )
    .execute(&mut *session)
    .await
    .unwrap();
    let told = accepted(&highwater(&pool, "status").await);
    assert!(told.contains("elsewhere pid 1") && told.contains("living"), "{told}");
    accepted(&highwater(&pool, "status --check").await);
    let told: Value = serde_json::from_str(&accepted(&highwater(&pool, "status --json").await)).unwrap();
    let log = &told["logs"][0];
    assert_eq!(
        (&log["workspace"], &log["state"], &log["lag_events"]),
        (&json!("acme"), &json!("caught up"), &json!(0))
    );
    let projector = &told["projectors"][0];
    assert_eq!((&projector["living"], &projector["logs"]["campaign_model"]), (&json!(true), &json!(0)));
    assert_eq!(told["epochs"].as_array().unwrap().len(), 1);
    assert_eq!((&told["epochs"][0]["epoch"], &told["epochs"][0]["state"]), (&json!(1), &json!("live")));
    for nothing in ["verifications", "parked", "retention"] {
        assert_eq!(told[nothing], json!([]), "{nothing}");
    }

    let replayed = accepted(&highwater(&pool, "replay").await);
    assert!(replayed.contains("reads epoch 2") && replayed.contains("events: 1"), "{replayed}");
    // Compared row by row, with the rows as they are and with one that somebody changed.
    let replayed = accepted(&highwater(&pool, "replay --verify").await);
    assert!(replayed.contains("reads epoch 3, every row of which was compared before"), "{replayed}");
    sqlx::query("UPDATE read.workspaces SET time_zone = 'Europe/Berlin'").execute(&pool).await.unwrap();
    let output = highwater(&pool, "replay --verify").await;
    refused(&output, "workspaces: time_zone is Europe/Berlin, not UTC");
    let told: Value = serde_json::from_str(&accepted(&highwater(&pool, "status --json").await)).unwrap();
    let epochs: Vec<_> =
        told["epochs"].as_array().unwrap().iter().map(|epoch| (&epoch["epoch"], &epoch["state"])).collect();
    assert!(
        epochs.contains(&(&json!(3), &json!("live"))) && epochs.contains(&(&json!(4), &json!("building"))),
        "{told}"
    );
    let verified = &told["verifications"][0];
    assert_eq!((&verified["scope"], &verified["differences"]), (&json!("whole"), &json!(1)));
    refused(&highwater(&pool, "replay --verify --allow-differences").await, "cannot be used with");
    refused(&highwater(&pool, "replay nothing").await, "nothing");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reader_that_goes_away_is_no_error(pool: PgPool) {
    for line in ["status", "status --json"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_highwater"))
            .args(line.split_whitespace())
            .env("HIGHWATER_DATABASE_URL", pool.connect_options().to_url_lossy().as_str())
            // `output` would read it.
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = output.wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((&*said, output.status.code()), ("", Some(141)), "{line}");
    }
}

/// What a program says, and its exit status.
fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!("{}{}exit status {}", text(&output.stdout), text(&output.stderr), output.status.code().unwrap())
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn verify_reports_differences_and_exits_nonzero(pool: PgPool) {
    let open = "keys create --create-workspace --time-zone UTC --currency EUR --name n --scopes read --workspace";
    for name in ["acme", "globex"] {
        accepted(&highwater(&pool, &format!("{open} {name}")).await);
    }
    catch_up(&pool).await;
    assert_snapshot!(said(&highwater(&pool, "verify").await), @r"
    acme: 2 rows at position 1: no difference
    globex: 2 rows at position 1: no difference
    campaign_model: equal
    exit status 0
    ");
    let status = accepted(&highwater(&pool, "status").await);
    assert!(
        status.contains("campaign_model: every workspace was proved equal to a rebuild within the last"),
        "{status}"
    );

    // A row changed by hand, one that is missing, one too many.
    let change = |sql: &'static str| {
        let pool = pool.clone();
        async move { sqlx::query(sql).execute(&pool).await.unwrap() }
    };
    change("UPDATE read.workspaces SET time_zone = 'Europe/Berlin' WHERE workspace = 1").await;
    change("DELETE FROM read.scope_marks WHERE workspace = 2").await;
    change("INSERT INTO read.scope_marks VALUES (1, 1, 'month:1999-01', 1)").await;
    assert_snapshot!(said(&highwater(&pool, "verify").await), @r"
    acme: workspaces: time_zone is Europe/Berlin, not UTC
    acme: scope_marks scope=month:1999-01: a row too many: position=1
    globex: scope_marks scope=workspace: the row is missing: position=1
    acme: 3 rows at position 1: 1 of 1 in workspaces, 1 of 2 in scope_marks
    globex: 2 rows at position 1: 1 of 1 in scope_marks
    campaign_model: different
    exit status 1
    ");
    assert_snapshot!(said(&highwater(&pool, "verify --limit 1 --workspace acme").await), @r"
    acme: workspaces: time_zone is Europe/Berlin, not UTC
    … and 1 more; --limit says how many are printed
    acme: 3 rows at position 1: 1 of 1 in workspaces, 1 of 2 in scope_marks
    campaign_model: different
    exit status 1
    ");
    let json = highwater(&pool, "verify --json --workspace globex").await;
    assert_eq!(json.status.code(), Some(1));
    let lines: Vec<serde_json::Value> =
        String::from_utf8_lossy(&json.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [difference, summary] = lines.as_slice() else { panic!("{lines:?}") };
    assert_snapshot!(difference, @r#"{"columns":{"position":"1"},"key":{"scope":"workspace"},"kind":"missing","table":"scope_marks","workspace":"globex"}"#);
    assert_eq!((&summary["kind"], &summary["outcome"]), (&"summary".into(), &"different".into()));
    assert_eq!(summary["workspaces"][0]["tables"]["scope_marks"]["differences"], 1);

    // A hole: what cannot be found out is not called equal.
    change("DELETE FROM log.events WHERE workspace = 2").await;
    assert_snapshot!(said(&highwater(&pool, "verify --workspace globex").await), @r"
    globex: not verified to its end: the log cannot be replayed past position 0: the log has a hole here
    campaign_model: unverified
    exit status 2
    ");
    assert_snapshot!(said(&highwater(&pool, "verify --workspace initech").await), @r"
    error: there is no workspace `initech`
    exit status 2
    ");
    assert_snapshot!(said(&highwater(&pool, "verify horoscopes").await), @r#"
    error: there is no projection "horoscopes"
    exit status 2
    "#);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn parked_parts_can_be_listed_retried_and_skipped(pool: PgPool) {
    let open = "keys create --workspace acme --create-workspace --time-zone UTC --currency EUR --name n --scopes read";
    accepted(&highwater(&pool, open).await);
    assert!(accepted(&highwater(&pool, "parked list").await).contains("nothing is parked"));
    sqlx::raw_sql(
        "INSERT INTO log.events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                                 workspace, position, recorded_at)
         SELECT 'meteors', workspace || '/m', n, 'MeteorFell', '1', '{}', '{}', workspace, n + 1, now()
         FROM log.workspaces, generate_series(1, 2) n;
         UPDATE log.heads SET position = 3;",
    )
    .execute(&pool)
    .await
    .unwrap();
    catch_up(&pool).await;
    let shown = accepted(&highwater(&pool, "status").await);
    assert!(shown.contains("caught up") && shown.contains("2 events in 1 parts"), "{shown}");
    let listed = accepted(&highwater(&pool, "parked list").await);
    for said in ["acme", "meteors m", "the stream type \"meteors\" is not known"] {
        assert!(listed.contains(said), "{listed}");
    }
    // A rebuild parks the same: that is no difference, but it is said, and no error.
    assert_snapshot!(said(&highwater(&pool, "verify").await), @r#"
    acme: 3 rows at position 3: no difference
    acme: position 2 of meteors m: parked, 2 events wait: the stream type "meteors" is not known
    campaign_model: equal
    exit status 0
    "#);
    let told: Value = serde_json::from_str(&accepted(&highwater(&pool, "status --json").await)).unwrap();
    let part = &told["parked"][0];
    assert_eq!((&part["stream_type"], &part["position"], &part["waiting"]), (&json!("meteors"), &json!(2), &json!(2)));
    assert_eq!(told["logs"][0]["parked_events"], 2);
    let tried = highwater(&pool, "parked retry --workspace acme").await;
    let said = String::from_utf8_lossy(&tried.stdout);
    assert!(!tried.status.success() && said.contains("refused at position 2"), "{said}");

    refused(&highwater(&pool, "parked retry --position 3").await, "position 3");
    refused(&highwater(&pool, "parked skip --workspace nobody --position 2 --reason why").await, "nobody");
    refused(&highwater(&pool, "parked skip --workspace acme --position 3 --reason why").await, "position 3");
    let next = highwater(&pool, "parked skip --workspace acme --position 2 --reason rock").await;
    let said = String::from_utf8_lossy(&next.stdout);
    assert!(!next.status.success() && said.contains("refused at position 3"), "{said}");
    let number: i32 = sqlx::query_scalar("SELECT workspace FROM log.workspaces").fetch_one(&pool).await.unwrap();
    let last = format!("parked skip --workspace {number} --position 3 --reason rock");
    assert!(accepted(&highwater(&pool, &last).await).contains("applied"));
    assert!(accepted(&highwater(&pool, "parked list").await).contains("nothing is parked"));
}
