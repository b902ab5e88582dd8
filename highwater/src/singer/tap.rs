//! The tap: its messages from standard input, or from a program that is run here.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

use super::input::TapInput;

/// The longest line of a tap, in bytes.
const LONGEST_LINE: usize = 64 << 20;

/// How a tap came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapEnd {
    /// Nothing says whether it had finished: it wrote to standard input.
    Unknown,
    /// It had read everything.
    Finished,
    /// It failed.
    Failed,
}

/// Reads the messages from standard input.
pub async fn from_stdin(input: &mut TapInput) -> anyhow::Result<TapEnd> {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().context("cannot read standard input")?;
    read(tokio::fs::File::from_std(stdin.into()), input).await?;
    Ok(TapEnd::Unknown)
}

/// Runs a tap, and reads what it writes. A state that is kept is given to it as `--state`.
pub async fn from_program(program: &[OsString], state: Option<&Path>, input: &mut TapInput) -> anyhow::Result<TapEnd> {
    let (name, arguments) = program.split_first().context("no tap is given")?;
    let shown = name.to_string_lossy().into_owned();
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    if let Some(state) = state {
        command.arg("--state").arg(state);
    }
    let mut tap = command.spawn().with_context(|| format!("cannot run {shown}"))?;
    let output = tap.stdout.take().context("the tap has no output")?;
    read(output, input).await.with_context(|| shown.clone())?;
    let status = tap.wait().await.with_context(|| format!("cannot wait for {shown}"))?;
    Ok(if status.success() { TapEnd::Finished } else { TapEnd::Failed })
}

async fn read(output: impl AsyncRead + Unpin, input: &mut TapInput) -> anyhow::Result<()> {
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        anyhow::ensure!(line.len() <= LONGEST_LINE, "a line is longer than {LONGEST_LINE} bytes");
        // A line without an end was cut off in the middle: the tap did not finish it.
        let text = String::from_utf8_lossy(&line);
        if line.last() != Some(&b'\n') && input.take(&text).is_err() {
            return Ok(());
        }
        if line.last() == Some(&b'\n') {
            input.take(&text)?;
        }
    }
}
