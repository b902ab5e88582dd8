//! What a process is configured by: flags over environment over file over defaults.
//!
//! `highwater.example.toml` documents every key. A variable of the environment is named after its key, with `__`
//! between the section and the field: `HIGHWATER_COMMAND__ADDR`. One has a shorter name besides,
//! `HIGHWATER_DATABASE_URL`. Variables without `__` are left alone, because orchestrators set such names by themselves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use http_edge::{HttpConfig, HttpConfigError};
use platform::config::ConfigError;
use platform::database::DatabaseConfig;
use platform::telemetry::TelemetryConfig;
use projections::{RebuildMode, ReplayMemory};
use serde::Deserialize;
use thiserror::Error;

use crate::system::ProjectorLimits;

/// Everything that `serve` and the operator's commands need to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How to reach the database.
    #[serde(default)]
    pub database: DatabaseConfig,
    /// Logs.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    /// How the command API listens.
    pub command: HttpConfig,
    /// How the read API listens.
    pub read: HttpConfig,
    /// Results that the read API keeps.
    #[serde(default)]
    pub results: ResultsConfig,
    /// The projector.
    #[serde(default)]
    pub projector: ProjectorConfig,
    /// How the process ends.
    #[serde(default)]
    pub shutdown: ShutdownConfig,
}

/// The projector.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectorConfig {
    /// Where a process answers /healthz, /readyz and /metrics, beside the APIs that it serves.
    pub health_addr: Option<SocketAddr>,
    /// A projector that has completed no round over the logs for longer is not ready.
    pub max_silence_s: u64,
    /// A projector that has not applied an older event of its logs is not ready.
    pub max_lag_s: u64,
    /// How often the leaderboard is refreshed; 0: only when asked to.
    pub leaderboard_every_s: u64,
    /// Who rebuilds what an older version built, and builds what a new projection lacks.
    pub rebuild: Rebuild,
    /// What a rebuild or a verify may hold of the memory.
    pub replay_memory_mb: u32,
}

impl Default for ProjectorConfig {
    fn default() -> Self {
        Self {
            health_addr: None,
            max_silence_s: 30,
            max_lag_s: 900,
            leaderboard_every_s: 60,
            rebuild: Rebuild::default(),
            replay_memory_mb: 64,
        }
    }
}

/// Who builds an epoch that this program's version of a projection lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rebuild {
    /// The projector, in the background.
    #[default]
    Automatic,
    /// An operator, with `highwater replay`.
    Manual,
}

impl From<Rebuild> for RebuildMode {
    fn from(rebuild: Rebuild) -> Self {
        match rebuild {
            Rebuild::Automatic => Self::Automatic,
            Rebuild::Manual => Self::Manual,
        }
    }
}

impl ProjectorConfig {
    /// From when on it says that it is not ready.
    pub fn limits(&self) -> ProjectorLimits {
        ProjectorLimits { silence: Duration::from_secs(self.max_silence_s), lag: Duration::from_secs(self.max_lag_s) }
    }

    /// How often the leaderboard is refreshed, if at all.
    pub fn leaderboard_every(&self) -> Option<Duration> {
        (self.leaderboard_every_s > 0).then(|| Duration::from_secs(self.leaderboard_every_s))
    }

    /// What a rebuild or a verify may hold of the memory.
    pub fn replay_memory(&self) -> ReplayMemory {
        // Out of bounds it was refused when it was loaded.
        ReplayMemory::of_mib(self.replay_memory_mb).unwrap_or_default()
    }
}

/// Results that the read API keeps.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResultsConfig {
    /// How much memory they may take; 0: none is kept.
    pub max_bytes: usize,
}

impl Default for ResultsConfig {
    fn default() -> Self {
        Self { max_bytes: 64 << 20 }
    }
}

/// How the process ends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShutdownConfig {
    /// How long requests and batches under way may take to finish after the first signal.
    pub drain_s: u64,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { drain_s: 20 }
    }
}

/// A configuration that cannot be worked with.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file that was named cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A key that is not one, a value of another type, or a file that is no TOML.
    #[error("configuration: {0}")]
    Shape(String),
    /// A value that the section refuses.
    #[error("configuration: {0}")]
    Value(String),
}

/// Where a configuration is read from.
#[derive(Debug, Default)]
pub struct ConfigSources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// Variables, as the process found them.
    pub environment: Vec<(String, String)>,
    /// What flags say, by the key that they overrule.
    pub flags: Vec<(&'static str, Value)>,
    /// What a command takes for its defaults instead of ours.
    pub defaults: Vec<(&'static str, Value)>,
}

impl ConfigSources {
    /// A file, if one was named, and the environment of this process.
    pub fn of_process(file: Option<&Path>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { file: file.map(Path::to_owned), environment, ..Self::default() }
    }

    /// Overrules a key, when the flag was given.
    #[must_use]
    pub fn flag(mut self, key: &'static str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.flags.push((key, value.into()));
        }
        self
    }

    /// Takes another default for a key.
    #[must_use]
    pub fn default_to(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.defaults.push((key, value.into()));
        self
    }

    /// Reads and checks everything but the database's address, which not every command needs.
    pub fn load(self) -> Result<Config, LoadError> {
        let mut figment = Figment::from(Serialized::default("command.addr", "127.0.0.1:8081"))
            .merge(Serialized::default("read.addr", "127.0.0.1:8082"));
        for (key, value) in self.defaults {
            figment = figment.merge(Serialized::default(key, value));
        }
        if let Some(path) = self.file {
            let text =
                std::fs::read_to_string(&path).map_err(|source| LoadError::File { path: path.clone(), source })?;
            figment = figment.merge(Named(path.display().to_string(), Toml::string(&text)));
        }
        figment = figment.merge(Named("the environment".to_owned(), Environment(self.environment)));
        for (key, value) in self.flags {
            figment = figment.merge(Serialized::default(key, value));
        }
        let config: Config = figment.extract().map_err(|error| LoadError::Shape(describe(&error)))?;
        config.validate().map_err(LoadError::Value)?;
        Ok(config)
    }
}

impl Config {
    fn validate(&self) -> Result<(), String> {
        // An API knows one section `http`; here are two of its kind.
        let in_section =
            |section: &str, error: HttpConfigError| error.to_string().replace("`http.", &format!("`{section}."));
        self.command.validate().map_err(|error| in_section("command", error))?;
        self.read.validate().map_err(|error| in_section("read", error))?;
        self.telemetry.validate().map_err(|error| error.to_string())?;
        for (field, seconds) in
            [("max_silence_s", self.projector.max_silence_s), ("max_lag_s", self.projector.max_lag_s)]
        {
            if !(1..=86_400 * 365).contains(&seconds) {
                return Err(format!("`projector.{field}` must be from 1 to 31536000"));
            }
        }
        if self.projector.leaderboard_every_s > 86_400 {
            return Err("`projector.leaderboard_every_s` must be from 0 to 86400".to_owned());
        }
        if self.results.max_bytes > 64 << 30 {
            return Err("`results.max_bytes` must be from 0 to 68719476736".to_owned());
        }
        if ReplayMemory::of_mib(self.projector.replay_memory_mb).is_none() {
            let (least, most) = (ReplayMemory::LEAST_MIB, ReplayMemory::MOST_MIB);
            return Err(format!("`projector.replay_memory_mb` must be from {least} to {most}"));
        }
        if self.shutdown.drain_s > 3_600 {
            return Err("`shutdown.drain_s` must be from 0 to 3600".to_owned());
        }
        Ok(())
    }

    /// The database's section, for a command that needs it.
    pub fn database(&self) -> Result<&DatabaseConfig, LoadError> {
        self.database.validate().map_err(|error| match error {
            ConfigError::Empty { .. } => LoadError::Value(
                "which database? Set HIGHWATER_DATABASE_URL, or `database.url` in the file given with --config"
                    .to_owned(),
            ),
            error => LoadError::Value(error.to_string()),
        })?;
        Ok(&self.database)
    }
}

/// The key, what is wrong with it, and where it was read; never the value, which may be a secret.
fn describe(error: &figment::Error) -> String {
    use figment::error::Kind;
    let errors: Vec<String> = error
        .clone()
        .into_iter()
        .map(|error| {
            let mut path = error.path.clone();
            let problem = match &error.kind {
                Kind::UnknownField(field, expected) => {
                    if path.last() != Some(field) {
                        path.push(field.clone());
                    }
                    format!("is no setting; here are {}", expected.join(", "))
                }
                Kind::MissingField(field) => {
                    path.push(field.to_string());
                    "is missing".to_owned()
                }
                Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => format!("must be {expected}"),
                Kind::UnknownVariant(_, expected) => format!("must be one of {}", expected.join(", ")),
                Kind::Message(message) => message.clone(),
                other => other.to_string(),
            };
            let place =
                error.metadata.as_ref().map(|metadata| format!(" (from {})", metadata.name)).unwrap_or_default();
            if path.is_empty() { format!("{problem}{place}") } else { format!("`{}` {problem}{place}", path.join(".")) }
        })
        .collect();
    errors.join("; ")
}

/// A provider under a name that people know it by.
struct Named<P>(String, P);

impl<P: Provider> Provider for Named<P> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        self.1.data()
    }
}

/// The variables that are settings.
struct Environment(Vec<(String, String)>);

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("the environment")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut settings = Dict::new();
        for (name, text) in &self.0 {
            let Some(name) = name.strip_prefix("HIGHWATER_") else { continue };
            let path = if name == "DATABASE_URL" {
                "database.url".to_owned()
            } else if name.contains("__") {
                name.to_lowercase().replace("__", ".")
            } else {
                continue;
            };
            // A URL or a path stays text, whatever it looks like; `[..]`, numbers and booleans are read as such.
            let value = match text.parse::<Value>() {
                Ok(value) if path != "database.url" => value,
                _ => Value::from(text.clone()),
            };
            settings = merged(settings, &path.split('.').collect::<Vec<_>>(), value);
        }
        Ok(Profile::Default.collect(settings))
    }
}

fn merged(mut settings: Dict, path: &[&str], value: Value) -> Dict {
    match path {
        [] => {}
        [field] => {
            settings.insert((*field).to_owned(), value);
        }
        [section, rest @ ..] => {
            let inner = match settings.remove(*section) {
                Some(Value::Dict(_, inner)) => inner,
                _ => Dict::new(),
            };
            settings.insert((*section).to_owned(), Value::from(merged(inner, rest, value)));
        }
    }
    settings
}

#[cfg(test)]
mod tests;
