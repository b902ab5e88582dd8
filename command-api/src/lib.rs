//! The command API: the use cases of `commands` over HTTP.
//!
//! A request goes through these steps. `command` authenticates it and reads its headers and its body into a
//! `CommandContext`; the route reads the body into typed input and calls the use case; `response` says what was done,
//! and `problems` why nothing was. `docs/adding-an-endpoint.md` says how to add a command.

mod command;
mod idempotency;
mod json_item;
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

/// The API without its edge: what `http_edge::edge` wraps.
pub fn router(state: ApiState) -> Router {
    commands::describe_metrics();
    let (router, description) = openapi::described(routes::all());
    router.merge(description.router()).with_state(state)
}

/// What `/openapi.json` and `/docs` say.
pub fn description() -> ApiDocs {
    openapi::described(routes::all()).1
}
