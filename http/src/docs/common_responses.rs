//! Responses that every operation has, and its examples.

use serde_json::Value;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use super::super::problem::{kinds, openapi};
use super::{Example, operations};

/// Adds the responses of the edge to every operation.
pub(super) fn describe(document: &mut OpenApi, examples: &[Example]) {
    for operation in operations(document) {
        answers_of_the_edge(operation);
        for example in examples {
            if operation.operation_id.as_deref() == Some(example.operation) {
                exemplify(operation, example);
            }
        }
    }
}

fn answers_of_the_edge(operation: &mut Operation) {
    let takes_query = operation.parameters.iter().flatten().any(
        |parameter| matches!(parameter, RefOr::T(parameter) if matches!(parameter.parameter_in, ParameterIn::Query)),
    );
    let of_bodies = if operation.request_body.is_some() { kinds::OF_BODIES } else { &[] };
    let of_queries = takes_query.then_some(kinds::INVALID_QUERY);
    for kind in kinds::OF_REQUESTS.iter().chain(of_bodies).copied().chain(of_queries) {
        openapi::add(&mut operation.responses.responses, kind);
    }
}

fn exemplify(operation: &mut Operation, example: &Example) {
    for (status, answer) in &mut operation.responses.responses {
        let RefOr::T(answer) = answer else { continue };
        if let Some(RefOr::T(content)) = answer.content.get_mut(example.media_type)
            && status.starts_with('2')
        {
            // An example that is not one JSON document is shown as text.
            let value = serde_json::from_str(example.body).unwrap_or_else(|_| Value::from(example.body));
            content.example = Some(value);
        }
    }
}
