//! A client of the command API, like that of an integrator. It repeats failed requests with the same idempotency key.

use std::fmt::Write as _;
use std::time::Duration;

use rand::RngExt;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use thiserror::Error;

/// How long a request may take before it counts as lost.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The first pause between attempts; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A client of one server with one key.
#[derive(Clone)]
pub struct ApiClient {
    http: reqwest::Client,
    base: Url,
    attempts: u32,
}

/// The server's answer, a success or an error.
#[derive(Debug, Clone)]
pub struct ApiResponse {
    /// The URL of the request.
    pub url: Url,
    /// The status.
    pub status: StatusCode,
    /// The body; null if there was none or it was not JSON.
    pub body: Value,
    /// Whether it is the answer to the same request of an earlier time.
    pub is_replayed: bool,
}

/// An error of a request.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The key contains characters that are invalid in a header.
    #[error("the API key holds characters that no key has")]
    Key,
    /// The server's address cannot be the base of the API's paths.
    #[error("`{0}` is not the address of a server, such as http://127.0.0.1:8081")]
    Address(String),
    /// The client could not be built.
    #[error("cannot prepare the HTTP client")]
    Build(#[source] reqwest::Error),
    /// The connection failed at every attempt.
    #[error("no answer from {server} after {attempts} attempts")]
    Lost {
        /// The server's address.
        server: String,
        /// The number of attempts.
        attempts: u32,
        /// The last error.
        #[source]
        source: reqwest::Error,
    },
    /// The server answered with an error.
    #[error("{url} answered {status}: {problem}")]
    Refused {
        /// The URL of the request.
        url: Url,
        /// The status.
        status: StatusCode,
        /// The problem.
        problem: String,
    },
}

impl ApiClient {
    /// A client that makes at most `attempts` attempts at each request.
    pub fn new(server: &str, key: &SecretString, attempts: u32) -> Result<Self, ClientError> {
        let base = Url::parse(server).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let base = base.ok_or_else(|| ClientError::Address(server.to_owned()))?;
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {}", key.expose_secret())).map_err(|_| ClientError::Key)?;
        bearer.set_sensitive(true);
        crate::tls::install_provider();
        let http = reqwest::Client::builder()
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(ClientError::Build)?;
        Ok(Self { http, base, attempts: attempts.max(1) })
    }

    /// Gets what is there. An error status is an answer, as for [`Self::post`].
    pub async fn get(&self, path: &[&str]) -> Result<ApiResponse, ClientError> {
        self.send(Method::GET, self.url(path), None, None).await
    }

    /// Posts a body. An error status is an answer, except a temporary one, which is retried. The path comes in segments
    /// with any characters.
    pub async fn post(
        &self,
        path: &[&str],
        body: &Value,
        idempotency_key: Option<&str>,
    ) -> Result<ApiResponse, ClientError> {
        self.send(Method::POST, self.url(path), Some(body.to_string()), idempotency_key).await
    }

    /// Posts a body that is JSON already; otherwise like [`Self::post`].
    pub async fn post_text(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        body: &str,
    ) -> Result<ApiResponse, ClientError> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(Method::POST, url, Some(body.to_owned()), None).await
    }

    /// Puts a body; otherwise like [`Self::post`].
    pub async fn put(
        &self,
        path: &[&str],
        body: &Value,
        idempotency_key: Option<&str>,
    ) -> Result<ApiResponse, ClientError> {
        self.send(Method::PUT, self.url(path), Some(body.to_string()), idempotency_key).await
    }

    /// Patches what is there; otherwise like [`Self::post`].
    pub async fn patch(&self, path: &[&str], body: &Value) -> Result<ApiResponse, ClientError> {
        self.send(Method::PATCH, self.url(path), Some(body.to_string()), None).await
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        body: Option<String>,
        idempotency_key: Option<&str>,
    ) -> Result<ApiResponse, ClientError> {
        let mut attempt = 1;
        loop {
            let mut request = self.http.request(method.clone(), url.clone());
            if let Some(body) = &body {
                request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
            }
            if let Some(key) = idempotency_key {
                request = request.header("Idempotency-Key", key);
            }
            let answered = match request.send().await {
                Ok(response) => {
                    let status = response.status();
                    let requested_pause = retry_after(response.headers());
                    let is_replayed = response.headers().contains_key("idempotency-replayed");
                    // A body that breaks off is a lost answer, not an empty one.
                    response.bytes().await.map(|body| (status, requested_pause, is_replayed, body))
                }
                Err(error) => Err(error),
            };
            let requested_pause = match answered {
                Ok((status, requested_pause, is_replayed, body)) => {
                    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                    let answer = ApiResponse { url: url.clone(), status, body, is_replayed };
                    if attempt == self.attempts || !answer.is_passing() {
                        return Ok(answer);
                    }
                    requested_pause
                }
                Err(error) if error.is_builder() => return Err(ClientError::Build(error)),
                Err(source) if attempt == self.attempts => {
                    return Err(ClientError::Lost { server: self.base.to_string(), attempts: attempt, source });
                }
                Err(_) => None,
            };
            tokio::time::sleep(requested_pause.unwrap_or_else(|| pause(attempt))).await;
            attempt += 1;
        }
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

impl ApiResponse {
    /// The body of a success, or the problem as an error.
    pub fn accepted(self) -> Result<Value, ClientError> {
        self.successful().map(|answer| answer.body)
    }

    /// A success, or the problem as an error.
    pub fn successful(self) -> Result<Self, ClientError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let problem = self.problem();
        Err(ClientError::Refused { url: self.url, status: self.status, problem })
    }

    /// Whether the same request may succeed a moment later.
    fn is_passing(&self) -> bool {
        let overtaken = self.status == StatusCode::CONFLICT
            && ["concurrent-change", "request-in-flight"].contains(&self.problem_code());
        let busy = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
            StatusCode::REQUEST_TIMEOUT,
        ];
        overtaken || busy.contains(&self.status)
    }

    /// The code of the problem: the last part of its `type`.
    pub fn problem_code(&self) -> &str {
        self.body["type"].as_str().and_then(|kind| kind.rsplit('/').next()).unwrap_or_default()
    }

    /// The problem in a sentence: title, detail and fields.
    pub fn problem(&self) -> String {
        let mut words = self.body["title"].as_str().unwrap_or("no problem was named").to_owned();
        if let Some(detail) = self.body["detail"].as_str() {
            let _ = write!(words, ": {detail}");
        }
        for error in self.body["errors"].as_array().into_iter().flatten() {
            if let (Some(field), Some(detail)) = (error["field"].as_str(), error["detail"].as_str()) {
                let _ = write!(words, "; {field} {detail}");
            }
        }
        words
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

/// A pause that doubles with each attempt. Half of it is random, so that callers who failed together do not return
/// together.
fn pause(attempt: u32) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(LONGEST_PAUSE);
    let half = whole / 2;
    half + half.mul_f64(rand::rng().random_range(0.0..1.0))
}
