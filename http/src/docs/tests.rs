use axum::body::{Body, to_bytes};
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;
use utoipa::OpenApi as _;
use utoipa::ToSchema;

use super::names::NameSet;
use super::*;
use crate::problem::Problem;

crate::problem_types! {
    ALL;

    /// Another thing has the name. Take `another` one.
    NAME_TAKEN = CONFLICT "name-taken" "The name is taken" r#"{"owner": "<0192>"}"#;
}

/// Something.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body")]
struct Thing {
    /// Its name, which is <unique>.
    name: String,
    parts: Option<Vec<String>>,
}

crate::problem_responses! {
    /// What is wrong with a thing.
    Refusals = ALL;
}

/// Make a thing
///
/// With all its `parts`.
#[utoipa::path(
    put, path = "/v1/things/{id}", operation_id = "make_thing", tag = "things", request_body = Thing,
    params(("id" = String, Path, description = "The thing", example = "it's")),
    responses((status = 201, description = "Made", body = Thing), Refusals)
)]
#[expect(dead_code, reason = "describes an operation")]
fn make() {}

#[derive(utoipa::OpenApi)]
#[openapi(paths(make), components(schemas(Problem)), info(title = "Things & more", version = "1.0"))]
struct Document;

fn described() -> ApiDocs {
    let body = r#"{"name": "a <b>", "parts": []}"#;
    let examples = [Example { operation: "make_thing", media_type: "application/json", body }];
    ApiDocs::new(Document::openapi(), ALL, &examples)
}

async fn ask(path: &str, tag: Option<&str>) -> Response {
    let request = Request::get(path).header(IF_NONE_MATCH, tag.unwrap_or("none"));
    described().router::<()>().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn operation_has_edge_responses_and_its_example() {
    let document: Value = serde_json::from_str(&text(ask("/openapi.json", None).await).await).unwrap();
    let operation = &document["paths"]["/v1/things/{id}"]["put"];
    assert_eq!(operation["responses"]["201"]["content"]["application/json"]["example"]["name"], "a <b>");
    for status in ["400", "401", "403", "406", "408", "409", "413", "415", "422", "429", "431", "500", "503"] {
        let problem = &operation["responses"][status]["content"]["application/problem+json"];
        assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem", "{status}");
        for example in problem["examples"].as_object().unwrap().values() {
            assert_eq!(example["value"]["status"].to_string(), status);
        }
    }
    let taken =
        &operation["responses"]["409"]["content"]["application/problem+json"]["examples"]["name-taken"]["value"];
    assert_eq!(
        (&taken["type"], &taken["owner"]),
        (&json!("https://highwater.dev/problems/name-taken"), &json!("<0192>"))
    );
    assert!(operation["responses"]["429"]["headers"]["RateLimit"].is_object());
    assert!(operation["responses"]["503"]["headers"]["Retry-After"].is_object());
}

#[tokio::test]
async fn page_loads_only_its_own_files_and_runs_nothing_inline() {
    let answer = ask("/docs", None).await;
    assert_eq!(answer.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let page = text(answer).await;
    assert!(page.contains("<title>Things &amp; more</title>"), "{page}");
    assert!(!page.contains("style=") && !page.contains("<style"), "{page}");
    assert_eq!(page.matches("<script").count(), page.matches("\"></script>").count());
    let loaded = |attribute: &'static str| page.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap());
    for path in loaded("href=\"").chain(loaded("src=\"")) {
        let answer = ask(path, None).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(answer.headers()[CONTENT_SECURITY_POLICY], policy.as_str(), "{path}");
        assert!(!to_bytes(answer.into_body(), usize::MAX).await.unwrap().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn every_problem_type_has_an_anchor_with_its_meaning() {
    let document: Value = serde_json::from_str(&text(ask("/openapi.json", None).await).await).unwrap();
    assert_eq!(document["externalDocs"]["url"], "/docs/problems");
    let page = text(ask("/docs/problems", None).await).await;
    for expected in [
        "<article id=\"name-taken\">",
        "<article id=\"rate-limited\">",
        "Another thing has the name. Take <code>another</code> one.",
        "&quot;owner&quot;: &quot;&lt;0192&gt;&quot;",
        "Every operation can answer with it.",
    ] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
    for target in page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        match target.strip_prefix('#') {
            Some(id) => assert!(page.contains(&format!("id=\"{id}\"")), "{target}"),
            None => assert!(target.starts_with("/docs"), "{target}"),
        }
    }
}

#[tokio::test]
async fn returns_304_for_unchanged_document() {
    for path in ["/docs", "/docs/problems", "/docs/swagger-ui-bundle.js", "/openapi.json"] {
        let tag = ask(path, None).await.headers()[ETAG].to_str().unwrap().to_owned();
        let answer = ask(path, Some(&tag)).await;
        assert_eq!(
            (answer.status(), answer.headers()[ETAG].to_str().unwrap()),
            (StatusCode::NOT_MODIFIED, tag.as_str())
        );
    }
}

/// Something with members of fixed names.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body")]
struct Painted {
    /// Its outside.
    colour: String,
    /// Its inside.
    #[schema(default = "red")]
    lining: Option<String>,
    /// Its sides.
    sides: Vec<String>,
    /// What it stands on.
    base: Option<Thing>,
}

#[test]
fn set_of_names_has_one_schema() {
    #[derive(utoipa::OpenApi)]
    #[openapi(components(schemas(Painted)))]
    struct Document;

    let mut document = Document::openapi();
    let sets = [
        NameSet::new("Colour", "A colour.", ["red", "blue"]).member("colour").member_beside("lining", "colour"),
        NameSet::new("Side", "A side.", ["left"]).member("sides").member("lining"),
    ];
    names::describe(&mut document, &sets);
    let described = serde_json::to_value(ApiDocs::new(document, &[], &[]).document()).unwrap();
    let schemas = &described["components"]["schemas"];
    assert_eq!(schemas["Colour"], json!({"type": "string", "description": "A colour.", "enum": ["red", "blue"]}));
    let members = &schemas["Painted"]["properties"];
    let colour = "#/components/schemas/Colour";
    assert_eq!(members["colour"], json!({"$ref": colour, "description": "Its outside."}));
    assert_eq!(members["lining"], json!({"oneOf": [{"$ref": colour}, {"type": "null"}], "description": "Its inside."}));
    assert_eq!(members["sides"]["items"], json!({"$ref": "#/components/schemas/Side"}));
    assert_eq!(members["base"]["description"], "What it stands on.");
    assert_eq!(members["base"]["oneOf"][0], json!({"$ref": "#/components/schemas/Thing"}));
    assert_eq!(described["servers"], json!([{"url": "/"}]));
}
