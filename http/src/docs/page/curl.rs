//! A command line that does what an operation does.

use std::fmt::Write as _;

use serde_json::Value;

/// The line, with whatever of the parameters must be there or has an example.
pub(super) fn line(address: &str, method: &str, path: &str, operation: &Value, body: Option<(&str, &str)>) -> String {
    let mut target = format!("http://{address}{path}");
    let (mut query, mut headers) = (Vec::new(), Vec::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default();
        let given = example_of(parameter).map(|example| text(&example));
        match (parameter["in"].as_str(), given) {
            (Some("path"), Some(given)) => target = target.replace(&format!("{{{name}}}"), &given),
            (Some("query"), Some(given)) => query.push(format!("{name}={}", escaped(&given))),
            // What may be left out of the head is; its examples are of other occasions.
            (Some("header"), Some(given)) if parameter["required"] == true => headers.push(format!("{name}: {given}")),
            _ => {}
        }
    }
    if !query.is_empty() {
        target = format!("{target}?{}", query.join("&"));
    }
    let mut line = match (method, body) {
        ("get", _) | ("post", Some(_)) => format!("curl {}", quoted(&target)),
        _ => format!("curl -X {} {}", method.to_uppercase(), quoted(&target)),
    };
    line.push_str(" \\\n  -H \"Authorization: Bearer $HIGHWATER_API_KEY\"");
    for header in headers {
        let _ = write!(line, " \\\n  -H {}", quoted(&header));
    }
    if let Some((media_type, body)) = body {
        let _ = write!(line, " \\\n  -H 'Content-Type: {media_type}' \\\n  --data-binary {}", quoted(body));
    }
    line
}

/// A parameter's example, wherever it is.
pub(super) fn example_of(parameter: &Value) -> Option<Value> {
    let places = [&parameter["example"], &parameter["schema"]["example"], &parameter["schema"]["examples"][0]];
    places.into_iter().find(|example| !example.is_null()).cloned()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// For a query string: what is no unreserved character of RFC 3986, nor a comma, is escaped.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b',' | b':' | b'/' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// For a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
