//! The parameters of long tests, from the environment.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The rounds and the seeds of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Soak {
    /// How many rounds.
    pub rounds: u64,
    /// The seed of the first round; each further one has the next.
    pub seed: u64,
}

impl Soak {
    /// One round with the seed of a scenario. In `make soak` there are `HIGHWATER_SOAK_ROUNDS` rounds with new seeds.
    /// `HIGHWATER_SEED` repeats a failed run.
    pub fn of_environment(seed: u64) -> Self {
        let rounds = number("HIGHWATER_SOAK_ROUNDS");
        let rotating = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(seed, |since| since.as_secs());
        let seed = number("HIGHWATER_SEED").unwrap_or_else(|| if rounds.is_some() { rotating() } else { seed });
        Self { rounds: rounds.unwrap_or(1), seed }
    }

    /// The number of observations in a long story; `None` unless `make soak` sets `HIGHWATER_SOAK_OBSERVATIONS`.
    pub fn observations() -> Option<u64> {
        number("HIGHWATER_SOAK_OBSERVATIONS")
    }

    /// The seeds of its rounds.
    pub fn seeds(self) -> impl Iterator<Item = u64> {
        (0..self.rounds).map(move |round| self.seed + round)
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var_os(name)?.to_str()?.parse().ok()
}

/// Lets every user enter a directory, because a private PostgreSQL runs as another user when the tests run as root.
pub fn open_to_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
}
