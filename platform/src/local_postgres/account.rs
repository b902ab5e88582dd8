//! The operating-system user that runs PostgreSQL.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Stdio;

use nix::unistd::{User, geteuid};
use tokio::process::Command;

use super::error::LocalPostgresError;
use super::programs::PgBinaries;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OsUser {
    pub(super) name: String,
    /// None: this process's own user, so there is nothing to change.
    other: Option<(u32, u32)>,
}

impl OsUser {
    /// Chooses the owner of an existing database. Otherwise it is this user, or an unprivileged user if this process is
    /// root.
    pub(super) fn choose(existing: Option<&Path>) -> Result<Self, LocalPostgresError> {
        let owner = match existing {
            Some(directory) => Some(owner(directory)?),
            None => None,
        };
        let me = geteuid();
        if !me.is_root() {
            return match (existing, owner) {
                (Some(directory), Some((uid, _))) if uid != me.as_raw() => {
                    Err(LocalPostgresError::NotOwner { directory: directory.to_owned() })
                }
                (_, _) => Ok(Self { name: name_of(me.as_raw()), other: None }),
            };
        }
        if let Some((uid, gid)) = owner.filter(|(uid, _)| *uid != 0) {
            return Ok(Self { name: name_of(uid), other: Some((uid, gid)) });
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Self { name: user.name, other: Some((user.uid.as_raw(), user.gid.as_raw())) })
            .ok_or(LocalPostgresError::NoAccount)
    }

    pub(super) fn is_other(&self) -> bool {
        self.other.is_some()
    }

    pub(super) fn owns(&self, uid: u32) -> bool {
        uid == self.other.map_or_else(|| geteuid().as_raw(), |(uid, _)| uid)
    }

    pub(super) fn give(&self, path: &Path) -> Result<(), LocalPostgresError> {
        let Some((uid, gid)) = self.other else { return Ok(()) };
        chown(path, Some(uid), Some(gid)).map_err(|source| LocalPostgresError::File {
            what: "give to PostgreSQL's user",
            path: path.to_owned(),
            source,
        })
    }

    /// A command that runs as this user in `directory`, outside the terminal's process group, with English messages.
    pub(super) fn command(&self, program: impl AsRef<OsStr>, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(directory).process_group(0).env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((uid, gid)) = self.other {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Checks that this user may enter every directory on the path to `directory`, and names the first that it may not.
    /// It lets the system decide, so that access lists count too.
    pub(super) async fn check_reach(&self, directory: &Path, programs: &PgBinaries) -> Result<(), LocalPostgresError> {
        if !self.is_other() || self.may_enter(directory, programs).await? {
            return Ok(());
        }
        let mut way: Vec<&Path> = directory.ancestors().collect();
        way.reverse();
        for (depth, step) in way.into_iter().enumerate() {
            if !self.may_enter(step, programs).await? {
                return Err(if depth == 0 {
                    LocalPostgresError::ProgramClosed { program: programs.pg_ctl(), user: self.name.clone() }
                } else {
                    LocalPostgresError::Closed { directory: step.to_owned(), user: self.name.clone() }
                });
            }
        }
        Ok(())
    }

    async fn may_enter(&self, directory: &Path, programs: &PgBinaries) -> Result<bool, LocalPostgresError> {
        let mut probe = self.command(programs.pg_ctl(), directory);
        probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        match probe.status().await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
            Err(source) => Err(LocalPostgresError::File { what: "run", path: programs.pg_ctl(), source }),
        }
    }
}

fn owner(directory: &Path) -> Result<(u32, u32), LocalPostgresError> {
    let metadata = directory.metadata().map_err(|source| LocalPostgresError::File {
        what: "look at",
        path: directory.to_owned(),
        source,
    })?;
    Ok((metadata.uid(), metadata.gid()))
}

fn name_of(uid: u32) -> String {
    User::from_uid(uid.into()).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}
