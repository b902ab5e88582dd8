//! Many campaigns: filtered, sorted, a page at a time.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use domain::campaign::CampaignStatus;
use domain::channel::Channel;
use serde::Serialize;
use uuid::Uuid;

use crate::campaign::{Campaign, MODEL};
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::fields::FieldErrors;
use crate::last_change::{NumberMarks, Scope};
use crate::paging::{PageRequest, Paging};
use crate::parked::ResourceScope;
use crate::probe::{Probe, Validity};
use crate::result::{ResultMeta, TypedResult};
use crate::sources;
use crate::version::Version;
use crate::warning::Warning;

mod select; // the statement of a page, whose form follows the request

/// The most characters of a search text.
const MAX_SEARCH_CHARS: usize = 200;

/// The requested campaigns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CampaignsRequest {
    /// With one of these statuses at present.
    pub status: Vec<String>,
    /// On one of these channels.
    pub channel: Vec<String>,
    /// With numbers from one of these sources, by name.
    pub source: Vec<String>,
    /// With this text in their names.
    pub q: Option<String>,
    pub sort: Option<String>,
    /// The requested members; all if none is named.
    pub fields: Vec<String>,
    pub limit: Option<i64>,
    pub cursor: Option<String>,
}

/// The canonical query of campaigns.
#[derive(Debug, Serialize)]
pub struct CampaignsQuery {
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub status: BTreeSet<CampaignStatus>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub channel: BTreeSet<Channel>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub source: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    pub sort: Sort,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub fields: BTreeSet<Field>,
}

/// The order of campaigns. Ties are broken by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    pub by: SortBy,
    pub descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    Name,
    CreatedAt,
    ChangedAt,
    StartsOn,
}

/// A member of a campaign, by its index in [`FIELDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field(usize);

/// The members of a campaign.
pub const FIELDS: [&str; 16] = [
    "campaign_id",
    "version",
    "etag",
    "name",
    "status",
    "channels",
    "currency",
    "time_zone",
    "starts_on",
    "ends_on",
    "budget",
    "external_ids",
    "attributes",
    "created_by_source",
    "created_at",
    "changed_at",
];

impl CampaignsRequest {
    pub(crate) fn canonical(&self) -> Result<(CampaignsQuery, Paging), ReadError> {
        let mut fields = FieldErrors::default();
        if self.q.as_ref().is_some_and(|q| q.chars().count() > MAX_SEARCH_CHARS) {
            fields.push("q", format_args!("must not be longer than {MAX_SEARCH_CHARS} characters"));
        }
        let query = CampaignsQuery {
            status: fields.set("status", &self.status),
            channel: fields.set("channel", &self.channel),
            source: fields.set("source", &self.source),
            q: self.q.clone().filter(|q| !q.is_empty()),
            sort: fields.parse("sort", self.sort.as_deref()).unwrap_or(Sort { by: SortBy::Name, descending: false }),
            fields: fields.set("fields", &self.fields),
        };
        let paging = fields.paging(self.limit, self.cursor.as_deref());
        fields.finish((query, paging)).map_err(ReadError::Query)
    }
}

impl CampaignsQuery {
    /// Whether this member is requested.
    pub fn shows(&self, field: Field) -> bool {
        self.fields.is_empty() || self.fields.contains(&field)
    }
}

/// The sources that a query names, and the warnings about unknown ones.
#[derive(Debug, Default)]
pub struct NamedSources {
    sources: Vec<Uuid>,
    warnings: Vec<Warning>,
}

pub(crate) async fn probe(snapshot: &mut Snapshot, query: &CampaignsQuery) -> Result<Probe<NamedSources>, ReadError> {
    let last_change = Scope::Workspace.last_change(snapshot, &NumberMarks::default()).await?;
    let (sources_position, named) = named_sources(snapshot, query).await?;
    let version = snapshot.version(last_change.position.max(sources_position), last_change.last_start).await?;
    let (epoch, validity) = (snapshot.epoch, Validity::Until(last_change.next_start));
    Ok(Probe { epoch, version, validity, numbers: None, prepared: named })
}

pub(crate) async fn load(
    snapshot: &mut Snapshot,
    query: &CampaignsQuery,
    page: PageRequest<'_>,
    version: Version,
    named: NamedSources,
) -> Result<TypedResult<Vec<Campaign>>, ReadError> {
    let NamedSources { sources, mut warnings } = named;
    warnings.extend(snapshot.parked.warning(&ResourceScope::campaigns([]), |_| None));
    let (rows, next_cursor) = select::page(snapshot, query, &sources, page).await?;
    let campaigns = rows.into_iter().map(|row| row.at(snapshot.now)).collect::<Result<_, _>>()?;
    let meta = ResultMeta::of_snapshot(snapshot, MODEL, version, warnings);
    Ok(TypedResult::page(meta, next_cursor, campaigns))
}

/// The named sources, and the position of the last event that touched any source: an unknown one may be registered
/// later.
async fn named_sources(snapshot: &mut Snapshot, query: &CampaignsQuery) -> Result<(i64, NamedSources), ReadError> {
    if query.source.is_empty() {
        return Ok((0, NamedSources::default()));
    }
    let sources = sources::load(snapshot).await?;
    let last = sources.values().map(|source| source.last_position).max().unwrap_or(0);
    let warnings = sources::unknown_sources(&query.source, &sources).into_iter().collect();
    let named = sources.values().filter(|source| query.source.contains(&source.definition.name));
    Ok((last, NamedSources { sources: named.map(|source| source.id).collect(), warnings }))
}

impl Field {
    /// All members, in their order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..FIELDS.len()).map(Self)
    }

    pub fn name(self) -> &'static str {
        FIELDS.get(self.0).copied().unwrap_or_default()
    }
}

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = FIELDS.iter().position(|name| *name == text);
        place.map(Self).ok_or_else(|| format!("is none of {}", FIELDS.join(", ")))
    }
}

impl Serialize for Field {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl SortBy {
    const ALL: [Self; 4] = [Self::Name, Self::CreatedAt, Self::ChangedAt, Self::StartsOn];

    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::CreatedAt => "created_at",
            Self::ChangedAt => "changed_at",
            Self::StartsOn => "starts_on",
        }
    }
}

/// The orders of campaigns, as requests write them.
pub fn orders() -> Vec<String> {
    let both = |by| [false, true].map(|descending| Sort { by, descending }.to_string());
    SortBy::ALL.into_iter().flat_map(both).collect()
}

impl FromStr for Sort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let by = SortBy::ALL.into_iter().find(|by| by.name() == name);
        by.map(|by| Self { by, descending })
            .ok_or("is none of name, created_at, changed_at, starts_on, with or without a -")
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.descending { "-" } else { "" };
        write!(f, "{sign}{}", self.by.name())
    }
}

impl Serialize for Sort {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
