//! The arguments of commands that send what others exported to the command API.

use clap::ArgAction;
use secrecy::SecretString;

use crate::client::{ApiClient, ClientError};

/// The attempts at a request. They take a minute and a half in all, longer than a restart of the server.
pub(super) const ATTEMPTS: u32 = 14;

/// To whom totals are sent, and how much of them.
#[derive(Debug, clap::Args)]
pub(super) struct SendingArguments {
    /// Sends what is good even where more than ten lines or records, and more than one in a hundred, are refused.
    #[arg(long, action = ArgAction::SetTrue)]
    pub(super) allow_partial: bool,
    /// Sends nothing, and prints what would be sent. Without a key, what is registered is not compared.
    #[arg(long, action = ArgAction::SetTrue)]
    pub(super) dry_run: bool,
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
}

impl SendingArguments {
    /// The client; none without a key.
    pub(super) fn client(&self) -> Result<Option<ApiClient>, ClientError> {
        self.api_key.as_ref().map(|key| ApiClient::new(&self.server, key, ATTEMPTS)).transpose()
    }
}
