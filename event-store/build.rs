//! Rebuilds the crate when a migration is added, because `MIGRATOR` embeds them.

fn main() {
    println!("cargo::rerun-if-changed=../migrations");
}
