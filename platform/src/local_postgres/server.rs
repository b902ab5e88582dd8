//! The running server: one child process.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions, Connection, Executor};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::cluster::{SUPERUSER, ended_badly};
use super::config::LocalPostgresConfig;
use super::directory::DataDir;
use super::error::LocalPostgresError;

/// The database that Highwater uses.
pub(super) const DATABASE: &str = "highwater";

/// The port in the socket's name. A private socket may use the default.
const SOCKET_PORT: u16 = 5432;

#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    ended: bool,
    socket: PathBuf,
    port: u16,
    password: Option<String>,
    log: PathBuf,
    log_from: u64,
}

impl Server {
    /// Starts PostgreSQL and waits until it accepts connections. Backends of a killed server may keep the next one from
    /// starting for a moment. So after an unclean end, the start is retried for a while.
    pub(super) async fn launch(directory: &DataDir, config: &LocalPostgresConfig) -> Result<Self, LocalPostgresError> {
        let by = Instant::now() + config.start_within;
        let lingering_until = Instant::now() + Duration::from_secs(15);
        loop {
            let recovering = ended_badly(directory);
            let mut server = Self::spawn(directory, config)?;
            match server.wait_until_ready(by, config.start_within).await {
                Ok(connection) => {
                    server.set_up(connection).await?;
                    return Ok(server);
                }
                Err(LocalPostgresError::NotStarted { .. }) if recovering && Instant::now() < lingering_until => {
                    sleep(Duration::from_millis(200)).await;
                }
                Err(error) => {
                    server.stop().await?;
                    return Err(error);
                }
            }
        }
    }

    fn spawn(directory: &DataDir, config: &LocalPostgresConfig) -> Result<Self, LocalPostgresError> {
        let socket = directory.socket()?;
        let port = if config.loopback_port { free_port()? } else { SOCKET_PORT };
        clear_socket(&socket)?;
        let log = directory.log();
        let file = |what| move |source| LocalPostgresError::File { what, path: log.to_owned(), source };
        let (out, log_from) = open_log(log).map_err(file("open"))?;
        let err = out.try_clone().map_err(file("open"))?;

        let program = directory.programs.postgres();
        let mut postgres = directory.account.command(&program, directory.root());
        postgres.arg("-D").arg(directory.database()).stdout(Stdio::from(out)).stderr(Stdio::from(err));
        configure(&mut postgres, config, &socket, port);
        let child =
            postgres.spawn().map_err(|source| LocalPostgresError::File { what: "run", path: program, source })?;
        let password = config.loopback_port.then(|| URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>()));
        Ok(Self { child, ended: false, socket, port, password, log: log.to_owned(), log_from })
    }

    async fn wait_until_ready(&mut self, by: Instant, within: Duration) -> Result<PgConnection, LocalPostgresError> {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&self.socket)
            .port(self.port)
            .username(SUPERUSER)
            .database("postgres")
            .ssl_mode(PgSslMode::Disable)
            .application_name("highwater-local")
            // One of the statements sets a password.
            .disable_statement_logging();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                self.ended = true;
                return Err(LocalPostgresError::NotStarted { status, log: self.log_tail() });
            }
            match options.connect().await {
                Ok(connection) => return Ok(connection),
                Err(error) if !is_starting(&error) => return Err(error.into()),
                Err(_starting) if Instant::now() >= by => {
                    return Err(LocalPostgresError::NotReady { within, log: self.log_tail() });
                }
                Err(_starting) => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn set_up(&self, mut connection: PgConnection) -> Result<(), LocalPostgresError> {
        let there = sqlx::query_scalar!("SELECT count(*) FROM pg_database WHERE datname = $1", DATABASE)
            .fetch_one(&mut connection)
            .await?;
        if there == Some(0) {
            connection.execute(format!("CREATE DATABASE {DATABASE}").as_str()).await?;
        }
        if let Some(password) = &self.password {
            // Base64url contains no quote that needs escaping.
            connection.execute(format!("ALTER ROLE {SUPERUSER} PASSWORD '{password}'").as_str()).await?;
        }
        connection.close().await?;
        Ok(())
    }

    pub(super) fn url(&self) -> SecretString {
        let port = self.port;
        if let Some(password) = &self.password {
            let url = format!("postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/{DATABASE}?sslmode=disable");
            return SecretString::from(url);
        }
        socket_url(&self.socket, port)
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for the server to end by itself.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.ended = true;
        status
    }

    /// Stops the server fast: sessions end and the log is flushed. A server that hangs is killed without a checkpoint,
    /// and recovers at its next start.
    pub(super) async fn stop(&mut self) -> Result<(), LocalPostgresError> {
        for (signal, patience) in [(Signal::SIGINT, 60), (Signal::SIGQUIT, 10)] {
            if self.ended {
                return Ok(());
            }
            self.send(signal);
            if let Ok(_status) = timeout(Duration::from_secs(patience), self.child.wait()).await {
                self.ended = true;
            }
        }
        if !self.ended {
            return Err(LocalPostgresError::NotStopped);
        }
        Ok(())
    }

    /// Removes a socket directory outside the data directory. PostgreSQL removes the socket itself.
    fn clear_away(&self) {
        if !self.log.parent().is_some_and(|ours| self.socket.starts_with(ours)) {
            // A killed server leaves its socket in the directory; then it stays for the next start.
            let _ = fs::remove_dir(&self.socket);
        }
    }

    fn send(&self, signal: Signal) {
        let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) else { return };
        if let Err(error) = kill(Pid::from_raw(pid), signal) {
            tracing::warn!(pid, %signal, %error, "cannot signal the private PostgreSQL");
        }
    }

    /// The end of the log since this server was started.
    pub(super) fn log_tail(&self) -> String {
        const MOST: u64 = 2_000;
        let read = || {
            let mut log = File::open(&self.log)?;
            let from = self.log_from.max(log.metadata()?.len().saturating_sub(MOST));
            log.seek(SeekFrom::Start(from))?;
            let mut tail = Vec::new();
            log.read_to_end(&mut tail)?;
            io::Result::Ok(String::from_utf8_lossy(&tail).trim().to_owned())
        };
        read().unwrap_or_else(|error| format!("(cannot read {}: {error})", self.log.display()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        if !self.ended && matches!(self.child.try_wait(), Ok(None)) {
            self.send(Signal::SIGINT);
            let by = Instant::now() + PATIENCE;
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < by {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.clear_away();
    }
}

fn configure(postgres: &mut Command, config: &LocalPostgresConfig, socket: &Path, port: u16) {
    let mut set = |name: &str, value: &str| {
        postgres.arg("-c").arg(format!("{name}={value}"));
    };
    let directories = format!("\"{}\"", socket.to_string_lossy().replace('"', "\"\""));
    set("unix_socket_directories", &directories);
    set("listen_addresses", if config.loopback_port { "127.0.0.1" } else { "" });
    set("port", &port.to_string());
    set("cluster_name", "highwater");
    set("max_connections", &config.max_connections.to_string());
    set("shared_buffers", &format!("{}MB", config.shared_buffers_mb));
    // An epoch's partitions are many small tables, and each needs locks.
    set("max_locks_per_transaction", "256");
    set("max_wal_size", "2GB");
    set("checkpoint_timeout", "15min");
    // Compiling a plan costs more than these short statements take.
    set("jit", "off");
    set("timezone", "UTC");
    set("log_timezone", "UTC");
    set("logging_collector", "off");
    set("log_checkpoints", "off");
    if !config.durable {
        // Commits still reach the operating system before they are answered, so a killed server loses none.
        set("fsync", "off");
    }
}

/// The URL of the database behind a socket. It needs no password.
pub(super) fn socket_url(socket: &Path, port: u16) -> SecretString {
    let host = percent_encoded(socket);
    SecretString::from(format!("postgres://{SUPERUSER}@localhost:{port}/{DATABASE}?host={host}&sslmode=disable"))
}

/// Whether the server is still starting: it is not there yet, it recovers, or the database, which is created last, is
/// missing.
pub(super) fn is_starting(error: &sqlx::Error) -> bool {
    const CANNOT_CONNECT_NOW: &str = "57P03";
    const NO_SUCH_DATABASE: &str = "3D000";
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| [CANNOT_CONNECT_NOW, NO_SUCH_DATABASE].contains(&&*code))
        }
        _ => false,
    }
}

/// Removes the files of a killed server from its private directory. They would block the next start if their process id
/// is in use again.
fn clear_socket(socket: &Path) -> Result<(), LocalPostgresError> {
    let file = |what| move |source| LocalPostgresError::File { what, path: socket.to_owned(), source };
    for entry in fs::read_dir(socket).map_err(file("read"))? {
        let entry = entry.map_err(file("read"))?;
        if entry.file_name().to_string_lossy().starts_with(".s.PGSQL.") {
            fs::remove_file(entry.path()).map_err(file("clear"))?;
        }
    }
    Ok(())
}

fn free_port() -> Result<u16, LocalPostgresError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|addr| addr.port())
        .map_err(|source| LocalPostgresError::File { what: "find a free port on", path: "127.0.0.1".into(), source })
}

/// Opens the log for appending and returns its length. A long log is renamed once.
fn open_log(path: &Path) -> io::Result<(File, u64)> {
    const LONG: u64 = 16 << 20;
    if fs::metadata(path).is_ok_and(|log| log.len() > LONG) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    let log = File::options().create(true).append(true).open(path)?;
    let length = log.metadata()?.len();
    Ok((log, length))
}

/// A path, percent-encoded for a parameter of a URL.
fn percent_encoded(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;

    path.as_os_str().as_bytes().iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}
