//! The command API: commands in over HTTP, events out to the log.
//!
//! A request goes through these steps. `command` finds out who gives it and reads its body as it was sent; the route reads
//! what it says; `execute` recalls or loads what the decision rests on (a stream, or claims), lets the domain decide, and
//! appends events, claims and receipt in one transaction, again if a race was lost; a key that was used before is answered by
//! its receipt; `response` says what came of it and `problems` why nothing did.
//!
//! It never reads a read table. What a decision must look up beside its own stream is a claim, which the append asserts.

mod claims;
mod command;
mod error;
mod execute;
mod idempotency;
mod ids;
mod item_error;
mod openapi;
mod outcome;
mod precondition;
mod problems;
mod raw_number;
mod response;
mod routes;
mod state;

use axum::Router;
use http_edge::docs::ApiDocs;

pub use state::{ApiState, Limits, StreamLimits};

/// The API without its edge: what `http_edge::edge` wraps.
pub fn router(state: ApiState) -> Router {
    routes::describe_metrics();
    let (router, description) = openapi::described(routes::all());
    router.merge(description.router()).with_state(state)
}

/// What `/openapi.json` and `/docs` say.
pub fn description() -> ApiDocs {
    openapi::described(routes::all()).1
}
