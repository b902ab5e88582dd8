//! `highwater serve`: runs roles against the database at HIGHWATER_DATABASE_URL.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use commands::rejections::RejectionStore;
use event_store::AppenderConfig;
use futures_util::StreamExt;
use platform::clock::SystemClock;
use platform::lifecycle::signals;
use platform::telemetry;

use crate::config::ConfigSources;
use crate::system::{self, ProcessRole, SystemConfig};

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// What this process does.
    #[arg(long, required = true, value_delimiter = ',', value_name = "ROLES")]
    roles: Vec<ProcessRole>,
    /// Where the command API listens.
    #[arg(long, value_name = "ADDR")]
    command_addr: Option<SocketAddr>,
    /// Where the read API listens.
    #[arg(long, value_name = "ADDR")]
    read_addr: Option<SocketAddr>,
    /// A PEM file with the certificate chain of both APIs, leaf first.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// A PEM file with its private key.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A reverse proxy in front speaks TLS, so plain HTTP beyond loopback is meant.
    #[arg(long)]
    behind_proxy: bool,
}

/// Runs the command.
pub async fn run(options: ServeArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    let behind_proxy = options.behind_proxy.then_some(true);
    let mut sources = ConfigSources::of_process(config)
        .flag("command.addr", options.command_addr.map(|addr| addr.to_string()))
        .flag("read.addr", options.read_addr.map(|addr| addr.to_string()));
    for (certificate, key, proxy) in [
        ("command.tls_cert", "command.tls_key", "command.behind_proxy"),
        ("read.tls_cert", "read.tls_key", "read.behind_proxy"),
    ] {
        sources = sources
            .flag(certificate, path(&options.tls_cert))
            .flag(key, path(&options.tls_key))
            .flag(proxy, behind_proxy);
    }
    let config = sources.load()?;
    telemetry::init(&config.telemetry)?;
    let mut stops = signals()?;
    let key = config.rejections.key()?;
    if key.is_none() && options.roles.contains(&ProcessRole::Command) {
        tracing::warn!(
            "no `rejections.key_file`: the keys of rejected items stand in the database, and in its backups"
        );
    }
    let system = SystemConfig {
        database: config.database()?.clone(),
        roles: options.roles.into_iter().collect::<BTreeSet<_>>(),
        command: config.command,
        read: config.read,
        health_addr: config.projector.health_addr,
        projector_limits: config.projector.limits(),
        leaderboard_every: config.projector.leaderboard_every(),
        rebuild: config.projector.rebuild.into(),
        rejections: RejectionStore::new(config.rejections.room(), key),
        command_api: config.links.command_api,
        results_bytes: config.results.max_bytes,
        replay_memory: config.projector.replay_memory(),
        development_key: false,
        appender: AppenderConfig::default(),
        database_wait: Duration::from_secs(config.startup.database_wait_s),
        drain: Duration::from_secs(config.shutdown.drain_s),
    };
    let running = tokio::select! {
        running = system::start(system, SystemClock::shared()) => running?,
        Some(signal) = stops.next() => {
            tracing::info!(signal, "stopped before the start was over");
            return Ok(ExitCode::SUCCESS);
        }
    };
    running.run(stops).await?;
    Ok(ExitCode::SUCCESS)
}
