//! The memory of a process, as Linux counts it.

use anyhow::{Context, Result};

/// What of a process is resident, in MiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: f64,
    /// The most at any moment since [`Memory::forget_peak`].
    pub(crate) peak: f64,
}

impl Memory {
    pub(crate) fn of(process: u32) -> Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let mib = |name: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
            let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
            Ok(kib / 1024.0)
        };
        Ok(Self { now: mib("VmRSS:")?, peak: mib("VmHWM:")? })
    }

    /// Lets the peak begin anew.
    pub(crate) fn forget_peak(process: u32) -> Result<()> {
        std::fs::write(format!("/proc/{process}/clear_refs"), "5").context("cannot reset a peak of memory")
    }
}
