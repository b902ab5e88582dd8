//! Sibling modules form no circle: what stands below one file or folder may import from another, but not both ways.
//!
//! A circle means that no part of it can be read, moved or tested without the others. A module and its own children are
//! one thing and may refer to each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::modules::{Crate, ModulePath};

/// Folders whose modules still form circles. This list only shrinks.
const KNOWN: &[&str] = &[];

/// The circles of one crate, by folder: each sibling that takes part, with the imports that close the circle.
fn circles(found: &Crate) -> BTreeMap<PathBuf, BTreeMap<String, BTreeSet<String>>> {
    let mut folders: BTreeMap<PathBuf, BTreeMap<&str, BTreeMap<String, BTreeSet<String>>>> = BTreeMap::new();
    let references = found.references();
    for (from, to) in &references {
        let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
        if let (Some(sibling), Some(other)) = (from.get(shared), to.get(shared)) {
            let folder = from[..shared].iter().fold(found.folder.clone(), |folder, name| folder.join(name));
            let example = format!("{} -> {}", name(from), name(to));
            folders
                .entry(folder)
                .or_default()
                .entry(sibling)
                .or_default()
                .entry(other.clone())
                .or_default()
                .insert(example);
        }
    }
    folders
        .into_iter()
        .filter_map(|(folder, imports)| {
            let mut circle: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for (&sibling, targets) in &imports {
                for (other, examples) in targets {
                    if reaches(&imports, other, sibling) {
                        circle.entry(sibling.to_owned()).or_default().extend(examples.iter().cloned());
                    }
                }
            }
            (!circle.is_empty()).then_some((folder, circle))
        })
        .collect()
}

fn name(module: &ModulePath) -> String {
    module.join("::")
}

fn reaches<T>(imports: &BTreeMap<&str, BTreeMap<String, T>>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut next = vec![from];
    while let Some(module) = next.pop() {
        if module == to {
            return true;
        }
        next.extend(
            imports.get(module).into_iter().flat_map(BTreeMap::keys).map(String::as_str).filter(|it| seen.insert(it)),
        );
    }
    false
}

#[test]
fn siblings_form_no_circle() {
    let mut circles: BTreeMap<_, _> = Crate::all(&crate::root()).iter().flat_map(circles).collect();
    for folder in KNOWN {
        assert!(circles.remove(Path::new(folder)).is_some(), "{folder} has no circle any more: take it off KNOWN");
    }
    assert!(circles.is_empty(), "sibling modules import each other in a circle: {circles:#?}");
}

/// The members of each circle of a crate with these files, by folder.
fn members(files: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
    let read = |path: &Path| files.iter().find(|(file, _)| Path::new(file) == path).map(|(_, text)| (*text).to_owned());
    let found = Crate::load(Path::new("a/src/lib.rs"), &read);
    circles(&found)
        .into_iter()
        .map(|(folder, circle)| (folder.display().to_string(), circle.into_keys().collect()))
        .collect()
}

fn circle(folder: &str, members: &[&str]) -> Vec<(String, Vec<String>)> {
    vec![(folder.to_owned(), members.iter().map(|&it| it.to_owned()).collect())]
}

#[test]
fn finds_a_circle_of_two_files_whatever_the_spelling() {
    for import in [
        "use crate::two::B;",
        "use super::two::B;",
        "use crate::{two::{self, B}};",
        "fn f() { crate::two::b(); }",
        "struct S(super::two::B);",
    ] {
        let files =
            [("a/src/lib.rs", "mod one; mod two;"), ("a/src/one.rs", import), ("a/src/two.rs", "use crate::one::A;")];
        assert_eq!(members(&files), circle("a/src", &["one", "two"]), "{import}");
    }
}

#[test]
fn finds_a_circle_of_three_without_its_users() {
    let files = [
        ("a/src/lib.rs", "mod one; mod two; mod three; mod above; mod below;"),
        ("a/src/above.rs", "use crate::one::A;"),
        ("a/src/below.rs", ""),
        ("a/src/one.rs", "use crate::two::B; use crate::below::E;"),
        ("a/src/two.rs", "use crate::three::C;"),
        ("a/src/three.rs", "use crate::one::A;"),
    ];
    assert_eq!(members(&files), circle("a/src", &["one", "three", "two"]));
}

#[test]
fn counts_a_folder_as_one_node_with_everything_below_it() {
    let files = [
        ("a/src/lib.rs", "mod one; mod two;"),
        ("a/src/one/mod.rs", "mod deep; pub(crate) mod other;"),
        ("a/src/one/deep.rs", "use crate::two::B;"),
        ("a/src/one/other.rs", ""),
        ("a/src/two.rs", "use crate::one::other::O;"),
    ];
    assert_eq!(members(&files), circle("a/src", &["one", "two"]));
}

#[test]
fn finds_a_circle_inside_a_folder() {
    let files = [
        ("a/src/lib.rs", "mod one;"),
        ("a/src/one/mod.rs", "mod x; mod y;"),
        ("a/src/one/x.rs", "use super::y::Y;"),
        ("a/src/one/y.rs", "use crate::one::x::X;"),
    ];
    assert_eq!(members(&files), circle("a/src/one", &["x", "y"]));
}

#[test]
fn looks_through_facades() {
    let files = [
        ("a/src/lib.rs", "mod one; mod two; pub use two::B as Renamed;"),
        ("a/src/one/mod.rs", "mod x; pub(crate) use x::X; pub(crate) use self::y::*; mod y;"),
        ("a/src/one/x.rs", "use super::Y; pub struct X;"),
        ("a/src/one/y.rs", "use super::X; pub struct Y;"),
        ("a/src/two.rs", "use crate::one::X; struct B;"),
    ];
    assert_eq!(members(&files), circle("a/src/one", &["x", "y"]));
    let files = [
        ("a/src/lib.rs", "mod one; mod two; pub use two::B as Renamed;"),
        ("a/src/one.rs", "use crate::Renamed; pub struct A;"),
        ("a/src/two.rs", "use crate::one::A; pub struct B;"),
    ];
    assert_eq!(members(&files), circle("a/src", &["one", "two"]));
}

#[test]
fn finds_paths_in_macros_and_attributes() {
    for text in [
        "fn f() { g!(a, crate::two::b(1)); }",
        "#[serde(with = \"crate::two\")] struct A;",
        "fn f() { g!({ super::two::X }); }",
    ] {
        let files =
            [("a/src/lib.rs", "mod one; mod two;"), ("a/src/one.rs", text), ("a/src/two.rs", "use crate::one::A;")];
        assert_eq!(members(&files), circle("a/src", &["one", "two"]), "{text}");
    }
}

#[test]
fn parents_and_tests_are_no_siblings() {
    let files = [
        ("a/src/lib.rs", "mod one; mod two; use one::A; pub struct Root;"),
        ("a/src/one/mod.rs", "mod x; use x::X; pub struct A; #[cfg(test)] mod tests;"),
        ("a/src/one/x.rs", "use super::A; use crate::Root; #[cfg(test)] mod tests { use crate::two::B; }"),
        ("a/src/two.rs", "use crate::one::A; #[cfg(test)] use crate::one::B;"),
    ];
    assert_eq!(members(&files), []);
}
