//! A client of the command API, as an integrator would write one: it retries what can be retried, with the same key.

use std::fmt::Write as _;
use std::time::Duration;

use rand::RngExt;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
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

/// What the server answered, whether it took the request or not.
#[derive(Debug, Clone)]
pub struct ApiResponse {
    /// What was asked.
    pub asked: Url,
    /// The status.
    pub status: StatusCode,
    /// The body; null when there was none or it was no JSON.
    pub body: Value,
}

/// Why there is no answer to go on with.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The key cannot stand in a header.
    #[error("the API key holds characters that no key has")]
    Key,
    /// The server's address is no base for the API's paths.
    #[error("`{0}` is not the address of a server, such as http://127.0.0.1:8081")]
    Address(String),
    /// The client could not be built.
    #[error("cannot prepare the HTTP client")]
    Build(#[source] reqwest::Error),
    /// The connection failed each time.
    #[error("no answer from {server} after {attempts} attempts")]
    Lost {
        /// Where.
        server: String,
        /// How often.
        attempts: u32,
        /// Why, the last time.
        #[source]
        source: reqwest::Error,
    },
    /// The server answered with a refusal.
    #[error("{asked} answered {status}: {problem}")]
    Refused {
        /// What was asked.
        asked: Url,
        /// The status.
        status: StatusCode,
        /// Its words.
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

    /// Posts a body. What the server refuses is an answer; what it cannot take now is tried again.
    /// The path is given in parts, whatever characters they hold.
    pub async fn post(
        &self,
        path: &[&str],
        body: &Value,
        idempotency_key: Option<&str>,
    ) -> Result<ApiResponse, ClientError> {
        self.send(Method::POST, path, body, idempotency_key).await
    }

    /// Puts a body; otherwise as [`Self::post`].
    pub async fn put(
        &self,
        path: &[&str],
        body: &Value,
        idempotency_key: Option<&str>,
    ) -> Result<ApiResponse, ClientError> {
        self.send(Method::PUT, path, body, idempotency_key).await
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        body: &Value,
        idempotency_key: Option<&str>,
    ) -> Result<ApiResponse, ClientError> {
        let url = self.url(path);
        let mut attempt = 1;
        loop {
            let mut request = self.http.request(method.clone(), url.clone()).json(body);
            if let Some(key) = idempotency_key {
                request = request.header("Idempotency-Key", key);
            }
            let answered = match request.send().await {
                Ok(response) => {
                    let status = response.status();
                    let asked = retry_after(response.headers());
                    // A body that breaks off is a lost answer, not an empty one.
                    response.bytes().await.map(|body| (status, asked, body))
                }
                Err(error) => Err(error),
            };
            let asked = match answered {
                Ok((status, asked, body)) => {
                    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                    let answer = ApiResponse { asked: url.clone(), status, body };
                    if attempt == self.attempts || !answer.is_passing() {
                        return Ok(answer);
                    }
                    asked
                }
                Err(error) if error.is_builder() => return Err(ClientError::Build(error)),
                Err(source) if attempt == self.attempts => {
                    return Err(ClientError::Lost { server: self.base.to_string(), attempts: attempt, source });
                }
                Err(_) => None,
            };
            tokio::time::sleep(asked.unwrap_or_else(|| pause(attempt))).await;
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
    /// The body if the server took the request, its refusal as an error otherwise.
    pub fn accepted(self) -> Result<Value, ClientError> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let problem = self.problem();
        Err(ClientError::Refused { asked: self.asked, status: self.status, problem })
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

    /// The stable name of the problem: the last part of its `type`.
    pub fn problem_code(&self) -> &str {
        self.body["type"].as_str().and_then(|kind| kind.rsplit('/').next()).unwrap_or_default()
    }

    /// The problem in a sentence: title, detail and the fields that it names.
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

/// Doubles with each attempt; half of it is chance, so that callers who failed together do not come back together.
fn pause(attempt: u32) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(LONGEST_PAUSE);
    let half = whole / 2;
    half + half.mul_f64(rand::rng().random_range(0.0..1.0))
}
