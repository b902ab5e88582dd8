//! The actor of an event, as the log keeps it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

/// A person, a key or a part of the system that acts. It is cheap to clone: each request and each rate limit carries
/// one.
///
/// Event metadata keeps it as `<kind>:<id>`, for ever. See `docs/adr/0023-actors-in-metadata.md`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor {
    pub kind: ActorKind,
    /// Unique within its kind.
    pub id: Arc<str>,
}

/// The kind of an [`Actor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// An API key. The id is the key's id.
    Key,
    /// A person with a token. The id is the subject that the token names.
    User,
    /// Highwater itself, or its operator. The id names the part.
    System,
}

impl Actor {
    pub fn key(key_id: Uuid) -> Self {
        Self { kind: ActorKind::Key, id: key_id.to_string().into() }
    }

    /// The operator of Highwater at the command line.
    pub fn operator() -> Self {
        Self { kind: ActorKind::System, id: OPERATOR.into() }
    }
}

const OPERATOR: &str = "operator";

impl ActorKind {
    const ALL: [Self; 3] = [Self::Key, Self::User, Self::System];

    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::User => "user",
            Self::System => "system",
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.id)
    }
}

/// The error of an actor of unknown kind, which newer code wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an actor is `key`, `user` or `system`, a colon and an id")]
pub struct UnknownActorKind;

impl FromStr for Actor {
    type Err = UnknownActorKind;

    /// Reads every form that was ever written. The first form had no kind: it was a key's id, or the word `operator`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, id) = match text.split_once(':') {
            None if text == OPERATOR => return Ok(Self::operator()),
            None => (ActorKind::Key, text),
            Some((kind, id)) => {
                (ActorKind::ALL.into_iter().find(|known| known.name() == kind).ok_or(UnknownActorKind)?, id)
            }
        };
        Ok(Self { kind, id: id.into() })
    }
}
