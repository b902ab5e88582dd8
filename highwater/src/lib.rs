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

/// The exit status of a command whose reader went away, as shells have it for SIGPIPE: `highwater status | head -1`.
const READER_GONE: u8 = 141;

/// Runs a command. Prints its error to stderr, with the causes.
pub fn run(command: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    let done =
        tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(command));
    match done {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::from(READER_GONE),
        Err(error) => {
            // If stderr is closed, there is nowhere to write.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether a command failed because nobody reads its output any more.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kinds = error.chain().filter_map(|cause| {
        let of_json = || cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind).or_else(of_json)
    });
    kinds.into_iter().any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}
