//! `highwater serve` in a process of its own: this program, started again to be nothing but the server.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use highwater::commands::serve;
use secrecy::ExposeSecret;
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};

use crate::connection::Connection;
use crate::server::Database;

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

/// A running server.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    pub(crate) command: SocketAddr,
    pub(crate) read: SocketAddr,
    /// What it logs; a server logs each request.
    log: NamedTempFile,
}

impl Service {
    /// Starts one with these roles, such as `command,projector`, and waits until it is ready.
    pub(crate) async fn start(database: &Database, roles: &str) -> Result<Self> {
        Self::start_with(database, roles, &[]).await
    }

    /// The same, with these settings as variables.
    pub(crate) async fn start_with(database: &Database, roles: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let log = NamedTempFile::new()?;
        let (command, read) = (free_address()?, free_address()?);
        let child = Command::new(std::env::current_exe()?)
            .args(["serve", "--roles", roles])
            .args(["--command-addr", &command.to_string(), "--read-addr", &read.to_string()])
            .env("HIGHWATER_DATABASE_URL", database.config.url.expose_secret())
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log.reopen()?)
            .kill_on_drop(true)
            .spawn()?;
        let mut service = Self { child, command, read, log };
        let answering = if roles.contains("command") { command } else { read };
        service.ready(answering).await?;
        Ok(service)
    }

    async fn ready(&mut self, address: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}: {}", self.logged()?);
            }
            let ready = match Connection::open(address, "none").await {
                Ok(mut connection) => {
                    connection.get("/readyz", &[]).await.is_ok_and(|answer| answer.status.is_success())
                }
                Err(_not_yet) => false,
            };
            if ready {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the server was not ready in time: {}", self.logged()?);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn logged(&self) -> Result<String> {
        let mut text = String::new();
        self.log.reopen()?.read_to_string(&mut text)?;
        Ok(text)
    }

    pub(crate) fn process(&self) -> Result<u32> {
        self.child.id().context("the server has ended")
    }

    /// Ends it. Everything that was answered is in the database.
    pub(crate) async fn stop(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = tokio::time::timeout(STOPPED_WITHIN, self.child.wait()).await.context("the server goes on")??;
        ensure!(status.success(), "the server ended with {status}: {}", self.logged()?);
        Ok(())
    }
}

/// An address of loopback that nobody uses now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Serves, until whoever started it closes its standard input, or is gone.
pub(crate) async fn serve(options: serve::ServeArgs) -> Result<()> {
    tokio::select! {
        ended = serve::run(options, None) => ended.map(drop),
        ended = parent_is_done() => ended,
    }
}

/// Returns when whoever started this process closes its standard input, or is gone.
pub(crate) async fn parent_is_done() -> Result<()> {
    let read = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tokio::task::spawn_blocking(read).await??;
    Ok(())
}
