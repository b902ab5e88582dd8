//! The principal of a request: the actor, its workspace and its scopes.

mod actor;
mod scopes;

pub use actor::{Actor, ActorKind, UnknownActorKind};
pub use scopes::{Scope, Scopes, UnknownScope};

/// The caller of a request, as its bearer token identifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub actor: Actor,
    pub workspace: i32,
    pub scopes: Scopes,
}

impl Principal {
    /// Returns the principal if it has `scope`. This is the only check of a scope.
    pub fn require(&self, scope: Scope) -> Result<&Self, MissingScope> {
        if self.scopes.contains(scope) { Ok(self) } else { Err(MissingScope(scope)) }
    }
}

/// The error of a principal without a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the caller needs the scope `{}`", .0.name())]
pub struct MissingScope(pub Scope);

#[cfg(test)]
mod tests;
