//! A type has a name of the field, and no other type of its crate has the same one.

use std::collections::BTreeMap;
use std::path::Path;

use crate::modules::Crate;

/// Words that tell what happened to a thing and not what it is. As part of a name, such as `ParkedPart`, they are fine.
const BARE_WORDS: &[&str] = &[
    "Answered",
    "Around",
    "Asked",
    "Built",
    "Counted",
    "Done",
    "Elsewhere",
    "Fared",
    "Fate",
    "Found",
    "Gathered",
    "Given",
    "Ground",
    "Heard",
    "Held",
    "Judged",
    "Kept",
    "Known",
    "Lasting",
    "Left",
    "Listed",
    "Lost",
    "Made",
    "Misshapen",
    "Noted",
    "Past",
    "Pinned",
    "Reached",
    "Refused",
    "Repeated",
    "Restated",
    "Said",
    "Seen",
    "Sent",
    "Settled",
    "Shown",
    "Sought",
    "Sound",
    "Standing",
    "Stated",
    "Surveyed",
    "Taken",
    "Told",
    "Touched",
    "Unsaid",
    "Untold",
    "Vouched",
    "Waiting",
    "Weighed",
];

/// The names of a crate's types that say too little: bare words, and names that modules share although others see them.
fn poor_names(found: &Crate) -> BTreeMap<String, Vec<String>> {
    let is_bare = |name: &str| BARE_WORDS.contains(&name);
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, module) in found.types().filter(|(name, _)| name.visible || is_bare(&name.name)) {
        names.entry(name.name.clone()).or_default().push(module.join("::"));
    }
    names.retain(|name, modules| modules.len() > 1 || is_bare(name));
    names
}

#[test]
fn public_type_names_are_unique() {
    let mut poor = BTreeMap::new();
    for found in Crate::all(&crate::root()) {
        for (name, modules) in poor_names(&found) {
            poor.insert((found.folder.display().to_string(), name), modules);
        }
    }
    assert!(poor.is_empty(), "bare words as names of types, or one name for several: {poor:#?}");
}

#[test]
fn finds_shared_names_and_bare_words() {
    let files = [
        ("a/src/lib.rs", "mod one; mod two; struct Private; pub struct Only; struct Told; pub struct ToldStory;"),
        ("a/src/one.rs", "pub(super) struct Key; struct Private; #[cfg(test)] pub struct Only;"),
        ("a/src/two.rs", "pub enum Key {} struct Only;"),
    ];
    let read = |path: &Path| files.iter().find(|(file, _)| Path::new(file) == path).map(|(_, text)| (*text).to_owned());
    let found = poor_names(&Crate::load(Path::new("a/src/lib.rs"), &read));
    let expected = [("Key", ["one", "two"].as_slice()), ("Told", &[""])];
    let expected = expected.map(|(name, modules)| (name.to_owned(), modules.iter().map(|&it| it.to_owned()).collect()));
    assert_eq!(found, BTreeMap::from(expected));
}
