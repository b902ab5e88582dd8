//! Many callers, two processes, several logs: one order, one winner.

use std::collections::HashSet;
use std::sync::Arc;

use event_store::{AppendError, AppendRequest, AppenderConfig, ExpectedVersion};
use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Writer, check_log, item, items, receipt, request, take, workspace};

async fn two_processes(connect: &PgConnectOptions) -> [Arc<Writer>; 2] {
    // Small batches, so that there are many to race.
    let config = AppenderConfig { batch_requests: 5, ..AppenderConfig::default() };
    [Arc::new(Writer::start(connect, config).await), Arc::new(Writer::start(connect, config).await)]
}

async fn stop(writers: [Arc<Writer>; 2]) {
    for writer in writers {
        Arc::into_inner(writer).unwrap().stop().await;
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn racing_appends_leave_no_gap(_: PgPoolOptions, connect: PgConnectOptions) {
    const TASKS: usize = 40;
    const ROUNDS: usize = 15;
    let writers = two_processes(&connect).await;
    let workspaces = [workspace(&connect, "a").await, workspace(&connect, "b").await, workspace(&connect, "c").await];
    let tasks = (0..TASKS).map(|task| {
        let writer = Arc::clone(&writers[task % 2]);
        let ws = workspaces[task % 3];
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                // All tasks of a workspace share one stream and overlapping items; each has a stream of its own too.
                let shared = AppendRequest {
                    events: vec![items((0..4).map(|n| item((task + round + n) as u128, 1)).collect())],
                    ..request(ws, "shared")
                };
                let own = AppendRequest {
                    expected: ExpectedVersion::Exact(i64::try_from(round).unwrap()),
                    receipt: Some(receipt(&format!("{task} {round}"), 1, "")),
                    ..request(ws, &format!("own{task}"))
                };
                let (shared, own) = tokio::join!(writer.append(shared), writer.append(own));
                let (shared, own) = (shared.unwrap(), own.unwrap());
                assert_eq!(usize::try_from(own.version).unwrap(), round + 1);
                assert!(shared.conflicts.is_empty());
                assert_ne!(shared.position, own.position);
            }
        })
    });
    for done in join_all(tasks).await {
        done.unwrap();
    }
    for ws in workspaces {
        assert!(check_log(&writers[0].pool, ws).await > 0);
    }
    stop(writers).await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn one_racing_request_wins_each_version(_: PgPoolOptions, connect: PgConnectOptions) {
    let writers = two_processes(&connect).await;
    let ws = workspace(&connect, "acme").await;
    for version in 0..20 {
        let racing = (0..20).map(|task: usize| {
            let at = AppendRequest { expected: ExpectedVersion::Exact(version), ..request(ws, "contended") };
            writers[task % 2].append(at)
        });
        let answers = join_all(racing).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        for lost in answers.into_iter().filter_map(Result::err) {
            assert!(matches!(lost, AppendError::Version { actual } if actual == version + 1), "{lost:?}");
        }
    }
    assert_eq!(check_log(&writers[0].pool, ws).await, 20);
    stop(writers).await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn one_racing_request_wins_each_claim(_: PgPoolOptions, connect: PgConnectOptions) {
    let writers = two_processes(&connect).await;
    let ws = workspace(&connect, "acme").await;
    for name in ["x", "y", "z"] {
        let racing = (0..20).map(|task: usize| {
            let owner = format!("{name}{task}");
            writers[task % 2].append(AppendRequest { claims: vec![take(name, &owner)], ..request(ws, &owner) })
        });
        let answers = join_all(racing).await;
        let winners: Vec<_> = (0..20).filter(|task| answers[*task].is_ok()).collect();
        assert_eq!(winners.len(), 1);
        for lost in answers.into_iter().filter_map(Result::err) {
            let AppendError::Claim { found: Some(found), .. } = lost else { panic!("{lost:?}") };
            assert_eq!(found.owner, format!("{name}{}", winners[0]));
        }
    }
    assert_eq!(check_log(&writers[0].pool, ws).await, 3);
    stop(writers).await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn racing_requests_write_each_item_once(_: PgPoolOptions, connect: PgConnectOptions) {
    let writers = two_processes(&connect).await;
    let workspaces = [workspace(&connect, "a").await, workspace(&connect, "b").await];
    let racing = (0..40_u128).map(|task| {
        // Some are refused, so that ids are freed while others wait for them.
        let expected = if task % 4 == 0 { ExpectedVersion::Exact(1_000) } else { ExpectedVersion::Any };
        let wanted = (0..30).map(|n| item((task * 7 + n * 3) % 100, 1)).collect();
        let ws = workspaces[usize::try_from(task).unwrap() / 2 % 2];
        let events = vec![items(wanted)];
        writers[usize::try_from(task).unwrap() % 2].append(AppendRequest { events, expected, ..request(ws, "a") })
    });
    for answer in join_all(racing).await {
        assert!(matches!(answer, Ok(_) | Err(AppendError::Version { .. })), "{answer:?}");
    }
    for ws in workspaces {
        check_log(&writers[0].pool, ws).await;
        let payloads: Vec<serde_json::Value> = crate::support::log_of(&writers[0].pool, ws)
            .await
            .iter()
            .map(|event| serde_json::from_str(event.payload()).unwrap())
            .collect();
        let written: Vec<_> =
            payloads.iter().flat_map(|payload| payload["ü"].as_array().unwrap()).map(ToString::to_string).collect();
        assert_eq!(written.iter().collect::<HashSet<_>>().len(), written.len());
        let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM log.item_ids WHERE workspace = $1")
            .bind(ws)
            .fetch_one(&writers[0].pool)
            .await
            .unwrap();
        assert_eq!(usize::try_from(kept).unwrap(), written.len());
    }
    stop(writers).await;
}
