//! The system harness: a whole Highwater on a database and a clock of its own, and callers with keys.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod caller;
pub mod counted;
mod digest;
mod soak;
mod system;

pub use caller::{Answer, Caller};
pub use digest::digest_of_epoch;
pub use soak::{open_to_all, soak_rounds};
pub use system::{TestSystem, client};
