//! Clients that others generate from the OpenAPI documents make the calls of the README.
//!
//! `make described` installs the generators, and says so when it cannot. The programs are in `clients/`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sqlx::PgPool;
use tempfile::TempDir;
use tests::{Caller, TestSystem};
use tokio::process::Command;

const NOW: &str = "2026-11-20T09:30:00Z";

/// How long a generator or a program may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// A system, and a folder in which clients of it are made: `commands` of the command API, `reads` of the read API.
struct Workshop {
    system: TestSystem,
    caller: Caller,
    folder: TempDir,
}

impl Workshop {
    /// Starts the system and saves its documents, as it serves them.
    async fn open(pool: &PgPool) -> Self {
        let system = TestSystem::start_at_work(pool, NOW, |config| config).await;
        let caller = system.workspace("acme").await;
        let folder = tempfile::tempdir().unwrap();
        for (name, url) in [("commands", system.command_url()), ("reads", system.read_url())] {
            let served = reqwest::get(format!("{url}/openapi.json")).await.unwrap();
            let document = served.error_for_status().unwrap().bytes().await.unwrap();
            std::fs::write(folder.path().join(name).with_extension("json"), document).unwrap();
        }
        Self { system, caller, folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a program in the folder, with what a client must know. Fails with what it prints.
    async fn run(&self, program: impl Into<PathBuf>, arguments: &[&str]) {
        let program = program.into();
        let running = Command::new(&program)
            .args(arguments)
            .current_dir(self.path())
            .env("HIGHWATER_COMMAND_URL", self.system.command_url())
            .env("HIGHWATER_READ_URL", self.system.read_url())
            .env("HIGHWATER_KEY", self.caller.key())
            .env("HIGHWATER_NOW", NOW)
            .env("PYTHONPATH", ".")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
        assert!(
            output.status.success(),
            "{} {arguments:?}: {}\n{}",
            program.display(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    async fn close(self) {
        self.system.stop().await;
    }
}

/// Where `make described` has installed a generator.
fn installed(variable: &str) -> PathBuf {
    std::env::var_os(variable).map(PathBuf::from).unwrap()
}

/// A program of `clients/`.
fn program(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stories/clients").join(name);
    OsString::from(path).into_string().unwrap()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
#[ignore = "needs openapi-python-client, which `make described` installs"]
async fn openapi_python_client(pool: PgPool) {
    let tools = installed("HIGHWATER_OPENAPI_PYTHON_CLIENT");
    let workshop = Workshop::open(&pool).await;
    for name in ["commands", "reads"] {
        let document = format!("{name}.json");
        let arguments = ["generate", "--path", &document, "--output-path", name, "--meta", "none"];
        workshop.run(tools.join("bin/openapi-python-client"), &arguments).await;
    }
    workshop.run(tools.join("bin/python"), &[&program("openapi_python_client.py")]).await;
    workshop.close().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
#[ignore = "needs openapi-generator, which `make described` installs"]
async fn openapi_generator(pool: PgPool) {
    let tools = installed("HIGHWATER_OPENAPI_GENERATOR");
    let workshop = Workshop::open(&pool).await;
    for name in ["commands", "reads"] {
        let document = format!("{name}.json");
        let arguments = ["generate", "-g", "python", "-i", &document, "-o", ".", "--package-name", name];
        workshop.run(tools.join("bin/openapi-generator-cli"), &arguments).await;
    }
    workshop.run(tools.join("bin/python"), &[&program("openapi_generator.py")]).await;
    workshop.close().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
#[ignore = "needs openapi-typescript and openapi-fetch, which `make described` installs"]
async fn openapi_fetch(pool: PgPool) {
    let modules = installed("HIGHWATER_OPENAPI_FETCH").join("node_modules");
    let workshop = Workshop::open(&pool).await;
    std::os::unix::fs::symlink(&modules, workshop.path().join("node_modules")).unwrap();
    for file in ["openapi_fetch.ts", "package.json", "tsconfig.json"] {
        std::fs::copy(program(file), workshop.path().join(file)).unwrap();
    }
    for name in ["commands", "reads"] {
        let (document, types) = (format!("{name}.json"), format!("{name}.ts"));
        workshop.run(modules.join(".bin/openapi-typescript"), &[&document, "--output", &types]).await;
    }
    workshop.run(modules.join(".bin/tsc"), &[]).await;
    workshop.run("node", &["out/openapi_fetch.js"]).await;
    workshop.close().await;
}
