//! The configuration of a process: flags over environment over file over defaults.
//!
//! `highwater.example.toml` documents every key. A variable of the environment is named after its key, with `__`
//! between the section and the field: `HIGHWATER_COMMAND__ADDR`. `HIGHWATER_DATABASE_URL` is a shorter name for one of
//! them. Variables without `__` are ignored, because orchestrators set such names by themselves.

mod projector; // the role that keeps the read tables
mod rejections; // what is kept of rejected items

use std::path::{Path, PathBuf};

use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use http_edge::{HttpConfig, HttpConfigError};
use platform::config::ConfigError;
use platform::database::DatabaseConfig;
use platform::telemetry::TelemetryConfig;
use projections::ReplayMemory;
use serde::Deserialize;
use thiserror::Error;

pub use projector::{ProjectorConfig, Rebuild};
pub use rejections::RejectionsConfig;

/// The configuration of `serve` and of the operator's commands.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The database.
    #[serde(default)]
    pub database: DatabaseConfig,
    /// Logs.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    /// The listener of the command API.
    pub command: HttpConfig,
    /// The listener of the read API.
    pub read: HttpConfig,
    /// What is kept of rejected items.
    #[serde(default)]
    pub rejections: RejectionsConfig,
    /// Where callers of the read API find the rest.
    #[serde(default)]
    pub links: LinksConfig,
    /// The cache of the read API.
    #[serde(default)]
    pub results: ResultsConfig,
    /// The projector.
    #[serde(default)]
    pub projector: ProjectorConfig,
    /// The start of the process.
    #[serde(default)]
    pub startup: StartupConfig,
    /// The shutdown of the process.
    #[serde(default)]
    pub shutdown: ShutdownConfig,
}

/// Where callers of the read API find the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinksConfig {
    /// The URL of the command API, as `GET /v1/workspace` tells it.
    pub command_api: Option<String>,
}

/// The cache of the read API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResultsConfig {
    /// The memory limit of the cache. 0: nothing is cached.
    pub max_bytes: usize,
}

impl Default for ResultsConfig {
    fn default() -> Self {
        Self { max_bytes: 64 << 20 }
    }
}

/// The start of the process.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StartupConfig {
    /// The longest wait for a database that cannot be reached. 0: the start fails at once.
    pub database_wait_s: u64,
}

impl Default for StartupConfig {
    fn default() -> Self {
        Self { database_wait_s: 60 }
    }
}

/// The shutdown of the process.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShutdownConfig {
    /// The longest time for requests and batches in flight to finish after the first signal.
    pub drain_s: u64,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { drain_s: 20 }
    }
}

/// An invalid configuration.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The named file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// An unknown key, a value of another type, or a file that is not TOML.
    #[error("configuration: {0}")]
    Shape(String),
    /// A value that its section rejects.
    #[error("configuration: {0}")]
    Value(String),
}

/// The sources of a configuration.
#[derive(Debug, Default)]
pub struct ConfigSources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// The variables of the process.
    pub environment: Vec<(String, String)>,
    /// The values of flags, by the key that they override.
    pub flags: Vec<(&'static str, Value)>,
    /// A command's own defaults, which replace the general ones.
    pub defaults: Vec<(&'static str, Value)>,
}

impl ConfigSources {
    /// The named file, if there is one, and the environment of this process.
    pub fn of_process(file: Option<&Path>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { file: file.map(Path::to_owned), environment, ..Self::default() }
    }

    /// Overrides a key, if the flag was given.
    #[must_use]
    pub fn flag(mut self, key: &'static str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.flags.push((key, value.into()));
        }
        self
    }

    /// Replaces the default of a key.
    #[must_use]
    pub fn default_to(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.defaults.push((key, value.into()));
        self
    }

    /// Reads and validates everything except the database's address, which not every command needs.
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
        // Each API validates one section `http`; this file has two of them.
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
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if !self.links.command_api.as_ref().is_none_or(is_url) {
            return Err("`links.command_api` must be an http or https URL".to_owned());
        }
        self.rejections.validate().map_err(|error| error.to_string())?;
        if self.results.max_bytes > 64 << 30 {
            return Err("`results.max_bytes` must be from 0 to 68719476736".to_owned());
        }
        if ReplayMemory::of_mib(self.projector.replay_memory_mb).is_none() {
            let (least, most) = (ReplayMemory::LEAST_MIB, ReplayMemory::MOST_MIB);
            return Err(format!("`projector.replay_memory_mb` must be from {least} to {most}"));
        }
        if self.startup.database_wait_s > 86_400 {
            return Err("`startup.database_wait_s` must be from 0 to 86400".to_owned());
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

/// The key, the error and the source of the value; never the value, which may be a secret.
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

/// A provider with a readable name.
struct Named<P>(String, P);

impl<P: Provider> Provider for Named<P> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        self.1.data()
    }
}

/// The environment variables that are settings.
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
            // Lists in brackets, numbers and booleans are parsed; any other text, such as a URL or a path, stays text.
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
