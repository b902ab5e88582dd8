use serde_json::json;

use super::*;

crate::problem_types! {
    ALL;

    /// Another thing has the name.
    NAME_TAKEN = CONFLICT "name-taken" "The name is taken" r#"{"owner": "0192"}"#;
}

fn written(problem: &Problem) -> Value {
    serde_json::from_slice(&problem.body()).unwrap()
}

#[test]
fn problem_is_written_as_rfc_9457() {
    let problem = Problem::new(NAME_TAKEN)
        .detail("There is a source `google_ads`.")
        .field("name", "is taken")
        .extension("owner", "0192")
        .instance("urn:highwater:request:1".to_owned());
    assert_eq!(
        written(&problem),
        json!({
            "type": "https://highwater.dev/problems/name-taken",
            "title": "The name is taken",
            "status": 409,
            "detail": "There is a source `google_ads`.",
            "instance": "urn:highwater:request:1",
            "errors": [{ "field": "name", "detail": "is taken" }],
            "owner": "0192",
        })
    );
    let example = ALL.first().unwrap().example();
    assert_eq!((&example["type"], &example["owner"]), (&written(&problem)["type"], &json!("0192")));
    let response = problem.retry_after(Duration::from_millis(1_200)).into_response();
    assert_eq!(response.status(), 409);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    assert_eq!(response.headers()[RETRY_AFTER], "2");
}

#[test]
fn internal_problem_hides_its_cause() {
    let problem = Problem::internal(std::io::Error::other("relation log.heads does not exist"))
        .detail("relation")
        .field("x", "y")
        .extension("sql", "SELECT");
    assert_eq!(
        written(&problem),
        json!({
            "type": "https://highwater.dev/problems/internal",
            "title": "Something went wrong on our side",
            "status": 500,
        })
    );
    let problem = Problem::unavailable(std::io::Error::other("no route to db.internal"));
    assert!(!written(&problem).to_string().contains("db.internal"));
    assert_eq!(problem.cause().unwrap().to_string(), "no route to db.internal");
    assert_eq!(problem.into_response().headers()[RETRY_AFTER], "1");
}

#[test]
fn problem_has_a_schema() {
    assert_eq!(Problem::name(), "Problem");
    let schema = serde_json::to_value(Problem::schema()).unwrap();
    assert_eq!(schema["required"], json!(["type", "title", "status"]));
    let mut schemas = Vec::new();
    Problem::schemas(&mut schemas);
    assert!(schemas.iter().any(|(name, _)| name == "FieldError"));
    assert!(schema["properties"]["errors"]["items"]["$ref"].as_str().unwrap().ends_with("/FieldError"));
}

#[test]
fn problem_is_small_enough_for_a_result() {
    assert_eq!(size_of::<Problem>(), size_of::<usize>());
}
