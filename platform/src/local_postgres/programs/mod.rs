//! Search for PostgreSQL's programs on this machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::LocalPostgresError;

/// The oldest version that the migrations run on.
const LEAST: u32 = 14;

/// One installed PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PgBinaries {
    pub(super) major: u32,
    directory: PathBuf,
}

impl PgBinaries {
    pub(super) fn initdb(&self) -> PathBuf {
        self.directory.join("initdb")
    }

    pub(super) fn pg_ctl(&self) -> PathBuf {
        self.directory.join("pg_ctl")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.directory.join("postgres")
    }

    /// Finds the version that created `existing`, or the newest version for a new database.
    pub(super) fn find(existing: Option<(&Path, u32)>) -> Result<Self, LocalPostgresError> {
        Self::choose(existing, places())
    }

    fn choose(existing: Option<(&Path, u32)>, searched: Vec<PathBuf>) -> Result<Self, LocalPostgresError> {
        let mut found: Vec<Self> = searched.iter().filter_map(|directory| Self::in_directory(directory)).collect();
        // The sort is stable, so the first directory wins among equal versions.
        found.sort_by_key(|programs| std::cmp::Reverse(programs.major));
        let newest = found.first().cloned().ok_or(LocalPostgresError::NotInstalled { searched })?;
        match existing {
            None if newest.major < LEAST => Err(LocalPostgresError::TooOld { found: newest.major, least: LEAST }),
            None => Ok(newest),
            Some((directory, needed)) => {
                let versions = found.iter().map(|programs| programs.major).collect();
                found.into_iter().find(|programs| programs.major == needed).ok_or_else(|| {
                    LocalPostgresError::VersionMissing { directory: directory.to_owned(), needed, found: versions }
                })
            }
        }
    }

    fn in_directory(directory: &Path) -> Option<Self> {
        let complete = ["initdb", "pg_ctl", "postgres"].iter().all(|program| directory.join(program).is_file());
        if !complete {
            return None;
        }
        let output = Command::new(directory.join("postgres")).arg("--version").output().ok()?;
        let major = parse_major(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { major, directory: directory.to_owned() })
    }
}

/// Reads the major version, as in `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` or `postgres (PostgreSQL)
/// 18beta2`.
fn parse_major(output: &str) -> Option<u32> {
    let version = output.split_whitespace().nth(2)?;
    let digits = version.find(|character: char| !character.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

/// The directories that packages install into. Most packages keep them off PATH, because several versions may be
/// installed.
fn places() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for (parent, prefix, bin) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr/libexec", "postgresql", ""),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ] {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        let named = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        places.extend(named.map(|entry| entry.path().join(bin)));
    }
    places.push(PathBuf::from("/usr/local/pgsql/bin"));
    let mut seen = BTreeSet::new();
    places.retain(|place| seen.insert(place.clone()));
    places
}

#[cfg(test)]
mod tests;
