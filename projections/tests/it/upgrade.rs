//! Databases that earlier migrations made.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::migrate::Migrator;

/// The migration that renames tables.
const NAMES: i64 = 20_261_122_000_013;

/// The migration after which sources have a life.
const SOURCES: i64 = 20_261_122_000_020;

/// The tables of `campaign_model` at the time of [`NAMES`].
const TABLES: [&str; 16] = [
    "workspaces",
    "campaigns",
    "sources",
    "source_syncs",
    "source_completions",
    "source_grains",
    "campaign_sources",
    "rollup_15m",
    "rollup_hourly",
    "rollup_daily",
    "dimension_values",
    "dimension_totals",
    "corrections",
    "statements",
    "activity",
    "scope_marks",
];

/// Old names and new ones.
const RENAMED: [(&str, &str); 4] = [
    ("increments", "rollup_15m"),
    ("hourly_increments", "rollup_hourly"),
    ("daily_increments", "rollup_daily"),
    ("source_cuts", "source_grains"),
];

/// As the projector, which owns the epochs.
async fn execute(pool: &PgPool, sql: &str) {
    let sql = format!("SET ROLE highwater_projector; {sql}; RESET ROLE");
    sqlx::raw_sql(&sql).execute(pool).await.unwrap();
}

async fn texts(pool: &PgPool, sql: &str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(pool).await.unwrap()
}

/// Makes an empty database one that the migrations before `version` made.
async fn migrate_before(pool: &PgPool, version: i64) {
    // The tests' server may create databases with all migrations.
    let empty = "DROP SCHEMA IF EXISTS read, auth, log CASCADE; DROP TABLE IF EXISTS _sqlx_migrations";
    sqlx::raw_sql(empty).execute(pool).await.unwrap();
    run_before(pool, version).await;
}

async fn run_before(pool: &PgPool, version: i64) {
    let earlier = event_store::MIGRATOR.iter().filter(|migration| migration.version < version).cloned().collect();
    Migrator { migrations: Cow::Owned(earlier), ..Migrator::DEFAULT }.run(pool).await.unwrap();
}

/// The names of all tables, indexes and constraints of the read tables.
async fn names(pool: &PgPool) -> BTreeSet<String> {
    let sql = "SELECT relname::text FROM pg_class WHERE relnamespace = 'read'::regnamespace
               UNION SELECT conname::text FROM pg_constraint WHERE connamespace = 'read'::regnamespace";
    texts(pool, sql).await.into_iter().collect()
}

#[sqlx::test(migrations = false)]
async fn renames_tables_of_existing_databases(pool: PgPool) {
    migrate_before(&pool, NAMES).await;
    let old_tables = TABLES.map(|table| RENAMED.iter().find(|(_, new)| *new == table).map_or(table, |(old, _)| old));
    let old_tables = old_tables.join(",");
    execute(
        &pool,
        &format!(
            "SELECT read.create_epoch('campaign_model', '{{{old_tables}}}');
             SELECT read.prepare_months(1, read.monthly_tables(), '{{2026-11-01Z,2026-12-01Z}}');
             INSERT INTO read.source_cuts VALUES (1, 1, gen_random_uuid(), 'day', 'UTC');
             INSERT INTO read.stops (projection, epoch, workspace, position, reason) VALUES ('campaign_model', 1, 1, 7, '');
             INSERT INTO read.skips (projection, workspace, position, reason) VALUES ('campaign_model', 1, 8, '');
             INSERT INTO read.retention VALUES ('campaign_model', 'increments', 2, '2026-11-01Z', now());
             INSERT INTO read.epoch_retention (table_name, epoch, projection, before, changed_at)
             VALUES ('increments', 1, 'campaign_model', '2026-11-01Z', now())"
        ),
    )
    .await;
    for table in ["increments", "hourly_increments", "daily_increments"] {
        execute(
            &pool,
            &format!(
                "INSERT INTO read.{table} SELECT 1, 1, gen_random_uuid(), gen_random_uuid(), bucket, 'clicks', 5, bucket
                 FROM unnest('{{2026-11-21T10:00Z,2026-12-01T10:00Z}}'::timestamptz[]) AS bucket"
            ),
        )
        .await;
    }

    run_before(&pool, NAMES + 1).await;

    // What was there has the names of what is created from now on.
    let upgraded = names(&pool).await;
    execute(
        &pool,
        "SELECT read.create_epoch('campaign_model', (SELECT tables FROM read.epochs));
         SELECT read.prepare_months(2, read.monthly_tables(), '{2026-11-01Z,2026-12-01Z}')",
    )
    .await;
    let created: BTreeSet<_> = names(&pool).await.difference(&upgraded).cloned().collect();
    let created = created.iter().map(|name| name.replace("_e2", "_e1")).collect();
    let of_first_epoch: BTreeSet<_> = upgraded.iter().filter(|name| name.contains("_e1")).cloned().collect();
    let differing: Vec<_> = of_first_epoch.symmetric_difference(&created).collect();
    assert!(differing.is_empty(), "{differing:?}");
    let old = ["increments", "stops", "skips", "cuts"];
    let left: Vec<_> = upgraded.iter().filter(|name| old.iter().any(|word| name.contains(word))).collect();
    assert!(left.is_empty(), "{left:?}");

    assert_eq!(texts(&pool, "SELECT unnest(tables) FROM read.epochs WHERE epoch = 1").await, TABLES);
    assert_eq!(
        texts(&pool, "SELECT read.months_before('rollup_15m', 1, '2026-12-01Z')").await,
        ["rollup_15m_e1_202611"]
    );
    for (table, rows) in [
        ("rollup_15m", 2),
        ("rollup_hourly", 2),
        ("rollup_daily", 2),
        ("source_grains", 1),
        ("stopped_logs", 1),
        ("skipped_events", 1),
        ("retention WHERE table_name = 'rollup_15m'", 1),
        ("epoch_retention WHERE table_name = 'rollup_15m' AND epoch = 1", 1),
    ] {
        let counted: i64 =
            sqlx::query_scalar(&format!("SELECT count(*) FROM read.{table}")).fetch_one(&pool).await.unwrap();
        assert_eq!(counted, rows, "{table}");
    }
    let definitions = "SELECT prosrc FROM pg_proc WHERE pronamespace IN ('read'::regnamespace, 'log'::regnamespace)
                       UNION SELECT pg_get_viewdef('read.leaderboard'::regclass)";
    let stale = ["increments", "source_cuts", "tables_by_row", "log.judge"];
    let stale: Vec<_> = texts(&pool, definitions)
        .await
        .into_iter()
        .filter(|definition| stale.iter().any(|name| definition.contains(name)))
        .collect();
    assert!(stale.is_empty(), "{stale:?}");
}

#[sqlx::test(migrations = false)]
async fn sources_of_existing_databases_can_be_read_until_a_replay(pool: PgPool) {
    migrate_before(&pool, SOURCES).await;
    let id = "019abcde-0000-7000-8000-000000000002";
    execute(
        &pool,
        &format!(
            "SELECT read.create_epoch('campaign_model', '{{{}}}');
             INSERT INTO read.sources VALUES (1, 1, '{id}', 'ads', 'paid_search', 'pull', 'primary', '{{}}', 'UTC', 'EUR', 60, 86400);
             INSERT INTO read.source_syncs VALUES
                 (1, 1, '{id}', NULL, '2026-11-21T01:00Z', NULL, NULL, '2026-11-21T00:00Z', 'day')",
            TABLES.join(",")
        ),
    )
    .await;
    let definition = r#"{"name":"ads","channel":"paid_search","kind":"pull","role":"primary","time_zone":"UTC","currency":"EUR","expected_delay_s":60,"restatement_horizon_s":86400}"#;
    let recorded = format!(
        "INSERT INTO log.workspaces (workspace, name, created_at) OVERRIDING SYSTEM VALUE VALUES (1, 'acme', now());
         INSERT INTO log.claims VALUES (1, 'source_name', 'ads', '{id}', '{definition}');
         INSERT INTO log.events (workspace, position, aggregate_type, aggregate_id, sequence, event_type, event_version,
                                 payload, metadata, recorded_at)
         VALUES (1, 1, 'syncs', '1/{id}', 1, 'SyncCompleted', '1',
                 '{{\"SyncCompleted\": {{\"complete_through\": \"2026-11-21T00:00:00Z\"}}}}', '{{}}', now())"
    );
    sqlx::raw_sql(&recorded).execute(&pool).await.unwrap();

    event_store::MIGRATOR.run(&pool).await.unwrap();

    let json = |sql: &'static str| async { sqlx::query_scalar::<_, Value>(sql).fetch_one(&pool).await.unwrap() };
    let horizons = json!({"delivery": 86400, "conversions": 86400});
    let stored = json("SELECT definition FROM read.sources").await;
    let decoded: domain::source::SourceDefinition = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!((decoded.name.as_str(), &stored["horizons"]), ("ads", &horizons));
    let reads = json("SELECT reads FROM read.source_syncs").await;
    let reads: domain::freshness::ReadHistory = serde_json::from_value(reads).unwrap();
    let end = "2026-11-20T00:00:00Z".parse().unwrap();
    assert_eq!(reads.last_read(end), Some("2026-11-21T01:00:00Z".parse().unwrap()));
    let claim = json("SELECT state::json FROM log.claims WHERE kind = 'source_name'").await;
    assert_eq!((&claim["version"], &claim["definition"]["horizons"]), (&json!(1), &horizons));
    assert_eq!(
        texts(&pool, "SELECT state FROM log.claims WHERE kind = 'completeness'").await,
        ["2026-11-21T00:00:00.000000Z"]
    );
}
