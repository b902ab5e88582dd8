//! Databases that earlier migrations made.

use std::borrow::Cow;
use std::collections::BTreeSet;

use projections::views::CAMPAIGN_MODEL;
use sqlx::PgPool;
use sqlx::migrate::Migrator;

/// The migration that renames tables.
const NAMES: i64 = 20_261_122_000_013;

/// Old names and new ones.
const RENAMED: [(&str, &str); 4] = [
    ("increments", "rollup_15m"),
    ("hourly_increments", "rollup_hourly"),
    ("daily_increments", "rollup_daily"),
    ("source_cuts", "source_grains"),
];

/// Tables of later migrations.
const LATER: [&str; 1] = ["plan_changes"];

/// As the projector, which owns the epochs.
async fn execute(pool: &PgPool, sql: &str) {
    let sql = format!("SET ROLE highwater_projector; {sql}; RESET ROLE");
    sqlx::raw_sql(&sql).execute(pool).await.unwrap();
}

async fn texts(pool: &PgPool, sql: &str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(pool).await.unwrap()
}

/// The names of all tables, indexes and constraints of the read tables.
async fn names(pool: &PgPool) -> BTreeSet<String> {
    let sql = "SELECT relname::text FROM pg_class WHERE relnamespace = 'read'::regnamespace
               UNION SELECT conname::text FROM pg_constraint WHERE connamespace = 'read'::regnamespace";
    texts(pool, sql).await.into_iter().collect()
}

#[sqlx::test(migrations = false)]
async fn renames_tables_of_existing_databases(pool: PgPool) {
    // The tests' server may create databases with all migrations.
    let empty = "DROP SCHEMA IF EXISTS read, auth, log CASCADE; DROP TABLE IF EXISTS _sqlx_migrations";
    sqlx::raw_sql(empty).execute(&pool).await.unwrap();
    let earlier = event_store::MIGRATOR.iter().filter(|migration| migration.version < NAMES).cloned().collect();
    Migrator { migrations: Cow::Owned(earlier), ..Migrator::DEFAULT }.run(&pool).await.unwrap();
    let old_tables = CAMPAIGN_MODEL.tables.iter().filter(|table| !LATER.contains(table)).map(|table| {
        let old = RENAMED.iter().find(|(_, new)| new == table);
        old.map_or(*table, |(old, _)| old)
    });
    let old_tables = old_tables.collect::<Vec<_>>().join(",");
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

    event_store::MIGRATOR.run(&pool).await.unwrap();

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

    let tables: Vec<_> = CAMPAIGN_MODEL.tables.iter().filter(|table| !LATER.contains(table)).copied().collect();
    assert_eq!(texts(&pool, "SELECT unnest(tables) FROM read.epochs WHERE epoch = 1").await, tables);
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
