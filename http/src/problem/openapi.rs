//! Problems in the OpenAPI document.

use std::collections::BTreeMap;

use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr};

use super::ProblemType;

const MEDIA_TYPE: &str = "application/problem+json";

/// Declares a type for the `responses` of an operation, from lists of problem types.
#[macro_export]
macro_rules! problem_responses {
    ($($(#[doc = $about:literal])+ $vis:vis $name:ident = $($list:expr),+;)+) => {$(
        $(#[doc = $about])+
        $vis struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
                $crate::problem::responses(&[$($list),+].concat())
            }
        }
    )+};
}

/// The responses of these types by status, as `utoipa::IntoResponses` returns them.
pub fn responses(types: &[&ProblemType]) -> BTreeMap<String, RefOr<Response>> {
    let mut responses = BTreeMap::new();
    for kind in types {
        add(&mut responses, kind);
    }
    responses
}

/// Adds a type to the responses.
pub(crate) fn add(responses: &mut BTreeMap<String, RefOr<Response>>, kind: &ProblemType) {
    let answer = responses.entry(kind.status.as_u16().to_string()).or_insert_with(|| RefOr::T(of_status(kind)));
    let RefOr::T(answer) = answer else { return };
    let Some(RefOr::T(content)) = answer.content.get_mut(MEDIA_TYPE) else { return };
    if content.examples.contains_key(kind.code) {
        return;
    }
    if !content.examples.is_empty() {
        answer.description = format!("{}; or: {}", answer.description, lower_first(kind.title));
    }
    let example = ExampleBuilder::new().summary(kind.title).value(Some(kind.example())).build();
    content.examples.insert(kind.code.to_owned(), RefOr::T(example));
}

fn of_status(kind: &ProblemType) -> Response {
    let content: Content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let answer = ResponseBuilder::new().description(kind.title).content(MEDIA_TYPE, content);
    let answer = headers_of(kind).iter().fold(answer, |answer, (name, schema, says)| {
        let schema = ObjectBuilder::new().schema_type(schema.clone());
        answer.header(*name, HeaderBuilder::new().schema(Some(schema)).description(Some(*says)).build())
    });
    answer.build()
}

fn headers_of(kind: &ProblemType) -> Vec<(&'static str, Type, &'static str)> {
    let again = ("Retry-After", Type::Integer, "Seconds after which to try again");
    match kind.status.as_u16() {
        401 => vec![("WWW-Authenticate", Type::String, "How to say who calls")],
        429 => vec![
            again,
            ("RateLimit-Policy", Type::String, "The quota (q) in a window (w) of seconds"),
            ("RateLimit", Type::String, "What is left of it (r) for how many seconds (t)"),
        ],
        503 => vec![again],
        _ => Vec::new(),
    }
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or(String::new(), |first| first.to_lowercase().chain(characters).collect())
}
