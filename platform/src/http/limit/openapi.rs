//! What every operation may answer because of limits, in its OpenAPI description.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr};

/// Describes the answers of the limits at every operation, beside what the operation says itself.
pub fn describe(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            let takes_body = operation.request_body.is_some();
            let again = ("Retry-After", Type::Integer, "Seconds after which to try again");
            let policy = ("RateLimit-Policy", Type::String, "The quota (q) in a window (w) of seconds");
            let left = ("RateLimit", Type::String, "What is left of it (r) for how many seconds (t)");
            let too_often = "Asked too often: with this key, from this address, or for this source";
            add(operation, "429", too_often, vec![again.clone(), policy, left]);
            add(operation, "431", "The header fields are too large", Vec::new());
            add(operation, "503", "There is more to do than can be done now", vec![again]);
            if takes_body {
                add(operation, "408", "The body came too slowly", Vec::new());
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

type Field = (&'static str, Type, &'static str);

fn add(operation: &mut Operation, status: &str, description: &str, fields: Vec<Field>) {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let answer = ResponseBuilder::new().description(description).content("application/problem+json", problem);
    let answer = fields.into_iter().fold(answer, |answer, (name, kind, says)| {
        let schema = ObjectBuilder::new().schema_type(kind);
        answer.header(name, HeaderBuilder::new().schema(Some(schema)).description(Some(says)).build())
    });
    operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(answer.build()));
}
