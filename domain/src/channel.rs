//! Channels: where a campaign runs and what a source reports on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The channels with a common meaning. Any other name of the same form is a custom channel.
pub const KNOWN: [&str; 13] = [
    "paid_search",
    "paid_social",
    "display",
    "video",
    "email",
    "sms",
    "affiliate",
    "organic_social",
    "crm",
    "referral",
    "survey",
    "offline",
    "unassigned",
];

/// A channel's name: `[a-z][a-z0-9_]{0,39}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Channel(String);

/// The error of a text that is not a channel name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not a channel name: lower-case letters, digits and _, starting with a letter, at most 40")]
pub struct ChannelError;

impl Channel {
    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl FromStr for Channel {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let starts = text.starts_with(|first: char| first.is_ascii_lowercase());
        let shaped = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if starts && shaped && text.len() <= 40 { Ok(Self(text.to_owned())) } else { Err(ChannelError) }
    }
}

impl TryFrom<String> for Channel {
    type Error = ChannelError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Channel> for String {
    fn from(channel: Channel) -> Self {
        channel.0
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
