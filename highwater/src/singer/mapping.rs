//! What the streams of a tap mean: from a TOML file, or from one that is shipped.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use crate::import::mapping::Mapping;

/// What the streams of a tap mean. Other streams are skipped.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TapMapping {
    /// What it maps, for people.
    pub title: String,
    /// The streams with numbers.
    pub streams: BTreeMap<String, StreamMapping>,
}

/// What one stream means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamMapping {
    /// Whether an instant at midnight names the local day of its date, as in reports by day.
    pub days_are_local: bool,
    /// Members without which a record says nothing.
    pub needs: Vec<String>,
    /// Lists of numbers by name, each with the member that names its entries. `actions` by `action_type` gives columns
    /// such as `actions.purchase`.
    pub pivots: BTreeMap<String, String>,
    /// What the columns mean, like those of a file. Members of objects have paths, such as `campaign.id`.
    pub columns: Mapping,
}

macro_rules! shipped {
    ($($name:literal)+) => {
        /// The mappings that are shipped, by the names of their taps.
        pub const SHIPPED: &[(&str, &str)] = &[$(($name, include_str!(concat!("shipped/", $name, ".toml")))),+];
    };
}

shipped! {
    "tap-bing-ads" "tap-facebook" "tap-ga4" "tap-googleads" "tap-linkedin-ads" "tap-mailchimp" "tap-tiktok-ads"
}

impl TapMapping {
    /// The mapping of this name, or in this file.
    pub fn find(name: &str) -> anyhow::Result<Self> {
        if let Some((_, text)) = SHIPPED.iter().find(|(tap, _)| *tap == name) {
            return toml::from_str(text).with_context(|| format!("the mapping {name}"));
        }
        if !Path::new(name).exists() {
            let names = SHIPPED.iter().map(|(tap, _)| *tap).collect::<Vec<_>>().join(", ");
            anyhow::bail!("`{name}` is neither a file nor a mapping that is shipped; those are {names}");
        }
        let text = std::fs::read_to_string(name).with_context(|| format!("cannot read {name}"))?;
        toml::from_str(&text).with_context(|| format!("{name} is not a mapping of a tap"))
    }
}
