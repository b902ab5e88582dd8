//! `highwater events`: the types of events and their schemas. It needs no database.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context, bail};
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use domain::catalogue::EventType;

/// The type, the version and the JSON Schema of the payload, for every version that was ever written.
const SCHEMAS: &[(&str, usize, &str)] = include!(concat!(env!("OUT_DIR"), "/event_schemas.rs"));

/// The subcommands of `events`.
#[derive(Debug, clap::Subcommand)]
pub enum EventsCommand {
    /// Print the JSON Schema of an event's payload, or list the types of events.
    Schema(SchemaOptions),
}

/// The arguments of `events schema`.
#[derive(Debug, clap::Args)]
pub struct SchemaOptions {
    /// The type of event, such as CampaignCreated. All are listed when left out.
    #[arg(value_name = "TYPE")]
    event_type: Option<String>,
    /// The version of it. The one that is written today when left out.
    #[arg(value_name = "N", requires = "event_type")]
    number: Option<usize>,
}

/// Runs the command.
pub fn run(command: &EventsCommand) -> anyhow::Result<ExitCode> {
    let EventsCommand::Schema(SchemaOptions { event_type, number }) = command;
    let mut out = std::io::stdout().lock();
    match event_type {
        Some(event_type) => out.write_all(schema(event_type, *number)?.as_bytes())?,
        None => writeln!(out, "{}", table())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn schema(event_type: &str, version: Option<usize>) -> anyhow::Result<&'static str> {
    let Some(known) = EventType::find(event_type) else {
        bail!("there is no type of event {event_type:?}: `highwater events schema` lists them")
    };
    let version = version.unwrap_or(known.version());
    let schema = SCHEMAS.iter().find(|(name, of, _)| (*name, *of) == (known.name, version));
    let (.., text) = schema.with_context(|| {
        format!("there is no version {version} of {event_type}: its versions are 1 to {}", known.version())
    })?;
    Ok(text)
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["type", "stream", "version"]);
    for known in EventType::ALL {
        table.add_row([known.name, known.stream_type, &known.version().to_string()]);
    }
    table
}

#[cfg(test)]
mod tests;
