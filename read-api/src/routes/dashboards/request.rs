//! A dashboard as it was sent. Each report is read separately, so that an invalid one fails no other.

use std::collections::BTreeMap;
use std::fmt;

use domain::json_objects;
use http_edge::json::{self, JsonError};
use queries::ReadError;
use queries::fields::FieldErrors;
use queries::report::request::ReportRequest;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// The most reports of one dashboard.
const MAX_REPORTS: usize = 50;
/// The longest name of a report.
const MAX_NAME: usize = 100;

/// Reports, by names that the caller chooses.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"reports": {
    "spend_today": {"measures": ["spend"], "date_from": "2026-11-22", "date_to": "2026-11-22", "totals": true},
    "by_channel": {
        "measures": ["clicks", "ctr"], "date_from": "2026-11-16", "date_to": "2026-11-22", "group_by": ["channel"],
        "compare_to": "previous_period", "limit": 2
    },
    "by_two_dimensions": {"measures": ["clicks"], "group_by": ["country", "device"]}
}}))]
pub(crate) struct DashboardRequest {
    /// 1 to 50 reports, each like the body of `POST /v1/reports`.
    #[schema(value_type = BTreeMap<String, ReportRequest>)]
    pub(super) reports: Reports,
}

json_objects!(read and written: DashboardRequest);

/// The reports by name, each as it was sent.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(super) struct Reports(pub(super) BTreeMap<String, DashboardEntry>);

/// One report of a dashboard.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum DashboardEntry {
    Report(Box<ReportRequest>),
    Misshapen(MalformedReport),
}

/// A member that is not a valid report.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(super) struct MalformedReport {
    sent: Box<RawValue>,
    #[serde(skip)]
    pub(super) error: JsonError,
}

impl DashboardEntry {
    fn new(sent: Box<RawValue>) -> Self {
        match json::parse(sent.get()) {
            Ok(report) => Self::Report(report),
            Err(error) => Self::Misshapen(MalformedReport { sent, error }),
        }
    }
}

impl<'de> Deserialize<'de> for Reports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Reports;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of reports")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Reports, A::Error> {
                let mut members = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    let sent = map.next_value()?;
                    if members.contains_key(&name) {
                        return Err(de::Error::custom(format_args!("duplicate field `{name}`")));
                    }
                    members.insert(name, DashboardEntry::new(sent));
                }
                Ok(Reports(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

impl DashboardRequest {
    /// Checks the dashboard, but not its reports.
    pub(super) fn check(&self) -> Result<(), ReadError> {
        let mut fields = FieldErrors::default();
        if !(1..=MAX_REPORTS).contains(&self.reports.0.len()) {
            fields.push("reports", format_args!("must hold 1 to {MAX_REPORTS} reports"));
        }
        for name in self.reports.0.keys() {
            let begin: String = name.chars().take(20).collect();
            if name.contains('\0') {
                fields.push("reports", "has a name with the character NUL (\\u0000)");
            }
            if name.chars().count() <= MAX_NAME {
                continue;
            }
            fields.push("reports", format_args!("has a name that is longer than {MAX_NAME} characters: {begin}…"));
        }
        fields.finish(()).map_err(ReadError::Query)
    }
}
