//! The listener for notifications.

use std::time::Duration;

use futures_util::FutureExt;
use platform::notifications::NotificationListener;
use sqlx::PgPool;

const NEVER: Duration = Duration::from_hours(1);

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn wakes_on_connection_notification_and_poll(pool: PgPool) {
    let notify = async || {
        sqlx::query("SELECT pg_notify('somewhere', '')").execute(&pool).await.unwrap();
    };
    let mut listener = NotificationListener::new(pool.clone(), "somewhere", NEVER);
    listener.changed().await;
    assert!(listener.changed().now_or_never().is_none());
    notify().await;
    listener.changed().await;

    let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    sqlx::query(terminate).execute(&pool).await.unwrap();
    // Once for the loss, once for the new connection, once for the notification.
    listener.changed().await;
    listener.changed().await;
    notify().await;
    listener.changed().await;

    let mut impatient = NotificationListener::new(pool.clone(), "nowhere", Duration::from_millis(1));
    for _ in 0..3 {
        impatient.changed().await;
    }
}
