//! The configuration section of one API's listener, with its validation.

mod limits; // the limits of one API

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use http::HeaderValue;
use platform::config::{ConfigError, within};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

pub use self::limits::LimitConfig;

/// The configuration of one API's listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// The address to listen on. Beyond loopback this needs TLS or `behind_proxy`.
    pub addr: SocketAddr,
    /// Origins of web pages that may call this API from a browser: `https://dash.example.com`, or `*` for any.
    #[serde(deserialize_with = "list")]
    pub cors_origins: Vec<String>,
    /// The largest request body; a larger one is rejected with 413.
    pub max_body_bytes: usize,
    /// The longest time until an answer begins. After it, the request gets 503, or 408 if its body is incomplete. A
    /// stream may go on.
    pub request_timeout_s: u64,
    /// Whether a reverse proxy in front of this process provides TLS. Then plain HTTP beyond loopback is allowed, and
    /// callers' addresses come from its `X-Forwarded-For` or `Forwarded`.
    pub behind_proxy: bool,
    /// PEM file with the certificate chain, leaf first.
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the private key of `tls_cert`.
    pub tls_key: Option<PathBuf>,
    /// The limits of this API.
    pub limits: LimitConfig,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            cors_origins: Vec::new(),
            max_body_bytes: 8 << 20,
            request_timeout_s: 60,
            behind_proxy: false,
            tls_cert: None,
            tls_key: None,
            limits: LimitConfig::default(),
        }
    }
}

/// A value of [`HttpConfig`] that is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpConfigError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("`http.cors_origins` holds `{origin}`, which is not an origin such as `https://dash.example.com`, nor `*`")]
    Origin { origin: String },
    #[error("`http.tls_cert` and `http.tls_key` belong together: `{missing}` is not set")]
    HalfOfTls { missing: &'static str },
}

impl HttpConfig {
    pub fn validate(&self) -> Result<(), HttpConfigError> {
        within("http.max_body_bytes", self.max_body_bytes as u64, 1_024, 1 << 30)?;
        within("http.request_timeout_s", self.request_timeout_s, 1, 3_600)?;
        self.limits.validate(self.max_body_bytes)?;
        for origin in &self.cors_origins {
            if !is_origin(origin) {
                return Err(HttpConfigError::Origin { origin: origin.clone() });
            }
        }
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => Err(HttpConfigError::HalfOfTls { missing: "http.tls_key" }),
            (None, Some(_)) => Err(HttpConfigError::HalfOfTls { missing: "http.tls_cert" }),
            (Some(_), Some(_)) | (None, None) => Ok(()),
        }
    }

    /// The certificate and key files, if this API provides TLS itself.
    pub fn tls_files(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.tls_cert.as_ref().zip(self.tls_key.as_ref())
    }

    pub fn at(addr: SocketAddr) -> Self {
        Self { addr, ..Self::default() }
    }
}

/// Reads a list, or a text with the items separated by commas, as variables of the environment have it.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Items;

    impl<'de> Visitor<'de> for Items {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(items.map(str::to_owned).collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(items))
        }
    }

    deserializer.deserialize_any(Items)
}

/// Whether `text` is an origin: a scheme and an authority, and nothing else. A browser sends it in this form and
/// compares it as text.
fn is_origin(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    let Some(authority) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    authority.parse::<http::uri::Authority>().is_ok_and(|parsed| !parsed.as_str().contains('@'))
        && HeaderValue::from_str(text).is_ok()
}

#[cfg(test)]
mod tests;
