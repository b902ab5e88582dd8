//! The system harness and the fault harness. The first runs a whole Highwater on its own database and clock, with
//! callers and keys. The second runs clients that record their answers, and a checker that decides whether these can be
//! true (docs/testing.md).
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod applied;
mod caller;
pub mod checker;
mod digest;
pub mod evidence;
mod fill;
pub mod history;
mod program;
mod projector;
pub mod proxy;
mod soak;
mod system;
pub mod workload;

pub use applied::until_all_is_applied;
pub use caller::{Answer, Caller};
pub use digest::digest_of_epoch;
pub use fill::{Fill, poison};
pub use program::{Program, highwater};
pub use projector::ProjectorProcess;
pub use soak::{Soak, open_to_all};
pub use system::{TestSystem, client};
