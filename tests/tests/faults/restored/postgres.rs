//! A private PostgreSQL that goes back to an earlier state, in each way that one does. The commands are those of
//! docs/operating.md.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use platform::local_postgres::{LocalPostgres, LocalPostgresConfig};
use secrecy::ExposeSecret;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};

/// How the database goes back to an earlier state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The files are copied while it is stopped, and put back.
    CopiedDirectory,
    /// A base backup with archived WAL is recovered to an instant.
    PointInTime,
    /// A standby that lacks the last events is promoted.
    PromotedStandby,
    /// A dump is restored.
    Dump { with_read: bool, target: Target },
}

/// Where a dump is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    NewCluster,
    /// Another database of the same cluster, which then gets the name of the lost one.
    SameCluster,
}

/// A private PostgreSQL whose state can be kept and come back.
pub(super) struct Restorable {
    way: Way,
    config: LocalPostgresConfig,
    running: Option<LocalPostgres>,
    standby: Option<LocalPostgres>,
    /// Where the programs of PostgreSQL are.
    programs: PathBuf,
    /// The instant to which a recovery goes.
    until: String,
    scratch: tempfile::TempDir,
}

impl Restorable {
    pub(super) async fn start(way: Way) -> Self {
        let scratch = tests::Program::scratch();
        let config = config(&scratch.path().join("live"));
        let running = LocalPostgres::start(config.clone()).await.unwrap();
        let mut session = PgConnection::connect(running.url().expose_secret()).await.unwrap();
        let programs: String = sqlx::query_scalar("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
            .fetch_one(&mut session)
            .await
            .unwrap();
        let programs = PathBuf::from(programs);
        let mut made =
            Self { way, config, running: Some(running), standby: None, programs, until: String::new(), scratch };
        match way {
            Way::PointInTime => made.archive_and_base_backup(&mut session).await,
            Way::PromotedStandby => made.start_standby().await,
            Way::CopiedDirectory | Way::Dump { .. } => {}
        }
        made
    }

    pub(super) fn url(&self) -> String {
        self.running.as_ref().unwrap().url().expose_secret().to_owned()
    }

    pub(super) async fn pool(&self) -> PgPool {
        let pool = PgPoolOptions::new().connect(&self.url()).await.unwrap();
        event_store::MIGRATOR.run(&pool).await.unwrap();
        pool
    }

    async fn session(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The files of the database that processes speak to.
    fn live(&self) -> PathBuf {
        self.config.data_dir.join("postgres")
    }

    /// Keeps the state as it is now.
    pub(super) async fn keep(&mut self) {
        match self.way {
            Way::CopiedDirectory => {
                self.stop_live().await;
                run(Command::new("cp").arg("-a").args([self.live(), self.path("next")]));
                self.start_live().await;
            }
            Way::PointInTime => {
                let now = "SELECT clock_timestamp()::text";
                self.until = sqlx::query_scalar(now).fetch_one(&mut self.session().await).await.unwrap();
            }
            Way::PromotedStandby => self.stop_standby_once_it_has_all().await,
            Way::Dump { with_read, .. } => {
                let mut dump = self.program("pg_dump");
                dump.args(["--format", "custom", "--file"]).arg(self.path("highwater.dump"));
                if !with_read {
                    dump.arg("--exclude-schema=read");
                }
                run(dump.arg(self.url()));
            }
        }
    }

    /// Goes back to the state that was kept. Processes find it at the same address.
    pub(super) async fn go_back(&mut self) {
        match self.way {
            Way::CopiedDirectory => {}
            Way::PointInTime => self.prepare_recovery().await,
            Way::PromotedStandby => {
                let standby = self.path("standby/postgres");
                std::fs::rename(standby, self.path("next")).unwrap();
            }
            Way::Dump { target: Target::SameCluster, .. } => return self.restore_beside().await,
            Way::Dump { target: Target::NewCluster, .. } => {
                let other = LocalPostgres::start(config(&self.path("other"))).await.unwrap();
                let url = other.url().expose_secret().to_owned();
                self.restore_dump(&url).await;
                other.stop().await.unwrap();
                std::fs::rename(self.path("other/postgres"), self.path("next")).unwrap();
            }
        }
        self.stop_live().await;
        std::fs::remove_dir_all(self.live()).unwrap();
        std::fs::rename(self.path("next"), self.live()).unwrap();
        self.start_live().await;
        if self.way == Way::PromotedStandby {
            run(self.program("psql").arg(self.url()).args(["--command", "SELECT pg_promote()"]));
        }
        let mut session = self.session().await;
        // Nobody is told when a recovery has ended.
        while sqlx::query_scalar::<_, bool>("SELECT pg_is_in_recovery()").fetch_one(&mut session).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn archive_and_base_backup(&mut self, session: &mut PgConnection) {
        let archive = self.path("archive");
        std::fs::create_dir(&archive).unwrap();
        self.give(&archive);
        for setting in ["archive_mode = on", &format!("archive_command = 'cp %p {}/%f'", archive.display())] {
            sqlx::raw_sql(&format!("ALTER SYSTEM SET {setting}")).execute(&mut *session).await.unwrap();
        }
        self.stop_live().await;
        self.start_live().await;
        self.base_backup("next", &[]);
    }

    fn base_backup(&self, name: &str, arguments: &[&str]) {
        let target = self.path(name);
        let mut backup = self.program("pg_basebackup");
        backup.arg("--pgdata").arg(&target).args(["--checkpoint", "fast", "--dbname"]).arg(self.url()).args(arguments);
        run(&mut backup);
        self.give(&target);
    }

    /// Recovery of the base backup up to the instant, from the archive.
    async fn prepare_recovery(&self) {
        let mut session = self.session().await;
        let last: String =
            sqlx::query_scalar("SELECT pg_walfile_name(pg_switch_wal())").fetch_one(&mut session).await.unwrap();
        while !self.path("archive").join(&last).exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let settings = format!(
            "restore_command = 'cp {}/%f %p'\nrecovery_target_time = '{}'\nrecovery_target_action = promote\n",
            self.path("archive").display(),
            self.until
        );
        let file = self.path("next/postgresql.auto.conf");
        let known = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, known + &settings).unwrap();
        std::fs::write(self.path("next/recovery.signal"), "").unwrap();
        self.give(&self.path("next"));
    }

    async fn start_standby(&mut self) {
        std::fs::create_dir(self.path("standby")).unwrap();
        self.base_backup("standby/postgres", &["--write-recovery-conf"]);
        self.give(&self.path("standby"));
        self.standby = Some(LocalPostgres::start(config(&self.path("standby"))).await.unwrap());
    }

    async fn stop_standby_once_it_has_all(&mut self) {
        let has_all = "SELECT count(*) > 0 FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()";
        let mut session = self.session().await;
        while !sqlx::query_scalar::<_, bool>(has_all).fetch_one(&mut session).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.standby.take().unwrap().stop().await.unwrap();
    }

    /// Restores the dump into another database of the cluster, and gives it the name of the lost one.
    async fn restore_beside(&self) {
        let (lost, beside) = (self.url(), self.url().replace("/highwater?", "/restored?"));
        let server = self.url().replace("/highwater?", "/postgres?");
        run(self.program("createdb").args(["--maintenance-db", &server, "--template", "template0", "restored"]));
        self.restore_dump(&beside).await;
        let mut session = PgConnection::connect(&server).await.unwrap();
        for statement in [
            "ALTER DATABASE highwater ALLOW_CONNECTIONS false",
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname IN ('highwater', 'restored')",
            "ALTER DATABASE highwater RENAME TO lost",
            "ALTER DATABASE restored RENAME TO highwater",
        ] {
            sqlx::raw_sql(statement).execute(&mut session).await.unwrap();
        }
        assert_eq!(lost, self.url());
    }

    async fn restore_dump(&self, url: &str) {
        let mut restore = self.program("pg_restore");
        restore.args(["--exit-on-error", "--no-owner", "--no-privileges", "--dbname", url]);
        run(restore.arg(self.path("highwater.dump")));
        let migrated = tests::highwater(&["migrate"]).env("HIGHWATER_DATABASE_URL", url).output().await.unwrap();
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    }

    fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// Gives files to the user that runs PostgreSQL.
    fn give(&self, path: &Path) {
        let live = self.live();
        let like = format!("--reference={}", live.display());
        run(Command::new("chown").args(["-R", &like]).arg(path));
    }

    async fn stop_live(&mut self) {
        self.running.take().unwrap().stop().await.unwrap();
    }

    async fn start_live(&mut self) {
        self.running = Some(LocalPostgres::start(self.config.clone()).await.unwrap());
    }

    pub(super) async fn stop(mut self) {
        self.stop_live().await;
    }
}

fn config(data_dir: &Path) -> LocalPostgresConfig {
    LocalPostgresConfig { durable: false, ..LocalPostgresConfig::new(data_dir) }
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
