//! `domain/schemas/<Type>/v<N>.json`: what every version of every event looks like, for whoever reads a log.
//!
//! The schema of a current version is made from the code, and has to be what is committed. Once committed, its shape is
//! locked by a digest in `released.lock`: logs may hold such events. The words that explain it may change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use schemars::JsonSchema;
use schemars::generate::{Contract, SchemaSettings};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::campaign::CampaignEvent;
use crate::catalogue::{self, EventType};
use crate::observation::ObservationsRecorded;
use crate::source::SourceEvent;
use crate::statement::StatementsRecorded;
use crate::sync::SyncEvent;
use crate::workspace::{WorkspaceCalendarSet, WorkspaceMoneyLimitSet, WorkspaceOpened};
use crate::{campaign, observation, source, statement, sync, workspace};

/// A folder of this crate.
pub(super) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The schema of a version, as it is committed.
pub(super) fn committed(event_type: &EventType, version: usize) -> Value {
    let path = folder("schemas").join(file(event_type, version));
    read(&path).unwrap_or_else(|| panic!("{} is not committed", path.display()))
}

fn read(path: &Path) -> Option<Value> {
    let text = fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Whatever is in a folder, by name.
pub(super) fn names(folder: &Path) -> BTreeSet<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).map(name).collect()
}

fn file(event_type: &EventType, version: usize) -> String {
    format!("{}/v{version}.json", event_type.name)
}

/// The schema of the version that the code writes.
fn current(event_type: &EventType) -> Value {
    let mut schema = match event_type.stream_type {
        workspace::STREAM_TYPE if event_type.name == catalogue::WORKSPACE_OPENED.name => whole::<WorkspaceOpened>(),
        workspace::STREAM_TYPE if event_type.name == catalogue::WORKSPACE_MONEY_LIMIT_SET.name => {
            whole::<WorkspaceMoneyLimitSet>()
        }
        workspace::STREAM_TYPE => whole::<WorkspaceCalendarSet>(),
        campaign::STREAM_TYPE => one_of::<CampaignEvent>(event_type.name),
        source::STREAM_TYPE => one_of::<SourceEvent>(event_type.name),
        observation::STREAM_TYPE => whole::<ObservationsRecorded>(),
        statement::STREAM_TYPE => whole::<StatementsRecorded>(),
        sync::STREAM_TYPE => one_of::<SyncEvent>(event_type.name),
        other => panic!("no schema for events of {other}"),
    };
    close(&mut schema);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["$id"] = json!(format!("urn:highwater:event:{}:{}", event_type.name, event_type.version()));
    schema["title"] = json!(format!("{}, version {}", event_type.name, event_type.version()));
    schema
}

fn whole<T: JsonSchema>() -> Value {
    let as_written = |settings: &mut SchemaSettings| {
        settings.inline_subschemas = true;
        settings.contract = Contract::Serialize;
    };
    SchemaSettings::draft2020_12().with(as_written).into_generator().into_root_schema_for::<T>().to_value()
}

/// The variant of this name.
fn one_of<T: JsonSchema>(name: &str) -> Value {
    let mut schema = whole::<T>();
    let variants = schema["oneOf"].as_array_mut().unwrap();
    variants.iter_mut().find(|variant| !variant["properties"][name].is_null()).unwrap().take()
}

/// No object has members that its schema does not name: another member is another version.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("properties").is_some_and(Value::is_object) {
                members.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A schema without the words that explain it, which may change.
fn shape(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let is_word = |name: &str, member: &Value| ["description", "title"].contains(&name) && member.is_string();
            let kept = members.iter().filter(|(name, member)| !is_word(name, member));
            kept.map(|(name, member)| (name.clone(), shape(member))).collect()
        }
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}

/// Where two schemas differ.
fn differences(at: &str, committed: &Value, made: &Value, found: &mut Vec<String>) {
    match (committed, made) {
        (Value::Object(one), Value::Object(other)) => {
            for name in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
                let part = |of: &serde_json::Map<String, Value>| of.get(name).cloned().unwrap_or_default();
                differences(&format!("{at}/{name}"), &part(one), &part(other), found);
            }
        }
        _ if committed == made => {}
        _ => found.push(format!("  {at}: committed {committed}, the code says {made}")),
    }
}

/// The digests of the shapes that are committed, by file.
fn locked() -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder("schemas/released.lock")).unwrap_or_default();
    let line = |line: &str| line.split_once("  ").map(|(digest, file)| (file.to_owned(), digest.to_owned()));
    text.lines().map(|text| line(text).unwrap_or_else(|| panic!("released.lock: {text:?}"))).collect()
}

fn digest(schema: &Value) -> String {
    hex::encode(Sha256::digest(shape(schema).to_string()))
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the test says so in the environment")]
fn updating() -> bool {
    std::env::var("UPDATE_SCHEMAS").is_ok()
}

fn write(file: &str, schema: &Value, locked: &mut BTreeMap<String, String>) {
    let path = folder("schemas").join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, serde_json::to_string_pretty(schema).unwrap() + "\n").unwrap();
    locked.insert(file.to_owned(), digest(schema));
    let lines: Vec<String> = locked.iter().map(|(file, digest)| format!("{digest}  {file}\n")).collect();
    fs::write(folder("schemas/released.lock"), lines.concat()).unwrap();
}

const NEXT: &str = "What is committed may be in logs, so the shape of a version never changes. Raise the version: add an \
                    upcaster to the type in domain/src/catalogue/mod.rs, then run `UPDATE_SCHEMAS=1 cargo nextest run -p \
                    domain schemas` and add fixtures (docs/events.md says how, in ten minutes). A version that no release \
                    has written yet may still change: take its line out of domain/schemas/released.lock and run the same.";

#[test]
fn committed_schemas_match_the_types() {
    let mut locked = locked();
    let mut wrong = Vec::new();
    for event_type in EventType::ALL {
        let (file, made) = (file(event_type, event_type.version()), current(event_type));
        let found = read(&folder("schemas").join(&file));
        let only_words = found.as_ref().is_some_and(|found| shape(found) == shape(&made));
        if updating() && (only_words || !locked.contains_key(&file)) {
            write(&file, &made, &mut locked);
        } else if found.as_ref() != Some(&made) {
            wrong.push(match found {
                None => format!("domain/schemas/{file} is not committed"),
                Some(_) if only_words => format!("domain/schemas/{file} is explained otherwise: run UPDATE_SCHEMAS=1"),
                Some(found) => {
                    let mut lines = vec![format!("domain/schemas/{file} is not what the code writes:")];
                    differences("", &shape(&found), &shape(&made), &mut lines);
                    lines.join("\n")
                }
            });
        }
    }
    assert!(wrong.is_empty(), "\n{}\n\n{NEXT}", wrong.join("\n"));
}

#[test]
fn released_schemas_do_not_change() {
    let mut unlocked = locked();
    let mut wrong = Vec::new();
    for event_type in EventType::ALL {
        let expected: BTreeSet<String> = (1..=event_type.version()).map(|version| format!("v{version}.json")).collect();
        let found = names(&folder("schemas").join(event_type.name));
        wrong.extend(expected.symmetric_difference(&found).map(|file| {
            format!(
                "domain/schemas/{}/{file}: every version up to {} has a schema",
                event_type.name,
                event_type.version()
            )
        }));
        for version in 1..=event_type.version() {
            let file = file(event_type, version);
            let found = read(&folder("schemas").join(&file)).unwrap_or_default();
            if unlocked.remove(&file).is_none_or(|released| released != digest(&found)) {
                wrong.push(format!("domain/schemas/{file} is not as released.lock has it"));
            }
        }
    }
    wrong.extend(unlocked.keys().map(|file| format!("released.lock has {file}, which is not a version of an event")));
    assert!(wrong.is_empty(), "\n{}\n\n{NEXT}", wrong.join("\n"));
    let known: BTreeSet<_> = EventType::ALL.iter().map(|known| known.name.to_owned()).collect();
    let folders: BTreeSet<_> = names(&folder("schemas")).into_iter().filter(|name| name != "released.lock").collect();
    assert_eq!(folders, known, "a type that logs hold is known for ever");
}

/// Readers are told what every member means, by the doc comments of the types.
#[test]
fn schemas_describe_every_member() {
    fn silent(at: &str, schema: &Value, found: &mut Vec<String>) {
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            let at = format!("{at}/{name}");
            let is_name = EventType::find(name).is_some() || schema["additionalProperties"] != false;
            let is_key = crate::measure::Measure::ALL.iter().any(|measure| measure.name() == name);
            if member["description"].is_null() && !is_name && !is_key {
                found.push(at.clone());
            }
            silent(&at, member, found);
        }
        silent_items(at, &schema["items"], found);
    }
    fn silent_items(at: &str, items: &Value, found: &mut Vec<String>) {
        if items.is_object() {
            silent(&format!("{at}/[]"), items, found);
        }
    }
    let mut found = Vec::new();
    for event_type in EventType::ALL {
        let schema = current(event_type);
        assert!(schema["description"].is_string(), "{}", event_type.name);
        silent(event_type.name, &schema, &mut found);
    }
    assert!(found.is_empty(), "no description: {found:#?}");
}

#[test]
fn adding_a_member_changes_the_schema() {
    let schema = current(&catalogue::CAMPAIGN_CREATED);
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let path = folder("fixtures/CampaignCreated/v2/full.json");
    let mut event: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert!(validator.is_valid(&event));
    event["CampaignCreated"]["objective"] = json!("reach");
    assert!(!validator.is_valid(&event));
}
