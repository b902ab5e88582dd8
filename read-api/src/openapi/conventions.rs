//! The common headers of reads.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{OpenApi, RefOr};

use crate::format::CSV;

/// The leaderboard is refreshed on a schedule, and no read waits for it.
const LEADERBOARD: &str = "get_leaderboard";

type Field = (&'static str, &'static str, &'static str);

/// The request headers: name, example and description.
const REQUEST_HEADERS: [Field; 2] = [
    (
        "Consistency-Token",
        "MS4xLjE4MzQy",
        "The token of a command's answer: this answer should include that command's effect",
    ),
    ("Prefer", "wait=5", "How many seconds to wait until the answer is as fresh as required, at most 30"),
];
const CONDITION: Field = (
    "If-None-Match",
    "W/\"campaigns:7:1204.1795302000:9f3c0d5e8b7a6142\"",
    "The `ETag` of an answer that the client has: 304 if it is still current",
);

/// The response headers: name and description.
const RESPONSE_HEADERS: [(&str, &str); 3] = [
    ("Data-Position", "The epoch, the position up to which the log is applied, and the log's head"),
    (
        "Data-Freshness",
        "The state of the numbers (live, provisional or final), the lag, and whether the required freshness is met",
    ),
    ("Consistency-Token", "Sent with another read, it makes that answer include at least this state"),
];
const PREFERENCE: (&str, &str) =
    ("Preference-Applied", "The `wait` that was honoured, if the answer is as fresh as required");
const CONTENT_LOCATION: (&str, &str) =
    ("Content-Location", "The GET with the same answer, unless its address is longer than 4 KiB");
/// The response headers of lists.
const OF_ROWS: [(&str, &str); 2] = [
    ("Link", "In JSON, the next page: `<…>; rel=\"next\"`. Left out on the last page, and if it is longer than 4 KiB"),
    ("Content-Disposition", "In CSV, the name of the file"),
];
const TAG: (&str, &str) = ("ETag", "Changes whenever the answer changes");
const LAST_MODIFIED: (&str, &str) =
    ("Last-Modified", "When the answer last changed, in whole seconds. Conditional requests use the `ETag`");
const CACHE_STATUS: (&str, &str) = ("Cache-Status", "Whether the result came from the cache (RFC 9211)");

/// Adds the headers to the operations.
pub(super) fn describe(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for (method, operation) in [("get", &mut item.get), ("post", &mut item.post)] {
            if let Some(operation) = operation {
                of_operation(method, operation);
            }
        }
    }
}

fn of_operation(method: &str, operation: &mut Operation) {
    let is_conditional = method == "get" && operation.responses.responses.contains_key("304");
    let waits = operation.operation_id.as_deref() != Some(LEADERBOARD);
    let reads = operation.responses.responses.contains_key("503");
    let taken = REQUEST_HEADERS.into_iter().filter(|_| reads).chain([CONDITION].into_iter().filter(|_| is_conditional));
    operation.parameters.get_or_insert_default().extend(taken.map(|field| RefOr::T(parameter(field))));
    let common = RESPONSE_HEADERS
        .into_iter()
        .filter(|_| reads)
        .chain([CACHE_STATUS].into_iter().filter(|_| reads))
        .chain([PREFERENCE].into_iter().filter(|_| reads && waits))
        .chain([CONTENT_LOCATION].into_iter().filter(|_| method == "post"))
        .chain([TAG].into_iter().filter(|_| reads || is_conditional))
        .chain([LAST_MODIFIED].into_iter().filter(|_| reads));
    let Some(RefOr::T(success)) = operation.responses.responses.get_mut("200") else { return };
    let of_rows = OF_ROWS.into_iter().filter(|_| success.content.contains_key(CSV));
    for (name, description) in common.chain(of_rows) {
        let schema = ObjectBuilder::new().schema_type(Type::String);
        let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build();
        success.headers.insert(name.to_owned(), RefOr::T(header));
    }
}

fn parameter((name, example, description): Field) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).examples([example]);
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}
