//! The log: the only code that writes or reads its rows. It knows no campaign and no type of event; the crates that
//! append and read events define their shapes.
//!
//! Its guarantees:
//!
//! 1. **One log per workspace, ordered and whole.** Every event has a position: 1, 2, 3, … with no gap, in the order of
//!    commits. A reader that sees position n sees everything up to n ([`log`] explains why). Nothing crosses
//!    workspaces, and no row of the log is ever changed.
//! 2. **All or nothing.** The events, claims, item ids and receipt of one [`AppendRequest`] are written together or not
//!    at all, and are on disk before the answer.
//! 3. **Versions.** A stream's events are numbered 1, 2, 3, …. Of several requests on the same version, one is accepted
//!    and the others get [`AppendError::Version`].
//! 4. **Repeating is safe.** An accepted request with a [`Receipt`] gets the same answer again for two days, and writes
//!    nothing. The same key with other content is [`AppendError::ReceiptMismatch`]. This includes a request without
//!    events. A rejected request leaves no receipt.
//! 5. **Claims.** A decision can assert, take or release what it looked up besides its stream, in the same
//!    transaction ([`claims`]).
//! 6. **Items.** An [`Item`] with a key is written once: later ones are reported as duplicates (same fingerprint) or
//!    conflicts (another one) and left out. The ids of a rejected request are free again. Recorded items are found by
//!    id ([`find_items`]), and a request may depend on them ([`ItemPrecondition`]). An id is unique within a day, or
//!    for as long as its sender wants ([`item_periods`]).
//! 7. **One bad request never fails its neighbours**, though many share a transaction ([`appender`]).
//! 8. **Old events stay readable.** Each has a type and a version, and every load applies its [`Upcast`]
//!    ([`codec`]).
//!
//! There is no order between logs, and no delivery: readers follow the log by position, at their own pace
//! ([`log::read_after`], or all of [`follow`]). A notification on [`LOG_CHANNEL`] is only a hint to read.

#![warn(missing_docs)]

mod aggregate_cache;
pub mod aggregate_store;
pub mod append;
pub mod appender;
pub mod claims;
pub mod codec;
pub mod cqrs_es;
pub mod day_partitions;
pub mod error;
#[cfg(feature = "fault-injection")]
pub mod fault_injection;
pub mod follow;
pub mod generations;
pub mod item_periods;
pub mod items;
mod json_text;
pub mod log;
pub mod receipts;
pub mod rejections;
mod server_start;
mod validated_request;
pub mod workspaces;

pub use aggregate_store::{AggregateStore, CommitContext, Loaded};
pub use append::{
    AppendOutcome, AppendRequest, ExpectedVersion, Item, ItemKey, ItemPrecondition, Metadata, NewEvent, OnDuplicate,
    Payload,
};
pub use appender::{Appender, AppenderConfig};
pub use claims::{
    Claim, ClaimEffect, ClaimPrecondition, ClaimRange, StoredClaim, find_claims, find_claims_between, list_claims,
    remove_claims_before,
};
pub use codec::{DecodeError, Upcast, UpcastError};
pub use error::{AppendError, LoadError, OpenWorkspaceError};
pub use generations::{
    Generation, GenerationCause, GenerationHead, declare_generation, generation_heads, generations, note_generation,
};
pub use item_periods::ItemPeriods;
pub use items::{ItemQuery, StoredItem, find_items, find_items_under};
pub use log::{
    PageLimit, StoredEvent, StoredEventFields, StreamKey, heads, read_after, read_event, read_page, read_range,
    read_stream, recorded_at, recorded_at_of_version, stream_version,
};
pub use receipts::{Receipt, StoredReceipt, find_receipt};
pub use server_start::ServerStart;
pub use workspaces::{Workspace, find_workspace, find_workspace_by_name_or_number, open_workspace, workspace_names};

/// The schema of everything, embedded.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// The channel that is notified, without a payload, after events were committed to any log.
pub const LOG_CHANNEL: &str = "highwater_log";
