//! A connection that is closed when its caller goes away.
//!
//! A caller may disconnect or time out while the database works. A connection that went back to the pool then would be
//! unusable until its statement ends. It is closed instead. The database notices within a second
//! (`client_connection_check_interval`) and cancels the statement.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, Stream, StreamExt};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTransactionManager, PgTypeInfo};
use sqlx::{Describe, Either, Error, Execute, Executor, PgConnection, PgPool, Postgres, TransactionManager};

/// A connection of the pool, which goes back to it unless it is dropped during a statement.
#[derive(Debug)]
pub(crate) struct Connection {
    pooled: PoolConnection<Postgres>,
    is_executing: bool,
}

impl Connection {
    pub(crate) async fn acquire(pool: &PgPool) -> Result<Self, Error> {
        Ok(Self { pooled: pool.acquire().await?, is_executing: false })
    }

    /// Begins a transaction, which is rolled back when the connection is dropped.
    pub(crate) async fn begin(&mut self, begin: &'static str) -> Result<(), Error> {
        self.is_executing = true;
        let begun = PgTransactionManager::begin(&mut self.pooled, Some(begin.into())).await;
        self.is_executing = false;
        begun
    }

    /// The executor of one statement.
    pub(crate) fn statement(&mut self) -> Statement<'_> {
        Statement { db: &mut self.pooled, is_executing: &mut self.is_executing }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.is_executing {
            self.pooled.close_on_drop();
        } else {
            PgTransactionManager::start_rollback(&mut self.pooled);
        }
    }
}

/// The executor of one statement, which records whether the statement has ended.
#[derive(Debug)]
pub struct Statement<'c> {
    db: &'c mut PgConnection,
    is_executing: &'c mut bool,
}

impl<'c> Executor<'c> for Statement<'c> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        RowStream { rows: self.db.fetch_many(query), is_executing: self.is_executing }.boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        async move {
            *self.is_executing = true;
            let row = self.db.fetch_optional(query).await;
            *self.is_executing = false;
            row
        }
        .boxed()
    }

    fn prepare_with<'e, 'q: 'e>(
        self,
        sql: &'q str,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement<'q>, Error>>
    where
        'c: 'e,
    {
        self.db.prepare_with(sql, parameters)
    }

    fn describe<'e, 'q: 'e>(self, sql: &'q str) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        self.db.describe(sql)
    }
}

/// The rows of a statement.
struct RowStream<'e, R> {
    rows: BoxStream<'e, Result<R, Error>>,
    is_executing: &'e mut bool,
}

impl<R> Stream for RowStream<'_, R> {
    type Item = Result<R, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.rows.poll_next_unpin(context);
        *self.is_executing = !matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }
}
