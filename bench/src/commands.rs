//! One-event commands on new streams: each caller drafts a campaign, waits until it is durable, and drafts the next.
//!
//! Ours: `domain`'s rules, the group-committing appender, a receipt and the claim that the command API writes. The stream
//! is new, so nothing is loaded: the append checks that. The other: postgres-es as its documentation says, with the same
//! aggregate, command and metadata; it loads before each command, and has no receipts.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use domain::campaign::{Campaign, CampaignCommand, decide};
use domain::ids::{CampaignId, WorkspaceId};
use domain::money::{Currency, Money};
use event_store::{
    Alongside, Appender, AppenderConfig, Claim, Expect, Loaded, LogStore, Metadata, Receipt, Then, find_receipt,
    open_workspace,
};
use platform::clock::{Clock, SystemClock};
use platform::database::{Part, connect};
use postgres_es::{PostgresCqrs, default_postgress_pool, postgres_cqrs};
use secrecy::ExposeSecret;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Options;
use crate::report::{Contest, Report};
use crate::server::{Database, Server};

const CONTEST: Contest = Contest { scenario: "commands", other_name: "postgres-es 0.5", unit: "commands/s" };

/// Opens connections and fills caches before it counts.
const WARM_UP: Duration = Duration::from_millis(300);

/// The events table of postgres-es, from its `db/init.sql`.
const PEER_TABLE: &str = "CREATE TABLE events
(
    aggregate_type text                         NOT NULL,
    aggregate_id   text                         NOT NULL,
    sequence       bigint CHECK (sequence >= 0) NOT NULL,
    event_type     text                         NOT NULL,
    event_version  text                         NOT NULL,
    payload        json                         NOT NULL,
    metadata       json                         NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
)";

pub(crate) async fn run(server: &Server, options: &Options, report: &mut Report) -> Result<()> {
    let database = server.database("commands").await?;
    let ours = Arc::new(Ours::start(&database).await?);
    let other = Arc::new(Other::start(&database).await?);
    let length = Duration::from_secs(options.seconds);
    for &callers in &options.callers {
        let (mut direct, mut looked, mut peer) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let side = Arc::clone(&ours);
            direct.push(rate(&database, callers, length, move || Arc::clone(&side).draft(false)).await?);
            let side = Arc::clone(&other);
            peer.push(rate(&database, callers, length, move || Arc::clone(&side).draft()).await?);
            let side = Arc::clone(&ours);
            looked.push(rate(&database, callers, length, move || Arc::clone(&side).draft(true)).await?);
        }
        let plural = if callers == 1 { "caller" } else { "callers" };
        report.add(CONTEST, &format!("{callers} {plural}"), &direct, &peer)?;
        report.add(CONTEST, &format!("{callers} {plural}, receipt looked up first"), &looked, &peer)?;
    }
    Ok(())
}

/// Commands per second that so many callers get done, each sending its next one when the last is answered.
async fn rate<C, F>(database: &Database, callers: usize, length: Duration, command: C) -> Result<f64>
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<()>> + Send,
{
    database.settle().await?;
    callers_for(callers, WARM_UP, command.clone()).await?;
    let began = Instant::now();
    let done = callers_for(callers, length, command).await?;
    Ok(f64::from(done) / began.elapsed().as_secs_f64())
}

async fn callers_for<C, F>(callers: usize, length: Duration, command: C) -> Result<u32>
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<()>> + Send,
{
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..callers {
        let command = command.clone();
        running.spawn(async move {
            let mut done = 0_u32;
            while began.elapsed() < length {
                command().await?;
                done += 1;
            }
            anyhow::Ok(done)
        });
    }
    let mut done = 0;
    while let Some(caller) = running.join_next().await {
        done += caller??;
    }
    Ok(done)
}

struct Ours {
    campaigns: LogStore<Campaign>,
    pool: PgPool,
    workspace: WorkspaceId,
}

impl Ours {
    async fn start(database: &Database) -> Result<Self> {
        let mut admin = database.admin.acquire().await?;
        let workspace = WorkspaceId(open_workspace(&mut admin, "commands", SystemClock.now()).await?);
        let pool = connect(&database.config, Part::Command).await?;
        // The writers end with the last clone of the appender.
        let (appender, _writers) = Appender::start(pool.clone(), AppenderConfig::default(), CancellationToken::new());
        let campaigns = LogStore::new(pool.clone(), appender, &[], || SystemClock.now());
        Ok(Self { campaigns, pool, workspace })
    }

    /// Drafts a campaign. `look_first`: asks for the receipt of an earlier try, as the command API does for a request with
    /// a key; the append looks again by itself either way.
    async fn draft(self: Arc<Self>, look_first: bool) -> Result<()> {
        let at = SystemClock.now();
        let id = CampaignId(Uuid::now_v7());
        let key = Uuid::now_v7().to_string();
        if look_first {
            let earlier = find_receipt(&self.pool, self.workspace.0, &key, at.date_naive()).await?;
            ensure!(earlier.is_none(), "a new key has a receipt");
        }
        let stream = Loaded::<Campaign>::new_stream(id.stream(self.workspace));
        let events = decide(&stream.aggregate, create(id, at)?)?;
        let owner = id.to_string();
        let claim = Claim {
            kind: "campaign",
            key: owner.clone(),
            expect: Expect::Absent,
            then: Then::Put { owner, state: "open".to_owned() },
        };
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(id.0.as_bytes());
        let alongside = Alongside {
            metadata: Metadata(metadata(at)),
            claims: vec![claim],
            receipt: Some(Receipt { key, digest, response: format!(r#"{{"created":"{id}"}}"#) }),
            recorded_at: at,
        };
        let appended = self.campaigns.append(&stream, &events, alongside).await?;
        ensure!(appended.version == 1 && !appended.replayed, "a new stream was not new");
        Ok(())
    }
}

struct Other {
    cqrs: PostgresCqrs<Campaign>,
}

impl Other {
    async fn start(database: &Database) -> Result<Self> {
        sqlx::query(PEER_TABLE).execute(&database.admin).await?;
        let pool = default_postgress_pool(database.config.url.expose_secret()).await;
        Ok(Self { cqrs: postgres_cqrs(pool, Vec::new(), ()) })
    }

    async fn draft(self: Arc<Self>) -> Result<()> {
        let at = SystemClock.now();
        let id = CampaignId(Uuid::now_v7());
        let metadata = metadata(at).into_iter().collect();
        self.cqrs.execute_with_metadata(&id.to_string(), create(id, at)?, metadata).await?;
        Ok(())
    }
}

fn create(campaign: CampaignId, at: DateTime<Utc>) -> Result<CampaignCommand> {
    let currency: Currency = "EUR".parse()?;
    Ok(CampaignCommand::Create {
        campaign,
        name: "Autumn sale, second wave".to_owned(),
        channels: vec!["paid_search".parse()?, "email".parse()?],
        currency,
        time_zone: "Europe/Berlin".parse()?,
        starts_on: at.date_naive(),
        ends_on: None,
        budget: Some(Money { micros: 5_000_000_000, currency }),
        external_ids: Vec::new(),
        attributes: BTreeMap::from([("region".to_owned(), "DACH".to_owned())]),
        at,
    })
}

/// As much of it as a command over HTTP carries.
fn metadata(at: DateTime<Utc>) -> BTreeMap<String, String> {
    BTreeMap::from(
        [
            ("actor", "01939f2e-7c1a-7d3b-9a55-3f0e6c1b2a44".to_owned()),
            ("correlation_id", Uuid::now_v7().to_string()),
            ("received_at", at.to_rfc3339()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    )
}
