use uuid::Uuid;

use super::{MAX_WATCHED, Revision, Scope, Version};

#[test]
fn a_version_is_a_position_and_a_boundary() {
    let boundary = "2026-11-22T00:00:00Z".parse().unwrap();
    let never = Revision::default();
    assert_eq!(Version::new(never, 1204, Some(boundary)).to_string(), "1204.1795305600");
    assert_eq!(Version::new(never, 0, None).to_string(), "0.0");
}

#[test]
fn a_revision_moves_a_version_and_never_takes_it_back() {
    let revision = Revision { count: 2, position: 1300 };
    assert_eq!(Version::new(revision, 1204, None).to_string(), "1300.0.2");
    assert_eq!(Version::new(revision, 1400, None).to_string(), "1400.0.2");
}

#[test]
fn a_query_about_many_campaigns_watches_them_all() {
    let ids = |count: usize| (0..count).map(|n| Uuid::from_u128(n as u128));
    assert_eq!(Scope::of(ids(0)), Scope::Workspace);
    assert_eq!(Scope::of(ids(MAX_WATCHED)), Scope::Campaigns(ids(MAX_WATCHED).collect()));
    assert_eq!(Scope::of(ids(MAX_WATCHED + 1)), Scope::Workspace);
}

#[test]
fn marks_are_named_as_the_projection_writes_them() {
    let months = ["2026-11".to_owned(), "2026-12".to_owned()];
    assert_eq!(Scope::Workspace.marks(&months), ["month:2026-11", "month:2026-12"]);
    let campaign = Scope::Campaigns(vec![Uuid::from_u128(0xca01)]);
    assert_eq!(
        campaign.marks(&months),
        [
            "campaign:00000000-0000-0000-0000-00000000ca01:2026-11",
            "campaign:00000000-0000-0000-0000-00000000ca01:2026-12",
        ]
    );
}
