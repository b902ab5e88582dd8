//! The rules of the house that a compiler does not know, run as tests.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod circles;
mod modules;
mod names;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Who may depend on whom among our own crates. `tests` and `bench` may depend on anything; nothing depends on them.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("event-store", &[]),
    ("platform", &[]),
    ("http-edge", &["platform"]),
    ("commands", &["domain", "event-store", "platform"]),
    ("command-api", &["commands", "domain", "http-edge", "platform"]),
    ("projections", &["domain", "event-store", "platform"]),
    ("queries", &["domain", "platform"]),
    ("read-api", &["domain", "http-edge", "platform", "queries"]),
    (
        "highwater",
        &[
            "command-api",
            "commands",
            "domain",
            "event-store",
            "http-edge",
            "platform",
            "projections",
            "queries",
            "read-api",
        ],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn files_with(extension: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    walk(&path, extension, found);
                }
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), extension, &mut found);
    assert!(!found.is_empty());
    found
}

#[test]
fn crates_have_only_allowed_dependencies() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let mut forbidden = Vec::new();
    for package in &metadata.packages {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name.as_str()) else {
            assert!(["tests", "bench"].contains(&package.name.as_str()), "{} has no rule", package.name);
            continue;
        };
        for dependency in &package.dependencies {
            let normal = dependency.kind != DependencyKind::Development;
            if normal && ours.contains(dependency.name.as_str()) && !allowed.contains(&dependency.name.as_str()) {
                forbidden.push(format!("{} -> {}", package.name, dependency.name));
            }
        }
    }
    assert!(forbidden.is_empty(), "forbidden edges: {forbidden:?}");
}

#[test]
fn the_domain_touches_no_io() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    let domain = metadata.packages.iter().find(|package| package.name.as_str() == "domain").unwrap();
    let io = ["sqlx", "axum", "tokio", "reqwest", "tracing", "rand"];
    let found: Vec<_> = domain
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Normal && io.contains(&dependency.name.as_str()))
        .map(|dependency| &dependency.name)
        .collect();
    assert!(found.is_empty(), "the domain is pure, but depends on {found:?}");
}

/// Use cases know no HTTP: only the edge, the two APIs and the binary link the web framework or header types.
#[test]
fn only_the_edge_links_http() {
    const HTTP: [&str; 2] = ["axum", "http"];
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    let may = ["http-edge", "command-api", "read-api", "highwater", "tests", "bench"];
    let found: Vec<_> = metadata
        .packages
        .iter()
        .filter(|package| !may.contains(&package.name.as_str()))
        .filter(|package| package.dependencies.iter().any(|dependency| HTTP.contains(&dependency.name.as_str())))
        .map(|package| package.name.as_str())
        .collect();
    assert!(found.is_empty(), "{found:?} link one of {HTTP:?}");
}

/// A dependency of tests alone is in no build of the program, whatever its profile.
#[test]
fn only_tests_enable_fault_injection() {
    const FEATURE: &str = "fault-injection";
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    let mut asking = Vec::new();
    for package in &metadata.packages {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.name == "event-store") {
            if dependency.features.iter().any(|feature| feature == FEATURE) {
                asking.push((package.name.as_str(), dependency.kind));
            }
        }
        for (feature, enables) in &package.features {
            let forwards = enables.iter().any(|enabled| enabled.ends_with(FEATURE));
            assert!(!forwards, "the feature {feature} of {} turns {FEATURE} on", package.name);
        }
    }
    assert_eq!(asking, [("tests", DependencyKind::Development)]);
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, dependencies) = manifest.split_once("[workspace.dependencies]").unwrap();
    let dependencies = dependencies.split("\n[").next().unwrap();
    let silent: Vec<_> = dependencies
        .lines()
        .filter(|line| line.contains(" = ") && !line.contains("path = ") && !line.contains(" # "))
        .collect();
    assert!(silent.is_empty(), "no comment: {silent:#?}");
}

#[test]
fn file_names_are_specific() {
    let vague = ["utils", "util", "helpers", "helper", "common", "misc", "types"];
    let found: Vec<_> = files_with("rs")
        .into_iter()
        .filter(|path| path.file_stem().is_some_and(|stem| vague.contains(&stem.to_string_lossy().as_ref())))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn files_are_at_most_400_lines() {
    let long: Vec<_> = files_with("rs")
        .into_iter()
        .filter(|path| std::fs::read_to_string(path).unwrap().lines().count() > 400)
        .collect();
    assert!(long.is_empty(), "over 400 lines: {long:#?}");
}

/// Also where rustfmt does not look: in comments and strings.
#[test]
fn lines_fit_into_120_columns() {
    let mut long = Vec::new();
    for path in files_with("rs") {
        let place = path.strip_prefix(root()).unwrap();
        let parts: Vec<_> = place.iter().map(|part| part.to_str().unwrap()).collect();
        if parts[1] != "src" || parts[2..].iter().any(|part| ["tests", "tests.rs"].contains(part)) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let wide = text.lines().enumerate().filter(|(_, line)| line.chars().count() > 120);
        long.extend(wide.map(|(index, line)| format!("{}:{}: {line}", place.display(), index + 1)));
    }
    assert!(long.is_empty(), "over 120 columns: {long:#?}");
}

/// Tables, and what is quoted from programs, are as wide as they are. The changelog has one line for each change.
#[test]
fn lines_of_documents_fit_into_120_columns() {
    let mut long = Vec::new();
    for path in files_with("md").into_iter().filter(|path| !path.ends_with("CHANGELOG.md")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut is_quoted = false;
        for (index, line) in text.lines().enumerate() {
            is_quoted ^= line.trim_start().starts_with("```");
            if !is_quoted && !line.starts_with('|') && line.chars().count() > 120 {
                long.push(format!("{}:{}: {line}", path.strip_prefix(root()).unwrap().display(), index + 1));
            }
        }
    }
    assert!(long.is_empty(), "over 120 columns: {long:#?}");
}

#[test]
fn modules_have_a_module_doc() {
    let silent: Vec<_> = files_with("rs")
        .into_iter()
        .filter(|path| ["lib.rs", "mod.rs", "main.rs"].contains(&path.file_name().unwrap().to_string_lossy().as_ref()))
        .filter(|path| !std::fs::read_to_string(path).unwrap().starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "no module doc: {silent:#?}");
}

#[test]
fn the_architecture_names_every_crate_and_links_resolve() {
    let architecture = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    for (name, _) in ALLOWED {
        assert!(architecture.contains(&format!("`{name}`")), "docs/ARCHITECTURE.md does not name {name}");
    }
    let mut broken = Vec::new();
    for page in files_with("md") {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            let elsewhere = file.contains("://") || file.starts_with("mailto:") || file.is_empty();
            if !elsewhere && !page.parent().unwrap().join(file).exists() {
                broken.push(format!("{} -> {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_readme_is_a_page() {
    let lines = std::fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= 120, "README.md has {lines} lines");
}
