use std::os::unix::fs::PermissionsExt;

use super::{KeyFileError, SealingKey};

#[test]
fn a_text_opens_with_its_key_at_its_place_alone() {
    let (key, other) = (SealingKey::generate().unwrap(), SealingKey::generate().unwrap());
    let sealed = key.seal("acme 2026-11-21", b"ann@example.com").unwrap();
    assert_eq!(key.open("acme 2026-11-21", &sealed).unwrap(), b"ann@example.com");
    assert_eq!(other.open("acme 2026-11-21", &sealed), None);
    assert_eq!(key.open("acme 2026-11-22", &sealed), None);
    assert!(!sealed.windows(3).any(|part| part == b"ann"));
    for index in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[index] ^= 1;
        assert_eq!(key.open("acme 2026-11-21", &changed), None, "byte {index}");
        assert_eq!(key.open("acme 2026-11-21", &sealed[..index]), None, "cut at {index}");
    }
    // The same text looks different each time.
    assert_ne!(sealed, key.seal("acme 2026-11-21", b"ann@example.com").unwrap());
}

#[test]
fn digests_depend_on_the_key_and_on_where_parts_end() {
    let (key, other) = (SealingKey::generate().unwrap(), SealingKey::generate().unwrap());
    assert_eq!(key.digest(&[b"ab", b"c"]), key.digest(&[b"ab", b"c"]));
    assert_ne!(key.digest(&[b"ab", b"c"]), key.digest(&[b"a", b"bc"]));
    assert_ne!(key.digest(&[b"ab", b"c"]), other.digest(&[b"ab", b"c"]));
}

#[test]
fn a_wrapped_key_opens_what_it_sealed() {
    let (outer, inner) = (SealingKey::generate().unwrap(), SealingKey::generate().unwrap());
    let sealed = inner.seal("a", b"text").unwrap();
    let wrapped = outer.wrap("2026-11-21", &inner).unwrap();
    let unwrapped = outer.unwrap("2026-11-21", &wrapped).unwrap();
    assert_eq!(unwrapped.open("a", &sealed).unwrap(), b"text");
    assert!(outer.unwrap("2026-11-22", &wrapped).is_none());
    assert_eq!(format!("{unwrapped:?}"), "SealingKey");
}

#[test]
fn a_key_file_is_made_once_and_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rejections.key");
    assert!(matches!(SealingKey::read(&path), Err(KeyFileError::File { .. })));
    let made = SealingKey::read_or_create(&path).unwrap();
    let sealed = made.seal("a", b"text").unwrap();
    assert_eq!(SealingKey::read_or_create(&path).unwrap().open("a", &sealed).unwrap(), b"text");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&path, "abc").unwrap();
    assert!(matches!(SealingKey::read_or_create(&path), Err(KeyFileError::Malformed { .. })));
}
