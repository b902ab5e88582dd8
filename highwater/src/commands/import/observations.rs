//! `highwater import observations`.

use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::builder::NonEmptyStringValueParser;
use domain::observation::{BackfillName, ObservationType};
use domain::zone::Zone;
use secrecy::SecretString;

use super::arguments::delimiter;
use crate::client::ApiClient;
use crate::commands::sending::ATTEMPTS;
use crate::import::observations::{self, ColumnName, Columns, LocalTime, ObservationFile};

/// `highwater import observations`.
#[derive(Debug, clap::Args)]
pub struct Observations {
    /// The file: JSON lines, each one observation as the API takes it, or CSV in UTF-8.
    file: PathBuf,
    /// The push source.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    source: String,
    /// The name of the backfill that the file is. A file that is loaded again, or goes on, has the same name.
    #[arg(long, value_name = "NAME")]
    backfill: Option<BackfillName>,
    /// The edge of the backfill: its observations lie before this instant (RFC 3339). If left out: the start of the
    /// source's window when the first chunk is recorded. Say when live sending began, if that was earlier.
    #[arg(long, value_name = "INSTANT", requires = "backfill")]
    before: Option<DateTime<Utc>>,
    /// The column of a member that is not called like it, such as id=Order or dimensions.country=Country; once for
    /// each.
    #[arg(long = "column", value_name = "MEMBER=COLUMN")]
    columns: Vec<ColumnName>,
    /// The type of all observations, of a file without such a column.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<ObservationType>,
    /// The zone of times without an offset.
    #[arg(long, value_name = "TZ")]
    time_zone: Option<Zone>,
    /// How times are written, as strftime spells it.
    #[arg(long, value_name = "FORMAT", value_parser = NonEmptyStringValueParser::new())]
    time_format: Option<String>,
    /// What separates the cells, if not a comma: a character, or `tab`.
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// The command API.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8081", env = "HIGHWATER_SERVER")]
    server: String,
    /// A key with the scope `command`.
    #[arg(long, value_name = "KEY", env = "HIGHWATER_API_KEY", hide_env_values = true)]
    api_key: SecretString,
}

/// Runs the command.
pub(super) async fn run(arguments: Observations) -> anyhow::Result<ExitCode> {
    let client = ApiClient::new(&arguments.server, &arguments.api_key, ATTEMPTS)?;
    let options = ObservationFile {
        file: arguments.file,
        columns: Columns {
            named: arguments.columns,
            kind: arguments.kind,
            times: LocalTime { zone: arguments.time_zone, format: arguments.time_format },
            delimiter: arguments.delimiter,
        },
        source: arguments.source,
        backfill: arguments.backfill.map(|name| name.to_string()),
        before: arguments.before.map(|before| before.to_rfc3339()),
    };
    observations::import(&options, &client).await
}
