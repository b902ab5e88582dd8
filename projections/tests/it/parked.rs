//! Events that cannot be applied: the smallest part waits, in order, everything else flows, and once the reason is gone the rows
//! are those of a rebuild.

use domain::bucket::{Bucket, Grain};
use domain::campaign::CampaignEvent;
use domain::measure::Measure;
use domain::observation::ObservationType::Conversion;
use projections::catch_up;
use projections::parked::{RetryOutcome, SkipError, retry_all, skip};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::logs::{
    Log, TestEvent, at, campaign, changed, clicked, corrected, created, date, observed, pools, source, stated,
};
use crate::support::parking::{FORBIDDEN, NOON, allow, bad, click, forbid, garbled, renamed_to_nul, repair, varied};
use crate::support::replaying::{MODEL, rebuild};
use crate::support::rows::{checkpoint, counted, everything, live_epoch, live_rows, parked};

/// The live rows, which must be those of a rebuild.
async fn as_rebuilt(admin: &PgPool, pool: &PgPool, workspace: i32) -> String {
    let before = (live_rows(admin, workspace).await, parked(pool).await);
    rebuild(pool).await;
    assert_eq!((live_rows(admin, workspace).await, parked(pool).await), before);
    before.0
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn undecodable_batch_parks_its_stream(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all([clicked(source(1), campaign(1), at(NOON)), clicked(source(2), campaign(1), at(NOON))]).await;
    let poison = garbled(&mut log, 1).await;
    log.append_all([clicked(source(1), campaign(1), at(NOON)), clicked(source(2), campaign(1), at(NOON))]).await;
    let mut neighbour = Log::opened(&admin).await;
    neighbour.append(clicked(source(1), campaign(1), at(NOON))).await;

    catch_up(&pool).await.unwrap();
    assert_eq!(parked(&pool).await, [(poison, None, 2)]);
    assert_eq!((checkpoint(&pool, log.workspace).await, counted(&admin, log.workspace).await), (log.head(), 3));
    assert_eq!(counted(&admin, neighbour.workspace).await, 1);
    let part = projections::parked::list(&pool).await.unwrap().remove(0);
    assert!(part.reason.contains("invalid type: integer `7`"), "{}", part.reason);
    let shown = projections::status(&pool).await.unwrap();
    let shown = shown.iter().find(|shown| shown.workspace == log.workspace).unwrap();
    assert_eq!((shown.parked.parts, shown.parked.events, &shown.stopped), (1, 2, &None));

    // What comes later waits too, however it is cut into batches.
    log.append(clicked(source(1), campaign(2), at(NOON))).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(parked(&pool).await, [(poison, None, 3)]);
    as_rebuilt(&admin, &pool, log.workspace).await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn parks_stream_of_unknown_type(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let poison = log.append_raw("meteors", "m", "MeteorFell", "{}").await;
    log.append(clicked(source(1), campaign(1), at(NOON))).await;
    log.append_raw("meteors", "m", "MeteorFell", "{}").await;
    let other = log.append_raw("meteors", "n", "MeteorFell", "{}").await;
    catch_up(&pool).await.unwrap();
    assert_eq!(parked(&pool).await, [(poison, None, 2), (other, None, 1)]);
    assert_eq!(counted(&admin, log.workspace).await, 1);
    as_rebuilt(&admin, &pool, log.workspace).await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn observation_of_unlisted_campaign_parks_its_stream(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let id = source(1);
    let payload = format!(r#"{{"source":"{id}","currency":"EUR","campaigns":[],"observations":[["o",0,"click",0]]}}"#);
    let poison = log.append_raw("observations", &id.to_string(), "ObservationsRecorded", &payload).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(parked(&pool).await, [(poison, None, 1)]);
    assert_eq!(projections::parked::list(&pool).await.unwrap()[0].reason, "an observation names campaign 0 of 0");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn campaign_changed_before_creation_is_parked_alone(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let launched = || CampaignEvent::CampaignLaunched { at: at("2026-11-01T00:00:00Z") };
    let poison = log.append(changed(campaign(1), launched())).await;
    log.append_all([created(campaign(1)), created(campaign(2)), changed(campaign(2), launched())]).await;
    log.append(clicked(source(1), campaign(1), at(NOON))).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(parked(&pool).await, [(poison, None, 2)]);
    let known: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT campaign_id FROM read.campaigns").fetch_all(&admin).await.unwrap();
    assert_eq!(known, [campaign(2).0]);
    assert_eq!(counted(&admin, log.workspace).await, 1);
    as_rebuilt(&admin, &pool, log.workspace).await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn finds_event_of_refused_rows(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all((0..20).map(|_| clicked(source(1), campaign(1), at(NOON)))).await;
    log.append_all([created(campaign(1)), created(campaign(2))]).await;
    let poison = renamed_to_nul(&mut log, campaign(1)).await;
    log.append_all([clicked(source(1), campaign(1), at(NOON)), created(campaign(3))]).await;
    log.append(changed(campaign(1), CampaignEvent::CampaignLaunched { at: at(NOON) })).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(parked(&pool).await, [(poison, None, 2)]);
    assert_eq!(counted(&admin, log.workspace).await, 21);
    as_rebuilt(&admin, &pool, log.workspace).await;

    repair(&admin, poison, r#"{"CampaignRenamed":{"name":"ab","at":"2026-11-01T00:00:00Z"}}"#).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(parked(&pool).await, []);
    let rows = as_rebuilt(&admin, &pool, log.workspace).await;
    assert!(rows.contains(",ab,launched,"), "{rows}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn parks_one_campaign_of_a_batch(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all(varied()).await;
    catch_up(&pool).await.unwrap();
    forbid(&admin, campaign(1)).await;
    let first = log.append(observed(source(1), &[click(campaign(2)), bad(campaign(1)), click(campaign(3))])).await;
    log.append(observed(source(1), &[click(campaign(1)), click(campaign(2)), click(campaign(1))])).await;
    log.append(observed(source(1), &[click(campaign(2))])).await;
    let other = log.append(clicked(source(3), campaign(1), at(FORBIDDEN))).await;
    // A correction is named by its place in its batch, which is the same whatever else of the batch waits.
    let sale = (campaign(2), Conversion, at(NOON), -1_000_000, None);
    let TestEvent { stream, event } = corrected(source(1), ("r", "o", at(NOON)), sale, (0, None));
    let domain::event::Event::Observations(mut batch) = event else { unreachable!() };
    batch.campaigns.push(campaign(1));
    let mut moved = batch.observations[0].clone();
    (moved.campaign, moved.correction) = (1, None);
    batch.observations.insert(0, moved);
    log.append(TestEvent { stream, event: domain::event::Event::Observations(batch) }).await;

    catch_up(&pool).await.unwrap();
    let waiting = [(first, Some(campaign(1)), 3), (other, Some(campaign(1)), 1)];
    assert_eq!(parked(&pool).await, waiting);
    assert_eq!(checkpoint(&pool, log.workspace).await, log.head());
    let item: Vec<i32> = sqlx::query_scalar("SELECT item FROM read.corrections").fetch_all(&admin).await.unwrap();
    assert_eq!(item, [1]);
    as_rebuilt(&admin, &pool, log.workspace).await;

    // Trying again changes nothing while the reason lasts.
    let before = live_rows(&admin, log.workspace).await;
    let tried = retry_all(&pool, |part| part.is_live).await.unwrap();
    assert!(tried.iter().all(|(_, retried)| matches!(retried, RetryOutcome::Refused { .. })), "{tried:?}");
    assert_eq!((live_rows(&admin, log.workspace).await, parked(&pool).await), (before, waiting.to_vec()));

    allow(&admin).await;
    let tried = retry_all(&pool, |_| true).await.unwrap();
    assert!(tried.iter().all(|(_, retried)| *retried == RetryOutcome::Applied), "{tried:?}");
    assert_eq!(parked(&pool).await, []);
    as_rebuilt(&admin, &pool, log.workspace).await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn parks_statements_of_campaign_and_applies_newest(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all(varied()).await;
    catch_up(&pool).await.unwrap();
    let forbidding = format!(
        "ALTER TABLE read.statements ADD CONSTRAINT forbidden CHECK (campaign_id <> '{}') NOT VALID",
        campaign(1)
    );
    sqlx::query(&forbidding).execute(&admin).await.unwrap();
    let day = Bucket::Day(date("2026-11-20"));
    let mut say = async |stated_at: &str, value: i64| {
        let measures = [(Measure::Spend, value)];
        let said = |id| (id, day, at(stated_at), measures.as_slice());
        log.append(stated(source(2), Grain::Day, "Europe/Berlin", &[said(campaign(1)), said(campaign(2))])).await
    };
    let first = say("2026-11-21T03:00:00Z", 9_000_000).await;
    say("2026-11-21T02:00:00Z", 8_000_000).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(parked(&pool).await, [(first, Some(campaign(1)), 2)]);
    sqlx::query("ALTER TABLE read.statements DROP CONSTRAINT forbidden").execute(&admin).await.unwrap();
    retry_all(&pool, |_| true).await.unwrap();
    let rows = as_rebuilt(&admin, &pool, log.workspace).await;
    assert_eq!(rows.matches(",9000000,").count(), 2, "{rows}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn parked_campaign_stays_parked_with_its_stream(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all(varied()).await;
    catch_up(&pool).await.unwrap();
    forbid(&admin, campaign(1)).await;
    let both = || observed(source(1), &[click(campaign(1)), click(campaign(2))]);
    let share = log.append(observed(source(1), &[bad(campaign(1)), click(campaign(2))])).await;
    log.append(both()).await;
    let poison = garbled(&mut log, 1).await;
    log.append_all([both(), both()]).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(parked(&pool).await, [(share, Some(campaign(1)), 2), (poison, None, 3)]);
    as_rebuilt(&admin, &pool, log.workspace).await;

    // The campaign comes as far as its stream, and waits with it.
    allow(&admin).await;
    retry_all(&pool, |_| true).await.unwrap();
    assert_eq!(parked(&pool).await, [(poison, None, 3)]);
    as_rebuilt(&admin, &pool, log.workspace).await;

    // And the stream goes on without the campaign, if that is refused again.
    forbid(&admin, campaign(1)).await;
    let good: String = sqlx::query_scalar("SELECT payload::text FROM log.events WHERE position = $1")
        .bind(share)
        .fetch_one(&admin)
        .await
        .unwrap();
    repair(&admin, poison, &good).await;
    retry_all(&pool, |_| true).await.unwrap();
    assert_eq!(parked(&pool).await, [(poison, Some(campaign(1)), 3)]);
    allow(&admin).await;
    retry_all(&pool, |_| true).await.unwrap();
    assert_eq!(parked(&pool).await, []);
    as_rebuilt(&admin, &pool, log.workspace).await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn retry_applies_events_up_to_next_refusal(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let first = garbled(&mut log, 1).await;
    log.append_all((0..3).map(|_| clicked(source(1), campaign(1), at(NOON)))).await;
    let second = garbled(&mut log, 1).await;
    log.append(clicked(source(1), campaign(1), at(NOON))).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(parked(&pool).await, [(first, None, 6)]);
    let good: String = sqlx::query_scalar("SELECT payload::text FROM log.events WHERE position = $1")
        .bind(first + 1)
        .fetch_one(&admin)
        .await
        .unwrap();
    repair(&admin, first, &good).await;
    let tried = retry_all(&pool, |_| true).await.unwrap();
    assert!(matches!(&tried[0].1, RetryOutcome::Refused { position, .. } if *position == second), "{tried:?}");
    assert_eq!((parked(&pool).await, counted(&admin, log.workspace).await), (vec![(second, None, 2)], 4));
    as_rebuilt(&admin, &pool, log.workspace).await;
    repair(&admin, second, &good).await;
    catch_up(&pool).await.unwrap();
    assert_eq!((parked(&pool).await, counted(&admin, log.workspace).await), (vec![], 6));
    as_rebuilt(&admin, &pool, log.workspace).await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rebuild_honours_skipped_events(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all(varied()).await;
    catch_up(&pool).await.unwrap();
    let poison = garbled(&mut log, 3).await;
    log.append_all((0..2).map(|_| clicked(source(3), campaign(1), at(NOON)))).await;
    forbid(&admin, campaign(1)).await;
    let share = log.append(observed(source(1), &[bad(campaign(1)), click(campaign(2))])).await;
    catch_up(&pool).await.unwrap();
    allow(&admin).await;

    assert!(matches!(skip(&pool, MODEL, log.workspace, poison + 1, "why").await, Err(SkipError::NotParked)));
    let skipped = skip(&pool, MODEL, log.workspace, poison, "sent by mistake").await.unwrap();
    assert_eq!(skipped.parts.iter().map(|(_, retried)| retried).collect::<Vec<_>>(), [&RetryOutcome::Applied]);
    let skipped = skip(&pool, MODEL, log.workspace, share, "counted twice").await.unwrap();
    assert_eq!(skipped.parts.len(), 1);
    assert_eq!(parked(&pool).await, []);
    // Two clicks on each of two campaigns, two behind the first poison, and one beside the second.
    assert_eq!(counted(&admin, log.workspace).await, 4 + 2 + 1);
    as_rebuilt(&admin, &pool, log.workspace).await;

    // An epoch that starts over leaves it out as well.
    let before = live_rows(&admin, log.workspace).await;
    sqlx::query("DELETE FROM read.checkpoints").execute(&admin).await.unwrap();
    catch_up(&pool).await.unwrap();
    assert_eq!(live_rows(&admin, log.workspace).await, before);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rebuild_parks_refused_events(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all((0..1_500).map(|_| clicked(source(1), campaign(1), at(NOON)))).await;
    let first = garbled(&mut log, 2).await;
    log.append_all((0..1_500).map(|_| clicked(source(1), campaign(1), at(NOON)))).await;
    let second = garbled(&mut log, 3).await;
    catch_up(&pool).await.unwrap();
    let waiting = vec![(first, None, 1), (second, None, 1)];
    assert_eq!(parked(&pool).await, waiting);
    rebuild(&pool).await;
    assert_eq!(live_epoch(&admin, log.workspace).await, 2);
    assert_eq!(parked(&pool).await, waiting);
    // Both epochs are followed, and both hold back the same.
    log.append(clicked(source(2), campaign(1), at(NOON))).await;
    log.append(clicked(source(1), campaign(1), at(NOON))).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(parked(&pool).await, [(first, None, 2), (second, None, 1)]);
    assert_eq!(everything(&admin, log.workspace, 1, &[]).await, everything(&admin, log.workspace, 2, &[]).await);
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(projections::parked::count(&mut conn, MODEL, 1, None).await.unwrap(), 2);
    assert_eq!(projections::parked::count(&mut conn, MODEL, 2, Some(log.workspace)).await.unwrap(), 2);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn database_failure_parks_nothing(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    catch_up(&pool).await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE failing (code text);
         CREATE FUNCTION read.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE EXCEPTION USING ERRCODE = (SELECT code FROM failing), MESSAGE = 'no';
         END $$;
         GRANT SELECT ON failing TO highwater_projector;
         CREATE TRIGGER fail BEFORE INSERT ON read.rollup_15m_e1 FOR EACH ROW EXECUTE FUNCTION read.fail();",
    )
    .execute(&admin)
    .await
    .unwrap();
    let mut log = Log::opened(&admin).await;
    log.append(clicked(source(1), campaign(1), at(NOON))).await;
    // Disk full, out of memory, cancelled by a timeout, deadlock, serialization, connection lost, lock not available.
    for code in ["53100", "53200", "57014", "40P01", "40001", "08006", "55P03"] {
        sqlx::query("DELETE FROM failing").execute(&admin).await.unwrap();
        sqlx::query("INSERT INTO failing VALUES ($1)").bind(code).execute(&admin).await.unwrap();
        assert!(matches!(catch_up(&pool).await, Err(projections::ProjectorError::Database(_))), "{code}");
        assert_eq!((parked(&pool).await, checkpoint(&pool, log.workspace).await), (vec![], 0), "{code}");
    }
    // While a retry, too, leaves the part as it is.
    sqlx::query("UPDATE failing SET code = '22003'").execute(&admin).await.unwrap();
    catch_up(&pool).await.unwrap();
    let waiting = vec![(2, Some(campaign(1)), 1)];
    assert_eq!(parked(&pool).await, waiting);
    sqlx::query("UPDATE failing SET code = '53100'").execute(&admin).await.unwrap();
    retry_all(&pool, |_| true).await.unwrap_err();
    assert_eq!(parked(&pool).await, waiting);
    sqlx::query("DROP TRIGGER fail ON read.rollup_15m_e1").execute(&admin).await.unwrap();
    catch_up(&pool).await.unwrap();
    assert_eq!((parked(&pool).await, counted(&admin, log.workspace).await), (vec![], 1));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn concurrent_retries_apply_each_event_once(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    catch_up(&pool).await.unwrap();
    let both = || observed(source(1), &[bad(campaign(1)), click(campaign(2))]);
    for round in 1..=8 {
        forbid(&admin, campaign(1)).await;
        log.append(both()).await;
        let rival = || async { catch_up(&pool).await.unwrap() };
        tokio::join!(rival(), rival(), rival());
        assert_eq!(parked(&pool).await.len(), 1);
        assert_eq!(counted(&admin, log.workspace).await, 4 * round - 3);
        allow(&admin).await;
        let retry = || async { drop(retry_all(&pool, |_| true).await.unwrap()) };
        let append = async { log.append(both()).await };
        tokio::join!(append, rival(), retry(), rival(), retry());
        catch_up(&pool).await.unwrap();
        assert_eq!(parked(&pool).await, []);
        assert_eq!(counted(&admin, log.workspace).await, 4 * round);
    }
    as_rebuilt(&admin, &pool, log.workspace).await;
}
