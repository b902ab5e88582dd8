//! A workspace's own event: the first of every log.

use serde::{Deserialize, Serialize};

use crate::money::Currency;
use crate::zone::Zone;

pub use crate::catalogue::WORKSPACE_STREAM as STREAM_TYPE;

/// A workspace was opened, with its defaults: the first event of every log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WorkspaceOpened {
    /// Its name, unique in the installation.
    pub name: String,
    /// The default time zone of its reports.
    pub time_zone: Zone,
    /// Its reporting currency.
    pub currency: Currency,
}
