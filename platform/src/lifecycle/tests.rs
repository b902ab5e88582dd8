use std::convert::Infallible;

use nix::sys::signal::{Signal, raise};
use tokio::sync::oneshot;

use super::*;

const LONG: Duration = Duration::from_hours(1);

async fn until_stopped(token: CancellationToken) -> Result<(), Infallible> {
    token.cancelled().await;
    Ok(())
}

#[tokio::test]
async fn signal_stops_the_stages_in_order() {
    let lifecycle = Lifecycle::new();
    let ended = Arc::new(Mutex::new(Vec::new()));
    for (stage, name) in [(Stage::Base, "database"), (Stage::Core, "appender"), (Stage::Edge, "server")] {
        let (token, ended) = (lifecycle.token(stage), ended.clone());
        lifecycle.spawn(stage, name, async move {
            token.cancelled().await;
            // A stage that stops too early would get ahead here.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            ended.lock().unwrap().push(name);
            Ok::<(), Infallible>(())
        });
    }
    lifecycle.run(stream::iter(["SIGTERM"]), LONG).await.unwrap();
    assert_eq!(*ended.lock().unwrap(), ["server", "appender", "database"]);
}

#[tokio::test]
async fn failed_task_drains_the_others() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn(Stage::Edge, "server", until_stopped(lifecycle.token(Stage::Edge)));
    lifecycle.spawn(Stage::Core, "projector", async { Err(io::Error::other("gone")) });
    let error = lifecycle.run(stream::empty(), LONG).await.unwrap_err();
    assert!(matches!(error, LifecycleError::Failed { task: "projector", .. }), "{error}");
}

#[tokio::test]
async fn early_end_or_panic_counts_as_failure() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn(Stage::Core, "appender", async { Ok::<(), Infallible>(()) });
    let error = lifecycle.run(stream::empty(), LONG).await.unwrap_err();
    assert!(matches!(error, LifecycleError::Ended { task: "appender" }), "{error}");

    let lifecycle = Lifecycle::new();
    lifecycle.spawn::<_, Infallible>(Stage::Core, "appender", async { panic!("on purpose") });
    let error = lifecycle.run(stream::empty(), LONG).await.unwrap_err();
    assert!(matches!(error, LifecycleError::Panicked { task: "appender" }), "{error}");
}

#[tokio::test]
async fn second_signal_aborts_tasks_but_stops_the_base() {
    let lifecycle = Lifecycle::new();
    let (dropped, was_dropped) = oneshot::channel::<()>();
    lifecycle.spawn(Stage::Edge, "server", async move {
        let _dropped = dropped;
        std::future::pending::<Result<(), Infallible>>().await
    });
    lifecycle.spawn(Stage::Base, "database", until_stopped(lifecycle.token(Stage::Base)));
    let error = lifecycle.run(stream::iter(["SIGINT", "SIGINT"]), LONG).await.unwrap_err();
    assert!(matches!(&error, LifecycleError::Dropped { tasks } if tasks == &["server"]), "{error}");
    assert!(was_dropped.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn deadline_aborts_remaining_tasks() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn(Stage::Core, "projector", std::future::pending::<Result<(), Infallible>>());
    lifecycle.spawn(Stage::Base, "database", std::future::pending::<Result<(), Infallible>>());
    let error = lifecycle.run(stream::iter(["SIGINT"]), Duration::from_secs(30)).await.unwrap_err();
    assert!(matches!(&error, LifecycleError::Dropped { tasks } if tasks == &["projector", "database"]), "{error}");
}

#[tokio::test]
async fn both_signals_are_heard() {
    let mut heard = signals().unwrap();
    raise(Signal::SIGTERM).unwrap();
    assert_eq!(heard.next().await, Some("SIGTERM"));
    raise(Signal::SIGINT).unwrap();
    assert_eq!(heard.next().await, Some("SIGINT"));
}
