//! Highwater as a program: the parts of its binary, and what a test needs to run a whole system in process.

pub mod client; // a client of the command API
pub mod commands; // one file each
pub mod config; // flags over environment over file over defaults
pub mod demo; // the demo workspace
pub mod import; // import of files
pub mod singer; // what Singer taps extract
pub mod system; // any mix of roles in this process: what `serve`, `dev` and tests run
pub mod tls; // the cryptography provider
pub mod workspace; // opening a workspace

use std::io::Write as _;
use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The allocator. A request makes dozens of small allocations, which are freed on another thread than they were made
/// on. A quarter of a cached read was spent in glibc's malloc.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Runs a command. Prints its error to stderr, with the causes.
pub fn run(command: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    let done =
        tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(command));
    match done {
        Ok(code) => code,
        Err(error) => {
            // If stderr is closed, there is nowhere to write.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
