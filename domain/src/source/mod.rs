//! The source aggregate.

mod event;

pub use event::{Role, SourceDefinition, SourceEvent, SourceKind};

/// The stream type of source events.
pub const STREAM_TYPE: &str = "source";
