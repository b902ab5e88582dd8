//! The principal of a request: who acts, in which workspace, and with which scopes.

mod actor;
mod scopes;

pub use actor::{Actor, ActorKind, UnknownActorKind};
pub use scopes::{Scope, Scopes, UnknownScope};

/// The caller of a request, as its bearer token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub actor: Actor,
    pub workspace: i32,
    pub scopes: Scopes,
}

impl Principal {
    /// The principal itself, if it has `scope`. This is the only check of a scope.
    pub fn require(&self, scope: Scope) -> Result<&Self, MissingScope> {
        if self.scopes.contains(scope) { Ok(self) } else { Err(MissingScope(scope)) }
    }
}

/// A scope that a principal lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the caller needs the scope `{}`", .0.name())]
pub struct MissingScope(pub Scope);

#[cfg(test)]
mod tests;
