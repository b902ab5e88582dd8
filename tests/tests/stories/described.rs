//! What the APIs say of themselves is whole: an integrator finds every parameter, answer and problem described, with
//! examples that are what their schemas say.

use std::collections::BTreeSet;

use http_edge::docs::ApiDocs;
use serde_json::{Value, json};

const PROBLEM: &str = "application/problem+json";

fn apis() -> [(&'static str, ApiDocs); 2] {
    [("command", command_api::description()), ("read", read_api::description())]
}

/// What is missing or wrong in one document.
struct Walk {
    document: Value,
    codes: BTreeSet<&'static str>,
    problems_page: String,
    wrong: Vec<String>,
}

impl Walk {
    fn through(description: &ApiDocs) -> Vec<String> {
        let mut walk = Self {
            document: serde_json::to_value(description.document()).unwrap(),
            codes: description.problems().iter().map(|kind| kind.code).collect(),
            problems_page: description.problems_page(),
            wrong: Vec::new(),
        };
        let document = walk.document.clone();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                walk.operation(&format!("{} {path}", method.to_uppercase()), operation);
            }
        }
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            walk.schema(name, schema);
        }
        for reference in document.to_string().split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            walk.expect(document["components"]["schemas"][name].is_object(), name, "is referred to and not there");
        }
        for code in walk.codes.clone() {
            let anchor = format!("id=\"{code}\"");
            walk.expect(walk.problems_page.contains(&anchor), code, "has no anchor on the page of problems");
        }
        walk.wrong
    }

    fn expect(&mut self, holds: bool, place: &str, otherwise: &str) {
        if !holds {
            self.wrong.push(format!("{place}: {otherwise}"));
        }
    }

    fn operation(&mut self, place: &str, operation: &Value) {
        let said = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        self.expect(said(&operation["summary"]), place, "has no summary");
        self.expect(said(&operation["tags"][0]), place, "has no tag");
        self.expect(said(&operation["operationId"]), place, "has no id for the page to link to");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = format!("{place} {}", parameter["name"]);
            self.expect(said(&parameter["description"]), &name, "has no description");
            let schema = &parameter["schema"];
            self.expect(schema["enum"].is_null(), &name, "lists names, which belong into a schema of their own");
            for example in [&parameter["example"], &schema["example"]].into_iter().filter(|example| !example.is_null())
            {
                self.valid(&name, schema, example);
            }
        }
        for (media_type, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            self.content(&format!("{place}, body as {media_type}"), media_type, content);
        }
        let responses = operation["responses"].as_object().unwrap();
        self.expect(responses.keys().any(|status| status.starts_with('2')), place, "has no success");
        for status in ["401", "403", "406", "429", "431", "500", "503"] {
            self.expect(responses.contains_key(status), place, &format!("does not say {status}"));
        }
        for (status, answer) in responses {
            let place = format!("{place}, {status}");
            self.expect(said(&answer["description"]), &place, "has no description");
            let contents = answer["content"].as_object();
            if status.starts_with(['4', '5']) {
                self.problems(&place, status, answer);
            } else if let Some(contents) = contents {
                for (media_type, content) in contents {
                    self.content(&format!("{place} as {media_type}"), media_type, content);
                }
            } else {
                self.expect(["204", "304"].contains(&status.as_str()), &place, "has no body");
            }
        }
    }

    fn problems(&mut self, place: &str, status: &str, answer: &Value) {
        let examples = answer["content"][PROBLEM]["examples"].as_object();
        self.expect(examples.is_some_and(|examples| !examples.is_empty()), place, "names no problem");
        for (code, example) in examples.into_iter().flatten() {
            let value = &example["value"];
            self.expect(self.codes.contains(code.as_str()), place, &format!("{code} is no type of this API"));
            self.expect(value["status"].as_u64() == status.parse().ok(), place, &format!("{code} has another status"));
            self.valid(place, &json!({ "$ref": "#/components/schemas/Problem" }), value);
        }
    }

    fn content(&mut self, place: &str, media_type: &str, content: &Value) {
        let schema = &content["schema"];
        let examples = self.examples(content);
        self.expect(!examples.is_empty(), place, "has no example");
        for example in examples {
            match example.as_str() {
                // Not one JSON document, but one to a line.
                Some(text) if media_type.ends_with("ndjson") => {
                    for line in text.lines() {
                        self.valid(place, schema, &serde_json::from_str(line).unwrap());
                    }
                }
                _ => self.valid(place, schema, &example),
            }
        }
    }

    /// The examples of a body: its own, or its schema's.
    fn examples(&self, content: &Value) -> Vec<Value> {
        let named = content["examples"].as_object().into_iter().flatten().map(|(_, example)| &example["value"]);
        let own: Vec<_> = named.chain([&content["example"]]).filter(|example| !example.is_null()).cloned().collect();
        if !own.is_empty() {
            return own;
        }
        let of = |schema: &Value| {
            let schema = match schema["$ref"].as_str().and_then(|target| target.rsplit('/').next()) {
                Some(name) => &self.document["components"]["schemas"][name],
                None => schema,
            };
            schema["example"].clone()
        };
        let (one, item) = (of(&content["schema"]), of(&content["schema"]["items"]));
        let list = (!item.is_null()).then(|| Value::from(vec![item]));
        [Some(one).filter(|example| !example.is_null()), list].into_iter().flatten().collect()
    }

    fn schema(&mut self, name: &str, schema: &Value) {
        for member in schema["properties"].as_object().into_iter().flatten() {
            self.member(name, member);
        }
        if !schema["example"].is_null() {
            self.valid(name, schema, &schema["example"]);
        }
        for (member, described) in schema["properties"].as_object().into_iter().flatten() {
            for example in [&described["example"], &described["examples"][0]] {
                if !example.is_null() {
                    self.valid(&format!("{name}.{member}"), described, example);
                }
            }
        }
    }

    /// A generated client has a type for each set of names, and people find the text of each member.
    fn member(&mut self, name: &str, (member, described): (&String, &Value)) {
        let place = format!("{name}.{member}");
        for schema in [described, &described["items"], &described["additionalProperties"]] {
            self.expect(schema["enum"].is_null(), &place, "lists names, which belong into a schema of their own");
        }
        let alternatives = described["oneOf"].as_array().into_iter().flatten();
        for text in alternatives.filter(|one| one["$ref"].is_string()).map(|one| &one["description"]) {
            self.expect(text.is_null(), &place, "has its text in one of its alternatives");
        }
        self.expect(described["default"].is_null(), &place, "has a default, so generators take it for required");
    }

    fn valid(&mut self, place: &str, schema: &Value, example: &Value) {
        let whole = json!({ "components": self.document["components"], "allOf": [schema] });
        let validator = jsonschema::validator_for(&whole).unwrap();
        let errors: Vec<_> = validator.iter_errors(example).map(|error| error.to_string()).collect();
        self.expect(errors.is_empty(), place, &format!("the example {example} is not as its schema says: {errors:?}"));
    }
}

#[test]
fn openapi_describes_everything_with_valid_examples() {
    let mut wrong = Vec::new();
    for (api, description) in apis() {
        wrong.extend(Walk::through(&description).into_iter().map(|wrong| format!("{api}: {wrong}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn both_documents_mean_the_same_by_a_set_of_names() {
    let [command, read] = apis().map(|(_, description)| {
        let document = serde_json::to_value(description.document()).unwrap();
        assert_eq!(document["servers"], json!([{ "url": "/" }]));
        document["components"]["schemas"].as_object().unwrap().clone()
    });
    let shared: Vec<_> =
        command.keys().filter(|name| !command[*name]["enum"].is_null() && read.contains_key(*name)).collect();
    assert!(shared.len() >= 6, "{shared:?}");
    for name in shared {
        assert_eq!(command[name], read[name], "{name}");
    }
}

#[test]
fn operation_ids_are_unique() {
    for (api, description) in apis() {
        let document = serde_json::to_value(description.document()).unwrap();
        let operations =
            document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
        let mut ids: Vec<_> = operations.map(|operation| operation["operationId"].to_string()).collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all, "{api}");
    }
}

#[test]
fn api_rules_list_every_problem_type() {
    let rules = include_str!("../../../docs/api.md");
    for (_, description) in apis() {
        for kind in description.problems() {
            assert!(rules.contains(&format!("`{}`", kind.code)), "docs/api.md does not list {}", kind.code);
        }
    }
}
