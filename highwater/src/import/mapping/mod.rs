//! What the columns of an export mean: from the command line, from a TOML file, or from one that is shipped.

mod shipped;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use domain::channel::Channel;
use domain::measure::Measure;
use domain::money::Currency;
use domain::source::SourceRole;
use domain::zone::Zone;
use serde::Deserialize;

use super::numbers::DecimalMark;

pub use shipped::{GENERIC, SHIPPED, ShippedMapping};

/// Names of a column, of which the first that a file has is meant. `*` in a name stands for any text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMore")]
pub struct Names {
    /// The names.
    pub names: Vec<String>,
    /// Whether a file without such a column is refused.
    pub is_required: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl From<OneOrMore> for Names {
    fn from(sent: OneOrMore) -> Self {
        let names = match sent {
            OneOrMore::One(name) => vec![name],
            OneOrMore::More(names) => names,
        };
        Self { names, is_required: false }
    }
}

impl Names {
    /// The name of a column that must be there.
    pub fn required(name: String) -> Self {
        Self { names: vec![name], is_required: true }
    }
}

/// The length of the buckets of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FileGrain {
    /// Local days.
    Day,
    /// Hours.
    Hour,
}

/// What the columns of an export mean. Whatever is left out is guessed, or said elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mapping {
    /// What it maps, for people.
    pub title: Option<String>,
    /// The source of all lines.
    pub source: Option<String>,
    /// The column that names the source.
    pub source_from: Names,
    /// The platform, by which a new source gets its delay and horizons.
    pub platform: Option<String>,
    /// The channel of a new source.
    pub channel: Option<Channel>,
    /// The role of a new source.
    pub role: Option<SourceRole>,
    /// The time zone of the days.
    pub time_zone: Option<Zone>,
    /// The currency of money.
    pub currency: Option<Currency>,
    /// The column that names the currency, or that has it in its own name.
    pub currency_from: Names,
    /// The column that names the campaign.
    pub campaign_from: Names,
    /// The column that has the campaign's id.
    pub campaign_id_from: Names,
    /// The campaign of lines that name none.
    pub without_campaign: Option<String>,
    /// The column that has the day or hour.
    pub date_from: Names,
    /// How the day is written.
    pub date_format: Option<String>,
    /// The length of the buckets.
    pub grain: Option<FileGrain>,
    /// Whether lines of one campaign and bucket are added.
    pub add_rows: Option<bool>,
    /// The decimal mark.
    pub decimal_mark: Option<DecimalMark>,
    /// Lines to leave out, by a pattern of their first cell.
    pub skip_rows_like: Vec<String>,
    /// The columns of the measures, each with `/1000000` where it is in millionths.
    pub measures: BTreeMap<Measure, Names>,
}

impl Mapping {
    /// The mapping of this name, or in this file.
    pub fn find(name: &str) -> anyhow::Result<Self> {
        if let Some(shipped) = SHIPPED.iter().find(|shipped| shipped.name == name) {
            return shipped.read();
        }
        if !Path::new(name).exists() {
            let names = SHIPPED.iter().map(|shipped| shipped.name).collect::<Vec<_>>().join(", ");
            anyhow::bail!("`{name}` is neither a file nor a mapping that is shipped; those are {names}");
        }
        let text = std::fs::read_to_string(name).with_context(|| format!("cannot read {name}"))?;
        toml::from_str(&text).with_context(|| format!("{name} is not a mapping"))
    }

    /// This one, and where it says nothing, another one.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let names = |mine: Names, theirs: Names| if mine.names.is_empty() { theirs } else { mine };
        let mut measures = other.measures;
        measures.extend(self.measures);
        let mut skip_rows_like = self.skip_rows_like;
        skip_rows_like.extend(other.skip_rows_like);
        // A source is said in one of two ways.
        let says_source = self.source.is_some() || !self.source_from.names.is_empty();
        let (source, source_from) =
            if says_source { (self.source, self.source_from) } else { (other.source, other.source_from) };
        Self {
            title: self.title.or(other.title),
            source,
            source_from,
            platform: self.platform.or(other.platform),
            channel: self.channel.or(other.channel),
            role: self.role.or(other.role),
            time_zone: self.time_zone.or(other.time_zone),
            currency: self.currency.or(other.currency),
            currency_from: names(self.currency_from, other.currency_from),
            campaign_from: names(self.campaign_from, other.campaign_from),
            campaign_id_from: names(self.campaign_id_from, other.campaign_id_from),
            without_campaign: self.without_campaign.or(other.without_campaign),
            date_from: names(self.date_from, other.date_from),
            date_format: self.date_format.or(other.date_format),
            grain: self.grain.or(other.grain),
            add_rows: self.add_rows.or(other.add_rows),
            decimal_mark: self.decimal_mark.or(other.decimal_mark),
            skip_rows_like,
            measures,
        }
    }
}
