//! `highwater singer`: takes what a Singer tap extracts.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use domain::money::Currency;
use domain::zone::Zone;
use platform::clock::SystemClock;

use super::sending::SendingArguments;
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
    /// The file in which the tap's state is kept. A tap that is run here gets it as --state. It stays as it was if a
    /// record was refused, unless --allow-partial is given.
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
    #[command(flatten)]
    sending: SendingArguments,
    /// The tap to run, with its arguments, after `--`. Without it, messages are read from standard input, and nothing
    /// says whether the tap failed.
    #[arg(last = true, value_name = "TAP")]
    program: Vec<OsString>,
}

/// Runs the command.
pub async fn run(arguments: SingerArgs) -> anyhow::Result<ExitCode> {
    let SingerArgs { mapping, state, source, time_zone, currency, sending, program } = arguments;
    let client = sending.client()?;
    let mapping = TapMapping::find(&mapping)?;
    let said = Mapping { source, time_zone, currency, ..Mapping::default() };
    let tap = TapRun { mapping, said, program, state, allow_partial: sending.allow_partial, dry_run: sending.dry_run };
    tap.run(client.as_ref(), &SystemClock).await
}
