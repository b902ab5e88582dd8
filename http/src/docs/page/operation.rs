//! One operation: what it takes and answers on the left, how that looks on the right.

use std::fmt::Write as _;

use serde_json::Value;

use super::schema::{self, named, type_of};
use super::text::{escape, inline, joined, paragraphs};
use super::{Page, curl};

/// An operation and where it is found.
#[derive(Clone, Copy)]
pub(super) struct Operation<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) described: &'a Value,
}

impl Operation<'_> {
    pub(super) fn id(&self) -> &str {
        self.described["operationId"].as_str().unwrap_or_default()
    }

    pub(super) fn summary(&self) -> &str {
        self.described["summary"].as_str().unwrap_or_default()
    }

    pub(super) fn tag(&self) -> &str {
        self.described["tags"][0].as_str().unwrap_or_default()
    }

    /// Its answers that are problems, by status and code.
    pub(super) fn problems(&self) -> impl Iterator<Item = (&str, &str)> {
        let answers = self.described["responses"].as_object().into_iter().flatten();
        answers.flat_map(|(status, answer)| {
            let examples = answer["content"]["application/problem+json"]["examples"].as_object();
            examples.into_iter().flat_map(|examples| examples.keys()).map(move |code| (status.as_str(), code.as_str()))
        })
    }

    pub(super) fn method_badge(&self) -> String {
        format!("<span class=\"method {0}\">{0}</span>", escape(self.method))
    }

    pub(super) fn render(&self, page: &Page<'_>) -> String {
        let (says, shows) = (self.says(page), self.shows(page));
        format!(
            "<article id=\"{id}\"><h3><a href=\"#{id}\">{summary}</a></h3>\
             <p class=\"route\">{badge} <code>{path}</code></p>\
             <div class=\"sides\"><div class=\"says\">{says}</div><div class=\"shows\">{shows}</div></div></article>",
            id = escape(self.id()),
            summary = inline(self.summary().trim_end_matches('.')),
            badge = self.method_badge(),
            path = escape(self.path),
        )
    }

    fn says(&self, page: &Page<'_>) -> String {
        let mut html = self.described["description"].as_str().map(paragraphs).unwrap_or_default();
        let parameters = self.described["parameters"].as_array().into_iter().flatten();
        let rows = joined(parameters.map(parameter));
        if !rows.is_empty() {
            let _ = write!(html, "<h4>Parameters</h4><table class=\"members\"><tbody>{rows}</tbody></table>");
        }
        for (media_type, content) in contents(&self.described["requestBody"]) {
            let _ = write!(html, "<h4>Body <code>{}</code></h4>{}", escape(media_type), page.body(&content["schema"]));
        }
        html.push_str("<h4>Answers</h4>");
        let answers = self.described["responses"].as_object().into_iter().flatten();
        for (status, answer) in answers.filter(|(status, _)| !status.starts_with(['4', '5'])) {
            html.push_str(&success(status, answer));
        }
        let problems = joined(self.problems().map(|(status, code)| {
            let code = escape(code);
            format!("<a class=\"problem\" href=\"#problem-{code}\"><b>{}</b> {code}</a>", escape(status))
        }));
        let _ = write!(html, "<p class=\"problems\">{problems}</p>");
        html
    }

    fn shows(&self, page: &Page<'_>) -> String {
        let sent = contents(&self.described["requestBody"]).next();
        let body =
            sent.and_then(|(media_type, content)| Some((media_type, shown(media_type, &page.example(content)?))));
        let body = body.as_ref().map(|(media_type, text)| (*media_type, text.as_str()));
        let line = curl::line(page.address, self.method, self.path, self.described, body);
        let mut html = format!("<figure><figcaption>Request</figcaption><pre>{}</pre></figure>", escape(&line));
        for (media_type, content) in contents(&self.described["requestBody"]).skip(1) {
            if let Some(example) = page.example(content) {
                html.push_str(&figure(&format!("Body, as {media_type}"), &shown(media_type, &example), true));
            }
        }
        let answers = self.described["responses"].as_object().into_iter().flatten();
        for (status, answer) in answers.filter(|(status, _)| status.starts_with('2')) {
            for (place, (media_type, content)) in contents(answer).enumerate() {
                if let Some(example) = page.example(content) {
                    let caption = format!("{status}, {media_type}");
                    html.push_str(&figure(&caption, &shown(media_type, &example), place > 0));
                }
            }
        }
        html
    }
}

fn parameter(parameter: &Value) -> String {
    let name = parameter["name"].as_str().unwrap_or_default();
    let mut shape = parameter["schema"].clone();
    if let (Value::Object(shape), Some(about)) = (&mut shape, parameter["description"].as_str()) {
        shape.insert("description".to_owned(), about.into());
    }
    schema::row(name, &shape, parameter["required"] == true, parameter["in"].as_str())
}

fn success(status: &str, answer: &Value) -> String {
    let mut html = format!(
        "<p class=\"success\"><b>{}</b> {}",
        escape(status),
        inline(answer["description"].as_str().unwrap_or_default())
    );
    for (media_type, content) in contents(answer) {
        let _ =
            write!(html, " <span class=\"as\"><code>{}</code> {}</span>", escape(media_type), of(&content["schema"]));
    }
    html.push_str("</p>");
    let headers = answer["headers"].as_object().into_iter().flatten();
    let headers = joined(headers.map(|(name, header)| {
        let about = inline(header["description"].as_str().unwrap_or_default());
        format!("<li><code>{}</code> {about}</li>", escape(name))
    }));
    if !headers.is_empty() {
        let _ = write!(html, "<ul class=\"headers\">{headers}</ul>");
    }
    html
}

/// A schema that has a name, by its name; generic ones have long names, which say less than their members do.
fn of(schema: &Value) -> String {
    match named(schema) {
        Some(_) => type_of(schema),
        None => String::new(),
    }
}

fn figure(caption: &str, text: &str, folded: bool) -> String {
    let open = if folded { "" } else { " open" };
    format!(
        "<details class=\"figure\"{open}><summary>{}</summary><pre>{}</pre></details>",
        escape(caption),
        escape(text)
    )
}

/// An example as it stands on the wire, but for blanks.
pub(super) fn shown(media_type: &str, example: &Value) -> String {
    match example {
        Value::String(text) => text.clone(),
        // One document to a line.
        _ if media_type.ends_with("ndjson") => example.to_string(),
        _ => serde_json::to_string_pretty(example).unwrap_or_default(),
    }
}

fn contents(of: &Value) -> impl Iterator<Item = (&str, &Value)> {
    of["content"].as_object().into_iter().flatten().map(|(media_type, content)| (media_type.as_str(), content))
}
