use uuid::Uuid;

use super::{Actor, ActorKind, MissingScope, Principal, Scope, Scopes, UnknownActorKind};

fn actor(kind: ActorKind, id: &str) -> Actor {
    Actor { kind, id: id.into() }
}

#[test]
fn writes_actor_with_its_kind() {
    assert_eq!(Actor::key(Uuid::nil()).to_string(), "key:00000000-0000-0000-0000-000000000000");
    assert_eq!(actor(ActorKind::User, "auth0|5f7c:1").to_string(), "user:auth0|5f7c:1");
    assert_eq!(Actor::operator().to_string(), "system:operator");
}

#[test]
fn reads_back_every_kind_of_actor() {
    for actor in [Actor::key(Uuid::max()), Actor::operator(), actor(ActorKind::User, "https://issuer.example:8443/a")] {
        assert_eq!(actor.to_string().parse(), Ok(actor));
    }
    assert_eq!("robot:7".parse::<Actor>(), Err(UnknownActorKind));
}

#[test]
fn reads_actors_that_were_written_without_a_kind() {
    let key = Uuid::max().to_string();
    assert_eq!(key.parse(), Ok(actor(ActorKind::Key, &key)));
    assert_eq!("operator".parse(), Ok(Actor::operator()));
}

#[test]
fn requires_scope_that_is_there() {
    let principal = Principal { actor: Actor::operator(), workspace: 1, scopes: Scopes::from_iter([Scope::Read]) };
    assert_eq!(principal.require(Scope::Read), Ok(&principal));
    assert_eq!(principal.require(Scope::Command), Err(MissingScope(Scope::Command)));
}
