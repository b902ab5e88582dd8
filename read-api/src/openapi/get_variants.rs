//! Examples of parameters that contain a body: the example of the body that is posted to the same path.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use utoipa::openapi::path::{Operation, ParameterBuilder};
use utoipa::openapi::{OpenApi, RefOr, Schema};

/// The parameter of a GET that contains the body.
const PARAMETER: &str = "query";

pub(super) fn add_examples(document: &mut OpenApi) {
    let schemas = document.components.as_ref().map(|components| components.schemas.clone()).unwrap_or_default();
    for item in document.paths.paths.values_mut() {
        let posted = item.post.as_ref().and_then(posted).and_then(|name| schemas.get(name)).and_then(example);
        let Some(body) = posted else { continue };
        let encoded = URL_SAFE_NO_PAD.encode(body.to_string());
        let parameters = item.get.iter_mut().flat_map(|get| get.parameters.iter_mut().flatten());
        for parameter in parameters {
            let RefOr::T(described) = parameter else { continue };
            if described.name == PARAMETER {
                let described = std::mem::take(described);
                *parameter = RefOr::T(ParameterBuilder::from(described).example(Some(encoded.clone().into())).build());
            }
        }
    }
}

/// The name of the schema of the posted body.
fn posted(operation: &Operation) -> Option<&str> {
    let Some(RefOr::T(body)) = &operation.request_body else { return None };
    let Some(RefOr::T(content)) = body.content.get("application/json") else { return None };
    let Some(RefOr::Ref(schema)) = &content.schema else { return None };
    schema.ref_location.rsplit('/').next()
}

fn example(schema: &RefOr<Schema>) -> Option<Value> {
    match schema {
        RefOr::T(Schema::Object(object)) => object.example.clone(),
        _ => None,
    }
}
