//! The state of the handlers.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use platform::authenticator::Authenticator;
use queries::ReadModel;
use tokio::sync::Semaphore;

/// The state of every handler. Each request has a clone, which is one pointer.
#[derive(Debug, Clone)]
pub struct ApiState(Arc<ApiParts>);

/// The parts of [`ApiState`].
#[derive(Debug)]
pub struct ApiParts {
    pub(crate) model: ReadModel,
    authenticator: Authenticator,
    /// The URL of the command API, if it is known.
    pub(crate) command_api: Option<String>,
    /// Limits the number of callers that read rows as CSV.
    pub(crate) exports: Arc<Semaphore>,
}

impl ApiState {
    /// `command_api`: its URL for callers, if it is known.
    pub fn new(model: ReadModel, authenticator: Authenticator, command_api: Option<String>) -> Self {
        let exports = usize::try_from(model.max_connections() / 2).unwrap_or(1).max(1);
        let exports = Arc::new(Semaphore::new(exports));
        Self(Arc::new(ApiParts { model, authenticator, command_api, exports }))
    }
}

impl Deref for ApiState {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.0
    }
}

impl FromRef<ApiState> for Authenticator {
    fn from_ref(state: &ApiState) -> Self {
        state.authenticator.clone()
    }
}
