//! What the tests of projections share.

pub(crate) mod logs; // logs to project
pub(crate) mod parking; // parked parts
pub(crate) mod replaying; // replays
pub(crate) mod rows; // rows of read tables
