//! Embeds the schemas of the events, `domain/schemas/<Type>/v<N>.json`, for `highwater events schema`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

fn main() -> io::Result<()> {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/schemas").canonicalize()?;
    println!("cargo::rerun-if-changed={}", schemas.display());
    let mut table = String::from("&[\n");
    for folder in sorted(&schemas)?.iter().filter(|path| path.is_dir()) {
        for file in sorted(folder)? {
            let version = file.file_stem().and_then(|stem| stem.to_str()?.strip_prefix('v')?.parse::<usize>().ok());
            let name = folder.file_name().and_then(|name| name.to_str());
            let (Some(version), Some(name), Some(path)) = (version, name, file.to_str()) else {
                return Err(io::Error::other(format!("{} is no schema of a version", file.display())));
            };
            // Writing to a String does not fail.
            let _ = writeln!(table, "({name:?}, {version}, include_str!({path:?})),");
        }
    }
    table.push(']');
    let out = std::env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo says where to write"))?;
    fs::write(Path::new(&out).join("event_schemas.rs"), table)
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
