//! The mappings that come with Highwater; docs/import.md prints them.

use anyhow::Context as _;

use super::Mapping;

/// A mapping that comes with Highwater.
#[derive(Debug, Clone, Copy)]
pub struct ShippedMapping {
    /// Its name.
    pub name: &'static str,
    text: &'static str,
}

macro_rules! shipped {
    ($($name:literal)+) => {
        /// All of them.
        pub const SHIPPED: &[ShippedMapping] =
            &[$(ShippedMapping { name: $name, text: include_str!(concat!("shipped/", $name, ".toml")) }),+];
    };
}

shipped! {
    "google_ads" "google_ads_api" "meta" "microsoft_ads" "linkedin" "tiktok" "pinterest" "snapchat" "amazon_ads"
    "reddit" "x" "ga4" "search_console" "shopify" "mailchimp"
}

/// What columns are usually called, for exports that no mapping is for.
pub const GENERIC: ShippedMapping = ShippedMapping { name: "generic", text: include_str!("shipped/generic.toml") };

impl ShippedMapping {
    /// The mapping.
    pub fn read(&self) -> anyhow::Result<Mapping> {
        toml::from_str(self.text).with_context(|| format!("the mapping {}", self.name))
    }
}
