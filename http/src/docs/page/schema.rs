//! Schemas: types in a few words, and what an object holds.

use serde_json::Value;

use super::text::{escape, inline, joined};

const SCHEMAS: &str = "#/components/schemas/";

/// The type in a few words, with links to what has a name.
pub(super) fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.strip_prefix(SCHEMAS)) {
        return link(name);
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let glue = if choice == "allOf" { " and " } else { " or " };
            return choices.iter().map(type_of).collect::<Vec<_>>().join(glue);
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(value).collect::<Vec<_>>().join(" or ");
    }
    match &schema["type"] {
        Value::Array(types) => types.iter().map(|name| one_type(name, schema)).collect::<Vec<_>>().join(" or "),
        name => one_type(name, schema),
    }
}

fn one_type(name: &Value, schema: &Value) -> String {
    match name.as_str() {
        Some("array") => match &schema["prefixItems"] {
            Value::Array(items) => format!("[{}]", items.iter().map(type_of).collect::<Vec<_>>().join(", ")),
            _ => format!("array of {}", type_of(&schema["items"])),
        },
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map to {}", type_of(&schema["additionalProperties"]))
        }
        Some("string" | "integer" | "number") => {
            let name = name.as_str().unwrap_or_default();
            // How many bits a number has is the program's own concern.
            let format = schema["format"].as_str().filter(|format| !format.starts_with("int") && *format != "double");
            format.map_or_else(|| name.to_owned(), |format| format!("{name} ({})", escape(format)))
        }
        Some(name) => escape(name),
        None => "anything".to_owned(),
    }
}

pub(super) fn link(name: &str) -> String {
    let name = escape(name);
    format!("<a href=\"#schema-{name}\">{name}</a>")
}

fn value(value: &Value) -> String {
    format!("<code>{}</code>", escape(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
}

/// What a value must be besides its type.
pub(super) fn bounds_of(schema: &Value) -> String {
    let said = [
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("minLength", "characters at least:"),
        ("maxLength", "characters at most:"),
        ("minItems", "items at least:"),
        ("maxItems", "items at most:"),
        ("pattern", "matches"),
        ("default", "default"),
    ];
    let bounds = said.iter().filter(|(name, _)| !schema[name].is_null());
    joined(bounds.map(|(name, says)| format!("<span class=\"bound\">{says} {}</span>", value(&schema[name]))))
}

/// The members of an object, one row each; nothing for what is no object.
pub(super) fn members_of(schema: &Value) -> String {
    let parts = schema["allOf"].as_array().map_or_else(|| vec![schema], |parts| parts.iter().collect());
    let rows = joined(parts.into_iter().map(rows_of));
    if rows.is_empty() {
        return String::new();
    }
    format!("<table class=\"members\"><tbody>{rows}</tbody></table>")
}

fn rows_of(schema: &Value) -> String {
    let Some(members) = schema["properties"].as_object() else { return String::new() };
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|required| required.iter().any(|required| required == name))
    };
    joined(members.iter().map(|(name, member)| row(name, member, required(name), None)))
}

/// One member or parameter. `place` says where a parameter stands.
pub(super) fn row(name: &str, schema: &Value, required: bool, place: Option<&str>) -> String {
    let needed = if required { "<span class=\"needed\">required</span>" } else { "" };
    let place = place.map_or(String::new(), |place| format!("<span class=\"place\">{}</span>", escape(place)));
    let about = schema["description"].as_str().map(inline).unwrap_or_default();
    format!(
        "<tr><th scope=\"row\"><code>{}</code>{needed}{place}</th><td><span class=\"type\">{}</span>{}<div>{about}</div></td></tr>",
        escape(name),
        type_of(schema),
        bounds_of(schema),
    )
}

/// The named schema that a schema is, or is an array of.
pub(super) fn named<'a>(schema: &'a Value) -> Option<&'a str> {
    let own = |schema: &'a Value| schema["$ref"].as_str().and_then(|target| target.strip_prefix(SCHEMAS));
    own(schema).or_else(|| own(&schema["items"]))
}
