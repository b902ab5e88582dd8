//! Access: whose rows a query may read, and what it shows of them. It begins the hash of every query, so that no cached
//! result and no cursor of one caller fits another caller with other rights. Callers with equal rights share results.

use platform::principal::Principal;
use serde::Serialize;

/// What a caller may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Access {
    pub workspace: i32,
    pub rows: RowFilter,
    pub shown: Visibility,
}

/// The rows of the workspace that a caller may read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub enum RowFilter {
    /// All of them.
    #[default]
    Unrestricted,
}

/// The members of a row that a caller may read. Every scope that may read sees all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub enum Visibility {
    /// Every member.
    #[default]
    Full,
}

impl Access {
    /// Access to all rows of a workspace.
    pub fn to_workspace(workspace: i32) -> Self {
        Self { workspace, rows: RowFilter::default(), shown: Visibility::default() }
    }
}

impl From<&Principal> for Access {
    /// The scopes decide earlier whether the caller may read at all. None of them changes what is shown.
    fn from(principal: &Principal) -> Self {
        Self::to_workspace(principal.workspace)
    }
}
