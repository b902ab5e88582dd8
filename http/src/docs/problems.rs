//! The catalogue of problem types as a page: each type has an anchor, a meaning, an example and the operations that
//! answer with it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::html::{escape, joined, paragraphs};
use crate::problem::ProblemType;

/// An operation of the OpenAPI document.
struct Operation<'a> {
    id: &'a str,
    tag: &'a str,
    described: &'a Value,
}

impl Operation<'_> {
    fn answers_with(&self, code: &str) -> bool {
        let answers = self.described["responses"].as_object().into_iter().flat_map(|answers| answers.values());
        answers.map(|answer| &answer["content"]["application/problem+json"]["examples"][code]).any(Value::is_object)
    }

    fn link(&self) -> String {
        format!("<a href=\"/docs#/{}/{id}\">{id}</a>", escape(self.tag), id = escape(self.id))
    }
}

/// Renders the page.
pub(super) fn render(document: &Value, problems: &[&ProblemType]) -> String {
    let operations = operations_of(document);
    let by_status: BTreeMap<_, _> = problems.iter().map(|kind| ((kind.status, kind.code), *kind)).collect();
    format!(
        include_str!("problems.html"),
        title = escape(document["info"]["title"].as_str().unwrap_or_default()),
        problems = joined(by_status.into_values().map(|kind| problem(kind, &operations))),
    )
}

fn operations_of(document: &Value) -> Vec<Operation<'_>> {
    let items = document["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    let described = items.filter_map(Value::as_object).flat_map(|item| item.values());
    described
        .filter_map(|described| {
            let id = described["operationId"].as_str()?;
            Some(Operation { id, tag: described["tags"][0].as_str().unwrap_or_default(), described })
        })
        .collect()
}

fn problem(kind: &ProblemType, operations: &[Operation<'_>]) -> String {
    let from: Vec<_> = operations.iter().filter(|operation| operation.answers_with(kind.code)).collect();
    let from = if from.len() == operations.len() {
        "Every operation can answer with it.".to_owned()
    } else if from.is_empty() {
        String::new()
    } else {
        format!("From {}.", from.into_iter().map(Operation::link).collect::<Vec<_>>().join(", "))
    };
    format!(
        "<article id=\"{code}\"><h2><a href=\"#{code}\">{code}</a> <small>{status}</small></h2><p><b>{title}.</b></p>\
         {about}<p>{from}</p><pre>{example}</pre></article>\n",
        code = escape(kind.code),
        status = kind.status.as_u16(),
        title = escape(kind.title),
        about = paragraphs(kind.about),
        example = escape(&serde_json::to_string_pretty(&kind.example()).unwrap_or_default()),
    )
}
