//! `highwater singer`: takes what a Singer tap extracts.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ArgAction;
use clap::builder::NonEmptyStringValueParser;
use domain::money::Currency;
use domain::zone::Zone;
use platform::clock::SystemClock;
use secrecy::SecretString;

use super::import::ATTEMPTS;
use crate::client::ApiClient;
use crate::import::mapping::Mapping;
use crate::singer::mapping::TapMapping;
use crate::singer::run::TapRun;

/// `highwater singer`.
#[derive(Debug, clap::Args)]
pub struct SingerArgs {
    /// What the streams of the tap mean: a TOML file, or the name of a tap whose mapping is shipped, such as
    /// tap-facebook.
    #[arg(long, value_name = "FILE|NAME")]
    mapping: String,
    /// The file in which the tap's state is kept. A tap that is run here gets it as --state.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// The source, if not that of the mapping: give each account one of its own.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    source: Option<String>,
    /// The time zone of the account's days, of a source that is created.
    #[arg(long, value_name = "TZ")]
    time_zone: Option<Zone>,
    /// The currency of its money, where records do not say it.
    #[arg(long, value_name = "CODE")]
    currency: Option<Currency>,
    /// Sends the good records even where more than ten, and more than one in a hundred, are refused; and keeps the
    /// state although some were.
    #[arg(long, action = ArgAction::SetTrue)]
    allow_partial: bool,
    /// Sends nothing, and prints what would be sent.
    #[arg(long, action = ArgAction::SetTrue)]
    dry_run: bool,
    /// The command API.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8081", env = "HIGHWATER_SERVER")]
    server: String,
    /// A key with the scope `command`.
    #[arg(
        long,
        value_name = "KEY",
        env = "HIGHWATER_API_KEY",
        hide_env_values = true,
        required_unless_present = "dry_run"
    )]
    api_key: Option<SecretString>,
    /// The tap to run, with its arguments, after `--`. Without it, messages are read from standard input, and nothing
    /// says whether the tap failed.
    #[arg(last = true, value_name = "TAP")]
    program: Vec<OsString>,
}

/// Runs the command.
pub async fn run(arguments: SingerArgs) -> anyhow::Result<ExitCode> {
    let client = arguments.api_key.as_ref().map(|key| ApiClient::new(&arguments.server, key, ATTEMPTS)).transpose()?;
    let SingerArgs { source, time_zone, currency, program, state, allow_partial, dry_run, .. } = arguments;
    let mapping = TapMapping::find(&arguments.mapping)?;
    let said = Mapping { source, time_zone, currency, ..Mapping::default() };
    let tap = TapRun { mapping, said, program, state, allow_partial, dry_run };
    tap.run(client.as_ref(), &SystemClock).await
}
