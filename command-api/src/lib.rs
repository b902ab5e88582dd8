//! The command API: the use cases of `commands` over HTTP.
//!
//! A request passes these steps. `command` authenticates it and reads its headers and body into a `CommandContext`. The
//! route parses the body into typed input and calls the use case. `response` writes the result, and `problems` the
//! errors. `docs/adding-an-endpoint.md` describes how to add a command.

mod command;
mod idempotency;
mod json_item;
mod moment;
mod openapi;
mod precondition;
mod problems;
mod raw_number;
mod response;
mod routes;
mod state;

use axum::Router;
use http_edge::docs::ApiDocs;

pub use state::{ApiState, StreamLimits};

/// The API's router without its edge, which `http_edge::edge` adds.
pub fn router(state: ApiState) -> Router {
    commands::describe_metrics();
    let (router, description) = openapi::described(routes::all());
    router.merge(description.router()).with_state(state)
}

/// The content of `/openapi.json` and `/docs`.
pub fn description() -> ApiDocs {
    openapi::described(routes::all()).1
}
