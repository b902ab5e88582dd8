//! The OpenAPI document as one page of plain HTML.

mod curl; // command lines
mod operation; // one operation
mod schema; // types and members
mod text; // escaping, and a little markup

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use self::operation::{Operation, shown};
use self::schema::{members_of, named, type_of};
use self::text::{escape, inline, joined, paragraphs};
use crate::problem::ProblemType;

/// The page's only style.
pub(super) const STYLE: &str = include_str!("style.css");

/// What the parts of the page look up.
struct Page<'a> {
    document: &'a Value,
    address: &'a str,
}

/// Writes the page.
pub(super) fn render(document: &Value, problems: &[&ProblemType], address: &str) -> String {
    let page = Page { document, address };
    let operations = operations_of(document);
    let title = escape(document["info"]["title"].as_str().unwrap_or_default());
    let version = escape(document["info"]["version"].as_str().unwrap_or_default());
    let about = paragraphs(document["info"]["description"].as_str().unwrap_or_default());
    let mut sections = String::new();
    for (tag, described) in tags_of(document, &operations) {
        let of_tag = operations.iter().filter(|operation| operation.tag() == tag);
        let of_tag = joined(of_tag.map(|operation| operation.render(&page)));
        let _ = write!(
            sections,
            "<section id=\"tag-{0}\"><h2>{0}</h2><p class=\"about\">{1}</p>{of_tag}</section>",
            escape(&tag),
            inline(&described)
        );
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head>\
         <body><nav aria-label=\"Contents\"><p class=\"brand\"><a href=\"#top\">{title}</a></p>{nav}</nav>\
         <main id=\"top\"><header><h1>{title} <small>{version}</small></h1>{about}\
         <p>For programs: <a href=\"/openapi.json\">/openapi.json</a>.</p></header>\
         {sections}{problems}{schemas}</main></body></html>\n",
        nav = contents(document, &operations),
        problems = problems_of(problems, &operations),
        schemas = page.schemas(),
    )
}

fn operations_of(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let methods = ["get", "post", "put", "patch", "delete"];
    paths
        .flat_map(|(path, item)| {
            let described = methods.into_iter().map(move |method| (method, &item[method]));
            described.filter(|(_, described)| described.is_object()).map(move |(method, described)| Operation {
                method,
                path,
                described,
            })
        })
        .collect()
}

/// The tags in the document's order, each with what it is about; behind them those that it does not describe.
fn tags_of(document: &Value, operations: &[Operation<'_>]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let described = document["tags"].as_array().into_iter().flatten();
    let mut tags: Vec<_> = described.map(|tag| (text(&tag["name"]), text(&tag["description"]))).collect();
    for operation in operations {
        if tags.iter().all(|(name, _)| name != operation.tag()) {
            tags.push((operation.tag().to_owned(), String::new()));
        }
    }
    tags
}

fn contents(document: &Value, operations: &[Operation<'_>]) -> String {
    let mut html = String::new();
    for (tag, _) in tags_of(document, operations) {
        let of_tag = operations.iter().filter(|operation| operation.tag() == tag);
        let links = joined(of_tag.map(|operation| {
            let summary = inline(operation.summary().trim_end_matches('.'));
            format!("<li><a href=\"#{}\">{} {summary}</a></li>", escape(operation.id()), operation.method_badge())
        }));
        let _ = write!(html, "<h2><a href=\"#tag-{0}\">{0}</a></h2><ul>{links}</ul>", escape(&tag));
    }
    html + "<h2><a href=\"#problems\">problems</a></h2><h2><a href=\"#schemas\">schemas</a></h2>"
}

/// Every problem type, with an anchor of its own and the operations that answer with it.
fn problems_of(problems: &[&ProblemType], operations: &[Operation<'_>]) -> String {
    let mut by_status: BTreeMap<(u16, &str), &ProblemType> = BTreeMap::new();
    by_status.extend(problems.iter().map(|kind| ((kind.status.as_u16(), kind.code), *kind)));
    let each = joined(by_status.into_values().map(|kind| problem(kind, operations)));
    format!(
        "<section id=\"problems\"><h2>problems</h2><p class=\"about\">Whatever is refused is answered with \
         <code>application/problem+json</code> (RFC 9457). Programs match on <code>type</code>, which stays the same for ever; \
         <code>detail</code> and <code>errors</code> are for people.</p>{each}</section>"
    )
}

fn problem(kind: &ProblemType, operations: &[Operation<'_>]) -> String {
    let answers = |operation: &&Operation<'_>| operation.problems().any(|(_, code)| code == kind.code);
    let of: Vec<&Operation<'_>> = operations.iter().filter(answers).collect();
    let from = if of.is_empty() {
        String::new()
    } else if of.len() == operations.len() {
        "<p class=\"from\">Every operation may answer so.</p>".to_owned()
    } else {
        let link = |operation: &&Operation<'_>| format!("<a href=\"#{0}\">{0}</a>", escape(operation.id()));
        format!("<p class=\"from\">From {}.</p>", of.iter().map(link).collect::<Vec<_>>().join(", "))
    };
    format!(
        "<article id=\"problem-{code}\"><h3><a href=\"#problem-{code}\">{code}</a> <small>{status}</small></h3>\
         <div class=\"sides\"><div class=\"says\"><p><b>{title}.</b></p>{about}{from}</div>\
         <div class=\"shows\"><figure><pre>{example}</pre></figure></div></div></article>",
        code = escape(kind.code),
        status = kind.status.as_u16(),
        title = escape(kind.title),
        about = paragraphs(kind.about),
        example = escape(&shown("", &kind.example())),
    )
}

impl Page<'_> {
    fn named(&self, name: &str) -> &Value {
        &self.document["components"]["schemas"][name]
    }

    /// A body's members, and those of what it is an array of.
    fn body(&self, schema: &Value) -> String {
        let members = named(schema).map_or_else(|| members_of(schema), |name| members_of(self.named(name)));
        format!("<p class=\"as\">{}</p>{members}", type_of(schema))
    }

    /// The example of a body: its own, or its schema's.
    fn example(&self, content: &Value) -> Option<Value> {
        let schema = &content["schema"];
        let of_schema = |schema: &Value| {
            let named = schema["$ref"].as_str().and_then(|_| named(schema)).map(|name| self.named(name));
            let schema = named.unwrap_or(schema);
            [&schema["example"], &schema["examples"][0]].into_iter().find(|example| !example.is_null()).cloned()
        };
        let own = content["examples"].as_object().and_then(|examples| examples.values().next());
        let own = own.map_or(&content["example"], |example| &example["value"]);
        if !own.is_null() {
            return Some(own.clone());
        }
        of_schema(schema).or_else(|| of_schema(&schema["items"]).map(|item| Value::from(vec![item])))
    }

    fn schemas(&self) -> String {
        let schemas = self.document["components"]["schemas"].as_object().into_iter().flatten();
        let each = joined(schemas.map(|(name, schema)| one_schema(name, schema)));
        format!("<section id=\"schemas\"><h2>schemas</h2>{each}</section>")
    }
}

fn one_schema(name: &str, schema: &Value) -> String {
    let about = schema["description"].as_str().map(paragraphs).unwrap_or_default();
    let members = members_of(schema);
    let members = if members.is_empty() { format!("<p class=\"type\">{}</p>", type_of(schema)) } else { members };
    format!(
        "<article id=\"schema-{0}\" class=\"schema\"><h3><a href=\"#schema-{0}\">{0}</a></h3>{about}{members}</article>",
        escape(name)
    )
}
