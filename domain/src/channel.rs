//! Channels: where a campaign runs and what a source reports on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The channels with a common meaning. Any other name of the same form is a custom channel.
pub const KNOWN: [&str; 22] = [
    "paid_search",
    "paid_social",
    "paid_shopping",
    "paid_other",
    "display",
    "video",
    "cross_network",
    "email",
    "sms",
    "push",
    "audio",
    "affiliate",
    "direct",
    "organic_search",
    "organic_social",
    "organic_shopping",
    "organic_video",
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
#[error(
    "is not a channel name: lower-case letters, digits and _, starting with a letter, at most 40{}",
    .known.map(|known| format!("; {known} is one")).unwrap_or_default()
)]
pub struct ChannelError {
    /// The known channel that the text looks like.
    known: Option<&'static str>,
}

/// Names that people give to known channels: what is counted under them stands beside the channel that is meant.
const ALIASES: [(&str, &str); 48] = [
    ("search", "paid_search"),
    ("sem", "paid_search"),
    ("ppc", "paid_search"),
    ("cpc", "paid_search"),
    ("google", "paid_search"),
    ("google_ads", "paid_search"),
    ("adwords", "paid_search"),
    ("bing", "paid_search"),
    ("bing_ads", "paid_search"),
    ("microsoft_ads", "paid_search"),
    ("social", "paid_social"),
    ("facebook", "paid_social"),
    ("facebook_ads", "paid_social"),
    ("fb", "paid_social"),
    ("ig", "paid_social"),
    ("meta", "paid_social"),
    ("meta_ads", "paid_social"),
    ("instagram", "paid_social"),
    ("linkedin", "paid_social"),
    ("tiktok", "paid_social"),
    ("snapchat", "paid_social"),
    ("pinterest", "paid_social"),
    ("shopping", "paid_shopping"),
    ("google_shopping", "paid_shopping"),
    ("product_listing_ads", "paid_shopping"),
    ("banner", "display"),
    ("programmatic", "display"),
    ("performance_max", "cross_network"),
    ("pmax", "cross_network"),
    ("demand_gen", "cross_network"),
    ("youtube", "video"),
    ("tv", "video"),
    ("mail", "email"),
    ("e_mail", "email"),
    ("newsletter", "email"),
    ("mailchimp", "email"),
    ("text", "sms"),
    ("web_push", "push"),
    ("app_push", "push"),
    ("mobile_push_notifications", "push"),
    ("push_notifications", "push"),
    ("seo", "organic_search"),
    ("organic", "organic_search"),
    ("type_in", "direct"),
    ("affiliates", "affiliate"),
    ("partner", "affiliate"),
    ("referrals", "referral"),
    ("surveys", "survey"),
];

impl Channel {
    /// Whether it is mail.
    pub fn is_mail(&self) -> bool {
        self.0 == "email"
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The known channel that a custom one looks like: another name or spelling of it.
    pub fn looks_like(&self) -> Option<&'static str> {
        known_like(&self.0).filter(|known| *known != self.0)
    }
}

/// The known channel of a name, whatever stands between its words and whatever their case.
fn known_like(name: &str) -> Option<&'static str> {
    let letters = |name: &str| name.to_lowercase().replace(['_', '-', ' '], "");
    let asked = letters(name);
    let known = KNOWN.into_iter().find(|known| letters(known) == asked);
    known.or_else(|| ALIASES.iter().find(|(alias, _)| letters(alias) == asked).map(|(_, known)| *known))
}

impl FromStr for Channel {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let starts = text.starts_with(|first: char| first.is_ascii_lowercase());
        let shaped = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if starts && shaped && text.len() <= 40 {
            Ok(Self(text.to_owned()))
        } else {
            Err(ChannelError { known: known_like(text) })
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_names_of_known_channels_are_recognised() {
        let looks_like = |name: &str| name.parse::<Channel>().unwrap().looks_like();
        for (name, known) in [
            ("facebook", "paid_social"),
            ("paidsearch", "paid_search"),
            ("organicsocial", "organic_social"),
            ("pmax", "cross_network"),
            ("crossnetwork", "cross_network"),
            ("fb", "paid_social"),
        ] {
            assert_eq!(looks_like(name), Some(known), "{name}");
        }
        assert!(KNOWN.iter().all(|known| looks_like(known).is_none()));
        assert_eq!(looks_like("podcast"), None);
        assert!(ALIASES.iter().all(|(_, known)| KNOWN.contains(known)));
    }

    #[test]
    fn refusals_name_the_known_channel_that_is_meant() {
        let refused = |name: &str| name.parse::<Channel>().unwrap_err().to_string();
        for (name, known) in [("paid-search", "paid_search"), ("Paid Social", "paid_social"), ("E-Mail", "email")] {
            assert!(refused(name).ends_with(&format!("; {known} is one")), "{}", refused(name));
        }
        assert!(refused("pod-cast").ends_with("at most 40"));
    }
}
