//! The files of one private PostgreSQL:
//!
//! ```text
//! highwater.lock    held by the process that runs the server
//! highwater.guests  shared by the processes that connect to the server of another process
//! postgres/         the database
//! postgres.log      its log
//! socket/           its socket, unless the path is too long for a socket
//! ```

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::account::OsUser;
use super::error::LocalPostgresError;
use super::locks::lock_owner;
use super::programs::PgBinaries;

#[derive(Debug)]
pub(super) struct DataDir {
    root: PathBuf,
    log: PathBuf,
    pub(super) account: OsUser,
    pub(super) programs: PgBinaries,
    _lock: File,
}

/// The longest path of a socket that every system accepts, with the file's name.
const LONGEST_SOCKET: usize = 103;
const SOCKET_NAME: usize = "/.s.PGSQL.65535".len();

impl DataDir {
    pub(super) async fn open(data_dir: &Path) -> Result<Self, LocalPostgresError> {
        let file = |what, path: &Path| {
            let path = path.to_owned();
            move |source| LocalPostgresError::File { what, path, source }
        };
        let absolute = std::path::absolute(data_dir).map_err(file("find", data_dir))?;
        make_enterable(&absolute)?;
        let root = absolute.canonicalize().map_err(file("find", &absolute))?;
        let lock = lock_owner(&root)?;

        let database = database(&root);
        let version = version(&database)?;
        let existing = version.map(|version| (database.as_path(), version));
        let programs = PgBinaries::find(existing)?;
        let account = OsUser::choose(existing.map(|(directory, _)| directory))?;
        account.check_reach(&root, &programs).await?;
        Ok(Self { log: root.join("postgres.log"), root, account, programs, _lock: lock })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn database(&self) -> PathBuf {
        database(&self.root)
    }

    /// The directory of a new database until it is complete, so that an unfinished one is never used.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.root.join("postgres.new")
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    pub(super) fn has_database(&self) -> Result<bool, LocalPostgresError> {
        version(&self.database()).map(|version| version.is_some())
    }

    /// A directory for the socket that only PostgreSQL's user may enter: here, or under /tmp if the path would be too
    /// long.
    pub(super) fn socket(&self) -> Result<PathBuf, LocalPostgresError> {
        let here = self.root.join("socket");
        if here.as_os_str().len() + SOCKET_NAME <= LONGEST_SOCKET {
            if self.private(&here)? {
                return Ok(here);
            }
            return Err(LocalPostgresError::NoSocketDirectory { parent: self.root.clone() });
        }
        let digest = Sha256::digest(self.root.as_os_str().as_bytes());
        let name = digest.iter().take(6).fold(0_u64, |name, byte| name << 8 | u64::from(*byte));
        let parent = Path::new("/tmp");
        // Another user may have created the first name.
        for attempt in 0..8 {
            let directory = parent.join(format!("highwater-{name:012x}-{attempt}"));
            if self.private(&directory)? {
                return Ok(directory);
            }
        }
        Err(LocalPostgresError::NoSocketDirectory { parent: parent.to_owned() })
    }

    /// Creates the directory or accepts an existing one. False if another user owns it.
    fn private(&self, directory: &Path) -> Result<bool, LocalPostgresError> {
        let file = |what| move |source| LocalPostgresError::File { what, path: directory.to_owned(), source };
        match DirBuilder::new().mode(0o700).create(directory) {
            Ok(()) => self.account.give(directory).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let found = fs::symlink_metadata(directory).map_err(file("look at"))?;
                let closed = found.permissions().mode() & 0o777 == 0o700;
                Ok(found.is_dir() && self.account.owns(found.uid()) && closed)
            }
            Err(error) => Err(file("make")(error)),
        }
    }
}

/// The database in a data directory.
pub(super) fn database(root: &Path) -> PathBuf {
    root.join("postgres")
}

/// The canonical path of a data directory that holds a database. It changes nothing.
pub(super) fn existing(data_dir: &Path) -> Result<PathBuf, LocalPostgresError> {
    let none = || LocalPostgresError::NoDatabase { data_dir: data_dir.to_owned() };
    let root = match data_dir.canonicalize() {
        Ok(root) => root,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(none()),
        Err(source) => return Err(LocalPostgresError::File { what: "find", path: data_dir.to_owned(), source }),
    };
    version(&database(&root))?.map(|_| root).ok_or_else(none)
}

/// Creates the missing directories of the path. PostgreSQL's user must be able to pass through, whatever the umask is.
/// The database itself stays closed to others.
fn make_enterable(path: &Path) -> Result<(), LocalPostgresError> {
    let file = |what, path: &Path| {
        let path = path.to_owned();
        move |source| LocalPostgresError::File { what, path, source }
    };
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_enterable(parent)?;
    }
    match fs::create_dir(path) {
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(file("open up", path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(file("make", path)(error)),
    }
}

/// The version of PostgreSQL that created the database, if there is one.
fn version(database: &Path) -> Result<Option<u32>, LocalPostgresError> {
    let path = database.join("PG_VERSION");
    let occupied = || LocalPostgresError::Occupied { directory: database.to_owned() };
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| occupied()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match database.symlink_metadata() {
            Ok(_) => Err(occupied()),
            Err(_) => Ok(None),
        },
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(LocalPostgresError::NotOwner { directory: database.to_owned() })
        }
        Err(source) => Err(LocalPostgresError::File { what: "read", path, source }),
    }
}
