use futures_util::FutureExt;
use futures_util::future::join_all;

use super::*;

/// Doubles even numbers. Odd ones have no value, 13 panics, and 17 blocks while it is [`held`].
fn doubles<'a>(db: &'a mut Connection, numbers: &'a [i32]) -> BoxFuture<'a, Result<HashMap<i32, i32>, ReadError>> {
    async move {
        assert!(!numbers.contains(&13), "13 panics");
        if numbers.contains(&17) {
            sqlx::query("SELECT pg_advisory_xact_lock(17)").execute(db.statement()).await?;
        }
        let pairs: Vec<(i32, i32)> = sqlx::query_as("SELECT n, 2 * n FROM unnest($1) n WHERE n % 2 = 0")
            .bind(numbers)
            .fetch_all(db.statement())
            .await?;
        Ok(pairs.into_iter().collect())
    }
    .boxed()
}

#[sqlx::test(migrations = false)]
async fn each_caller_gets_its_own_value(pool: PgPool) {
    let loader = BatchLoader::new(pool, doubles);
    let values = join_all([2, 3, 4, 2].map(|number| loader.load(number))).await;
    let values: Vec<_> = values.into_iter().map(|double| double.map(|double| *double)).collect();
    assert_eq!(values, [Some(4), None, Some(8), Some(4)]);
}

#[sqlx::test(migrations = false)]
async fn failed_load_releases_its_callers(pool: PgPool) {
    let loader = BatchLoader::new(pool.clone(), doubles);
    assert_eq!(join_all([2, 13].map(|number| loader.load(number))).await, [None, None]);
    assert_eq!(loader.load(2).await.as_deref(), Some(&4));
    pool.close().await;
    assert_eq!(loader.load(2).await, None);
}

/// Blocks 17 until it is rolled back.
async fn held(pool: &PgPool) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut held = pool.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(17)").execute(&mut *held).await.unwrap();
    held
}

#[sqlx::test(migrations = false)]
async fn loads_while_another_load_is_in_flight(pool: PgPool) {
    let held = held(&pool).await;
    let loader = BatchLoader::new(pool, doubles);
    let first = tokio::spawn({
        let loader = loader.clone();
        async move { loader.load(17).await }
    });
    while loader.waiting().in_flight == 0 || !loader.waiting().callers.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(loader.load(2).await.as_deref(), Some(&4));
    held.rollback().await.unwrap();
    assert_eq!(first.await.unwrap(), None);
}

#[sqlx::test(migrations = false)]
async fn gives_up_a_load_that_gets_no_answer(pool: PgPool) {
    let held = held(&pool).await;
    let loader = BatchLoader { timeout_after: Duration::from_millis(1), ..BatchLoader::new(pool.clone(), doubles) };
    assert_eq!(loader.load(17).await, None);
    while loader.waiting().in_flight > 0 {
        tokio::task::yield_now().await;
    }
    let loader = BatchLoader { timeout_after: TIMEOUT, ..loader };
    assert_eq!(loader.load(2).await.as_deref(), Some(&4));
    held.rollback().await.unwrap();
}
