//! What the columns of a CSV file mean, and the observation of each record.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, SecondsFormat, TimeZone as _};
use csv::ByteRecord;
use domain::observation::ObservationType;
use domain::zone::Zone;
use serde_json::{Map, Value, json};

/// The members of an observation that a column can hold. Besides them, `dimensions.<key>`.
const MEMBERS: [&str; 12] = [
    "id",
    "type",
    "occurred_at",
    "campaign_id",
    "external_campaign_id",
    "count",
    "value",
    "currency",
    "adjusts",
    "adjusts.occurred_at",
    "adjusts.count",
    "adjusts.value",
];
/// What the name of a dimension's column begins with.
const DIMENSION: &str = "dimensions.";
/// How local times are written.
const LOCAL: [&str; 4] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];

/// A member, and the column that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnName {
    member: String,
    column: String,
}

impl FromStr for ColumnName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (member, column) = text.split_once('=').ok_or("must be MEMBER=COLUMN")?;
        let (member, column) = (member.trim(), column.trim());
        if column.is_empty() {
            return Err("must be MEMBER=COLUMN".to_owned());
        }
        if !MEMBERS.contains(&member) && !member.starts_with(DIMENSION) {
            return Err(format!("`{member}` is not a member; they are {} and dimensions.KEY", MEMBERS.join(", ")));
        }
        Ok(Self { member: member.to_owned(), column: column.to_owned() })
    }
}

/// How local times become instants.
#[derive(Debug, Clone, Default)]
pub struct LocalTime {
    /// The zone of times without an offset.
    pub zone: Option<Zone>,
    /// How times are written, where they are written otherwise.
    pub format: Option<String>,
}

/// What the operator says of the columns.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// The columns of members that are not called like them.
    pub named: Vec<ColumnName>,
    /// The type of all observations.
    pub kind: Option<ObservationType>,
    /// The times.
    pub times: LocalTime,
    /// What separates cells, if not a comma.
    pub delimiter: Option<u8>,
}

/// The columns of a file.
#[derive(Debug)]
pub(super) struct MemberColumns {
    /// By column: the member that it holds.
    members: Vec<Option<String>>,
    unused: Vec<String>,
    kind: Option<ObservationType>,
    times: LocalTime,
}

impl MemberColumns {
    pub(super) fn find(header: &ByteRecord, columns: &Columns) -> anyhow::Result<Self> {
        let header: Vec<String> = header.iter().map(|cell| title(cell).into_owned()).collect();
        let mut members: Vec<Option<String>> = vec![None; header.len()];
        for ColumnName { member, column } in &columns.named {
            let place = header.iter().position(|title| title == column);
            let place =
                place.ok_or_else(|| anyhow::anyhow!("no column `{column}`; its columns: {}", header.join(", ")))?;
            members[place] = Some(member.clone());
        }
        for (place, title) in header.iter().enumerate().filter(|(_, title)| is_member(title)) {
            let is_named = columns.named.iter().any(|named| named.member == *title);
            if members[place].is_none() && !is_named {
                members[place] = Some(title.clone());
            }
        }
        let has = |member: &str| members.iter().flatten().any(|held| held == member);
        for member in ["id", "occurred_at"] {
            anyhow::ensure!(
                has(member),
                "no column holds `{member}`; --column {member}=COLUMN names it; the file's columns: {}",
                header.join(", ")
            );
        }
        anyhow::ensure!(
            columns.kind.is_some() || has("type"),
            "no column holds `type`; --type gives that of all lines"
        );
        let is_unused = |(place, title): &(usize, &String)| members[*place].is_none() && !title.is_empty();
        let unused = header.iter().enumerate().filter(is_unused).map(|(_, title)| title.clone()).collect();
        Ok(Self { members, unused, kind: columns.kind, times: columns.times.clone() })
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        if self.unused.is_empty() {
            return Vec::new();
        }
        let unused = self.unused.join(", ");
        vec![format!("not sent: the columns {unused}; --column dimensions.KEY=COLUMN sends one as a dimension")]
    }

    /// The observation of a record as JSON. Cells that are empty are left out.
    pub(super) fn read(&self, record: &ByteRecord) -> Result<String, String> {
        let mut cells: BTreeMap<&str, &str> = BTreeMap::new();
        for (member, cell) in self.members.iter().zip(record) {
            let Some(member) = member else { continue };
            let cell = std::str::from_utf8(cell).map_err(|_| format!("{member} is not UTF-8"))?.trim();
            if !cell.is_empty() {
                cells.insert(member, cell);
            }
        }
        let text = |member: &str| cells.get(member).map(|cell| Value::from(*cell));
        let money = |member: &str| {
            let amount = text(member)?;
            Some(
                cells
                    .get("currency")
                    .map_or(amount.clone(), |currency| json!({"amount": amount, "currency": currency})),
            )
        };
        let instant = |member: &str| cells.get(member).map(|cell| self.times.instant(member, cell)).transpose();
        let mut item = Map::new();
        let mut put = |member: &str, value: Option<Value>| {
            if let Some(value) = value {
                item.insert(member.to_owned(), value);
            }
        };
        put("id", text("id"));
        put("campaign_id", text("campaign_id"));
        put("external_campaign_id", text("external_campaign_id"));
        put("type", text("type").or_else(|| self.kind.map(|kind| kind.name().into())));
        put("occurred_at", instant("occurred_at")?.map(Value::from));
        put("count", text("count"));
        put("value", money("value"));
        let dimensions: Map<String, Value> = cells
            .iter()
            .filter_map(|(member, cell)| Some((member.strip_prefix(DIMENSION)?.to_owned(), Value::from(*cell))))
            .collect();
        put("dimensions", (!dimensions.is_empty()).then(|| dimensions.into()));
        if let Some(id) = text("adjusts") {
            let adjusts = match instant("adjusts.occurred_at")? {
                None => id,
                Some(at) => {
                    let mut stated = json!({"id": id, "occurred_at": at});
                    for (member, value) in [("count", text("adjusts.count")), ("value", money("adjusts.value"))] {
                        if let Some(value) = value {
                            stated[member] = value;
                        }
                    }
                    stated
                }
            };
            put("adjusts", Some(adjusts));
        }
        Ok(Value::from(item).to_string())
    }
}

impl LocalTime {
    /// The instant of a cell, as RFC 3339.
    fn instant(&self, member: &str, cell: &str) -> Result<String, String> {
        if DateTime::parse_from_rfc3339(cell).is_ok() {
            return Ok(cell.to_owned());
        }
        let written = || match &self.format {
            Some(format) => format!("{member} `{cell}` is not written as {format}"),
            None => format!(
                "{member} `{cell}` is not a time such as 2024-03-01T12:00:00Z; --time-format says how it is written"
            ),
        };
        if let Some(format) = &self.format
            && let Ok(fixed) = DateTime::parse_from_str(cell, format)
        {
            return Ok(fixed.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true));
        }
        let read = |format: &str| {
            NaiveDateTime::parse_from_str(cell, format)
                .or_else(|_| NaiveDate::parse_from_str(cell, format).map(|day| day.and_time(chrono::NaiveTime::MIN)))
                .ok()
        };
        let local = match &self.format {
            Some(format) => read(format),
            None => LOCAL.into_iter().find_map(read),
        };
        let local = local.ok_or_else(written)?;
        let zone = self.zone.ok_or_else(|| format!("{member} `{cell}` has no offset; --time-zone says where it is"))?;
        match zone.0.from_local_datetime(&local) {
            LocalResult::Single(at) => Ok(at.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            LocalResult::None => Err(format!("{member} `{cell}` does not exist in {zone}: clocks skip it")),
            LocalResult::Ambiguous(..) => Err(format!("{member} `{cell}` is there twice in {zone}; give its offset")),
        }
    }
}

fn is_member(title: &str) -> bool {
    MEMBERS.contains(&title) || title.starts_with(DIMENSION)
}

fn title(cell: &[u8]) -> Cow<'_, str> {
    let cell = cell.strip_prefix("\u{feff}".as_bytes()).unwrap_or(cell);
    String::from_utf8_lossy(cell.trim_ascii())
}
