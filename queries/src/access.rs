//! Access: whose rows a query may read, and what of them is shown. It begins every key of a cache, a cursor or a view,
//! so that nothing that was made for one caller fits another whose rights differ. Callers of equal rights share what
//! was computed.

use platform::principal::Principal;
use serde::Serialize;

/// What of the read model a caller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Access {
    pub workspace: i32,
    pub rows: RowFilter,
    pub shown: Visibility,
}

/// The rows of the workspace that a caller sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub enum RowFilter {
    /// All of them.
    #[default]
    Unrestricted,
}

/// What the scopes of a caller show of a row. Whoever may read sees all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub enum Visibility {
    /// Every member.
    #[default]
    Full,
}

impl Access {
    /// All rows of a workspace, whole.
    pub fn to_workspace(workspace: i32) -> Self {
        Self { workspace, rows: RowFilter::default(), shown: Visibility::default() }
    }
}

impl From<&Principal> for Access {
    /// The scopes say whether a caller may read at all, which is decided before; none of them changes what is shown.
    fn from(principal: &Principal) -> Self {
        Self::to_workspace(principal.workspace)
    }
}
