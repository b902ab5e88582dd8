//! The system harness: a whole Highwater on a database and a clock of its own, and callers with keys; and the fault
//! harness: clients that write down what they were answered, and a checker that decides whether it can be true
//! (docs/testing.md).
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
pub use program::Program;
pub use projector::ProjectorProcess;
pub use soak::{Soak, open_to_all};
pub use system::{TestSystem, client};
