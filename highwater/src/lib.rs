//! Highwater as a program: what its binary is made of, and what a test needs to run a whole system in process.

pub mod client; // a client of the command API, for the two below
pub mod commands; // one file each
pub mod config; // flags over environment over file over defaults
pub mod demo; // the demo workspace's own life
pub mod import; // files in
pub mod system; // any mix of roles in this process: what `serve`, `dev` and tests run
pub mod tls; // the provider of cryptography
pub mod workspace; // opening one

use std::io::Write as _;
use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request makes dozens of small allocations, which end on another thread than they began on: a quarter of a kept
/// read was glibc's malloc.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Runs a command to its end. What it cannot do is told on stderr, with its causes.
pub fn run(command: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    let done =
        tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(command));
    match done {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to tell that stderr is gone.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
