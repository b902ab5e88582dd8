//! What the longer tests are told by the environment.

use std::path::Path;

/// How many rounds `make soak` asks for; `None` in a plain test run.
pub fn soak_rounds() -> Option<usize> {
    std::env::var_os("HIGHWATER_SOAK_ROUNDS").and_then(|rounds| rounds.to_str().and_then(|rounds| rounds.parse().ok()))
}

/// Lets every user enter a directory: a private PostgreSQL runs as another user when the tests run as root.
pub fn open_to_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
}
