//! What a restore left out of what the migrations made: roles, which belong to the cluster and are in no dump; owners
//! and rights; and the schema `read`, which the logs can fill again. The migrations themselves say what belongs there:
//! those that are applied run once more, beside what is there, in a transaction.

use anyhow::{Context, ensure};
use event_store::MIGRATOR;
use sqlx::{Connection, PgConnection, Postgres, Transaction};

/// The role of each part.
const ROLES: [&str; 3] = ["highwater_command", "highwater_projector", "highwater_read"];

/// Moves what is there aside, so that the migrations can run.
const SET_ASIDE: &str = "ALTER SCHEMA log RENAME TO log_aside; ALTER SCHEMA auth RENAME TO auth_aside";

/// Removes what the migrations made beside it, except the read tables, which depend on nothing of it.
const PUT_BACK: &str = "DROP SCHEMA log CASCADE; DROP SCHEMA auth CASCADE;
    ALTER SCHEMA log_aside RENAME TO log; ALTER SCHEMA auth_aside RENAME TO auth";

/// Makes whole what a restore left out, and says what it made. Concurrent runs wait for each other.
pub(super) async fn make_whole(admin: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    if !is_migrated(admin).await? {
        return Ok(Vec::new());
    }
    let mut transaction = admin.begin().await?;
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('highwater.repair'))").execute(&mut *transaction).await?;
    let mut made = make_roles(&mut transaction).await?;
    if lacks_read(&mut transaction).await? {
        make_read(&mut transaction).await.context("the schema `read` is missing and was not made")?;
        made.push("the schema `read`, empty: a projector fills it from the logs".to_owned());
    }
    if lacks_rights(&mut transaction).await? {
        restore_rights(&mut transaction).await.context("owners and rights of the roles were not restored")?;
        made.push("owners and rights".to_owned());
    }
    transaction.commit().await?;
    Ok(made)
}

/// Whether migrations were applied. Logs without the list of those that made them are an error.
async fn is_migrated(admin: &mut PgConnection) -> anyhow::Result<bool> {
    let found = sqlx::query!(
        r#"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS "list!", to_regnamespace('log') IS NOT NULL AS "log!",
                  to_regnamespace('auth') IS NOT NULL AS "auth!""#
    )
    .fetch_one(admin)
    .await?;
    ensure!(
        found.list || !found.log,
        "the database holds logs, but not the table `_sqlx_migrations` of the schema `public`: restore a dump that \
         leaves out no more than the schema `read` (pg_dump --exclude-schema=read)"
    );
    ensure!(
        !found.list || found.log && found.auth,
        "the migrations are applied, but the schema `log` or `auth` is missing: restore a dump that leaves out no more \
         than the schema `read` (pg_dump --exclude-schema=read)"
    );
    Ok(found.list)
}

async fn make_roles(transaction: &mut Transaction<'_, Postgres>) -> anyhow::Result<Vec<String>> {
    let lacking = sqlx::query!(
        r#"SELECT name AS "name!", rolname IS NOT NULL AS "is_there!", current_user::text AS "user!"
           FROM unnest($1::text[]) name LEFT JOIN pg_roles ON rolname = name
           WHERE CASE WHEN rolname IS NULL THEN true ELSE NOT pg_has_role(current_user, rolname, 'MEMBER') END"#,
        &ROLES.map(str::to_owned)
    )
    .fetch_all(&mut **transaction)
    .await?;
    let mut made = Vec::new();
    for role in lacking {
        let (name, user) = (role.name, role.user);
        let create = if role.is_there { String::new() } else { format!("CREATE ROLE {name} NOLOGIN; ") };
        let sql = format!("{create}GRANT {name} TO CURRENT_USER");
        sqlx::raw_sql(&sql).execute(&mut **transaction).await.with_context(|| {
            format!(
                "the role `{name}` is not in this cluster or not granted to `{user}`, who may not do that. As a \
                 superuser run: {create}GRANT {name} TO \"{user}\";"
            )
        })?;
        made.push(format!("the role `{name}`"));
    }
    Ok(made)
}

/// Whether the schema `read` is missing, or holds tables of epochs without the row of any: their data was left out.
async fn lacks_read(transaction: &mut Transaction<'_, Postgres>) -> anyhow::Result<bool> {
    let is_there = sqlx::query_scalar!(
        r#"SELECT to_regclass('read.epochs') IS NOT NULL AND to_regclass('read.campaigns') IS NOT NULL AS "is_there!""#
    )
    .fetch_one(&mut **transaction)
    .await?;
    if !is_there {
        return Ok(true);
    }
    let lacks_rows = sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (SELECT FROM read.epochs)
                  AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = 'read.campaigns'::regclass) AS "lacks_rows!""#
    )
    .fetch_one(&mut **transaction)
    .await?;
    Ok(lacks_rows)
}

async fn make_read(transaction: &mut Transaction<'_, Postgres>) -> anyhow::Result<()> {
    sqlx::raw_sql("DROP SCHEMA IF EXISTS read CASCADE").execute(&mut **transaction).await?;
    sqlx::raw_sql(SET_ASIDE).execute(&mut **transaction).await?;
    run_applied(transaction).await?;
    sqlx::raw_sql(PUT_BACK).execute(&mut **transaction).await?;
    Ok(())
}

/// Runs the migrations that are applied, without noting them.
async fn run_applied(transaction: &mut Transaction<'_, Postgres>) -> anyhow::Result<()> {
    let applied: Vec<i64> = sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
        .fetch_all(&mut **transaction)
        .await?;
    for migration in MIGRATOR.iter().filter(|migration| applied.contains(&migration.version)) {
        sqlx::raw_sql(&migration.sql)
            .execute(&mut **transaction)
            .await
            .with_context(|| format!("migration {} did not run again", migration.version))?;
    }
    Ok(())
}

/// Whether a role lacks its rights, or does not own what it must. A dump holds all of them or, restored without the
/// roles, none.
async fn lacks_rights(transaction: &mut Transaction<'_, Postgres>) -> anyhow::Result<bool> {
    let lacks = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM unnest($1::text[]) role WHERE NOT has_schema_privilege(role, 'log', 'USAGE'))
               OR NOT has_table_privilege('highwater_command', 'log.events', 'INSERT')
               OR NOT has_table_privilege('highwater_read', 'auth.keys', 'SELECT')
               OR NOT has_schema_privilege('highwater_read', 'read', 'USAGE')
               OR EXISTS (SELECT FROM pg_class
                          WHERE relnamespace = 'read'::regnamespace AND relkind IN ('r', 'p', 'm')
                            AND relowner <> 'highwater_projector'::regrole) AS "lacks!""#,
        &ROLES.map(str::to_owned)
    )
    .fetch_one(&mut **transaction)
    .await?;
    Ok(lacks)
}

/// Gives every object the owner and the rights that the migrations give it.
async fn restore_rights(transaction: &mut Transaction<'_, Postgres>) -> anyhow::Result<()> {
    let mut beside = transaction.begin().await?;
    sqlx::raw_sql(SET_ASIDE).execute(&mut *beside).await?;
    sqlx::raw_sql("ALTER SCHEMA read RENAME TO read_aside").execute(&mut *beside).await?;
    run_applied(&mut beside).await?;
    let statements: Vec<String> = sqlx::query_scalar(RIGHTS).bind(ROLES.as_slice()).fetch_all(&mut *beside).await?;
    beside.rollback().await?;
    for statement in statements {
        sqlx::raw_sql(&statement)
            .execute(&mut **transaction)
            .await
            .with_context(|| format!("cannot run: {statement}"))?;
    }
    // The partitions, which no migration makes, belong to whoever owns their parents.
    let partitions: Vec<String> = sqlx::query_scalar(
        "SELECT format('ALTER TABLE read.%I OWNER TO highwater_projector', relname) FROM pg_class
         WHERE relnamespace = 'read'::regnamespace AND relkind IN ('r', 'p')
           AND relowner <> 'highwater_projector'::regrole",
    )
    .fetch_all(&mut **transaction)
    .await?;
    for statement in partitions {
        sqlx::raw_sql(&statement).execute(&mut **transaction).await?;
    }
    Ok(())
}

/// The statements that give every object of the schemas its owner, if that is a role of ours, and its rights.
const RIGHTS: &str = "
WITH part AS (SELECT oid, rolname FROM pg_roles WHERE rolname = ANY ($1)),
ours AS (SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname IN ('log', 'auth', 'read')),
object AS (
    SELECT 'SCHEMA' AS kind, quote_ident(nspname) AS name, nspowner AS owner,
           coalesce(nspacl, acldefault('n', nspowner)) AS rights
    FROM ours
    UNION ALL
    SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, format('%I.%I', nspname, relname), relowner,
           coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r'::\"char\" END, relowner))
    FROM pg_class JOIN ours ON ours.oid = relnamespace WHERE relkind IN ('r', 'p', 'v', 'm', 'S')
    UNION ALL
    SELECT 'FUNCTION', format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(pg_proc.oid)), proowner,
           coalesce(proacl, acldefault('f', proowner))
    FROM pg_proc JOIN ours ON ours.oid = pronamespace
),
statement AS (
    SELECT 1 AS step, kind <> 'SCHEMA' AS inner_one, format('ALTER %s %s OWNER TO %I', kind, name, rolname) AS text
    FROM object JOIN part ON part.oid = owner
    UNION ALL
    SELECT 2, true, format('REVOKE ALL ON %s %s FROM PUBLIC, %s', kind, name,
                           (SELECT string_agg(quote_ident(rolname), ', ') FROM part))
    FROM object
    UNION ALL
    SELECT 3, true, format('GRANT %s ON %s %s TO %s', privilege_type, kind, name,
                           coalesce(quote_ident(rolname), 'PUBLIC'))
    FROM object CROSS JOIN aclexplode(rights) LEFT JOIN part ON part.oid = grantee
    WHERE grantee = 0 OR part.oid IS NOT NULL
)
SELECT text FROM statement ORDER BY step, inner_one, text";
