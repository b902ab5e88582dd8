use futures_util::FutureExt;
use futures_util::future::join_all;

use super::*;

/// Doubles even numbers; there is nothing to odd ones, 13 is a bug, and to 17 nothing is said while it is [`held`].
fn doubles<'a>(db: &'a mut Connection, numbers: &'a [i32]) -> BoxFuture<'a, Result<HashMap<i32, i32>, ReadError>> {
    async move {
        assert!(!numbers.contains(&13), "nobody expected 13");
        if numbers.contains(&17) {
            sqlx::query("SELECT pg_advisory_xact_lock(17)").execute(db.ask()).await?;
        }
        let pairs: Vec<(i32, i32)> = sqlx::query_as("SELECT n, 2 * n FROM unnest($1) n WHERE n % 2 = 0")
            .bind(numbers)
            .fetch_all(db.ask())
            .await?;
        Ok(pairs.into_iter().collect())
    }
    .boxed()
}

#[sqlx::test(migrations = false)]
async fn each_is_told_what_it_asked_for(pool: PgPool) {
    let together = BatchLoader::new(pool, doubles);
    let told = join_all([2, 3, 4, 2].map(|number| together.load(number))).await;
    let told: Vec<_> = told.into_iter().map(|double| double.map(|double| *double)).collect();
    assert_eq!(told, [Some(4), None, Some(8), Some(4)]);
}

#[sqlx::test(migrations = false)]
async fn nobody_waits_for_a_question_that_failed(pool: PgPool) {
    let together = BatchLoader::new(pool.clone(), doubles);
    assert_eq!(join_all([2, 13].map(|number| together.load(number))).await, [None, None]);
    assert_eq!(together.load(2).await.as_deref(), Some(&4));
    pool.close().await;
    assert_eq!(together.load(2).await, None);
}

/// Until it is rolled back, nothing is said to 17.
async fn held(pool: &PgPool) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut held = pool.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(17)").execute(&mut *held).await.unwrap();
    held
}

#[sqlx::test(migrations = false)]
async fn while_one_question_is_under_way_another_is_asked(pool: PgPool) {
    let held = held(&pool).await;
    let together = BatchLoader::new(pool, doubles);
    let under_way = tokio::spawn({
        let together = together.clone();
        async move { together.load(17).await }
    });
    while together.waiting().asking == 0 || !together.waiting().callers.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(together.load(2).await.as_deref(), Some(&4));
    held.rollback().await.unwrap();
    assert_eq!(under_way.await.unwrap(), None);
}

#[sqlx::test(migrations = false)]
async fn nobody_waits_for_a_database_that_says_nothing(pool: PgPool) {
    let held = held(&pool).await;
    let together = BatchLoader { patience: Duration::from_millis(1), ..BatchLoader::new(pool.clone(), doubles) };
    assert_eq!(together.load(17).await, None);
    // Who was impatient asks for whoever comes before it ends, too.
    while together.waiting().asking > 0 {
        tokio::task::yield_now().await;
    }
    let together = BatchLoader { patience: TIMEOUT, ..together };
    assert_eq!(together.load(2).await.as_deref(), Some(&4));
    held.rollback().await.unwrap();
}
