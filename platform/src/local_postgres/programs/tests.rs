use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn install(directory: &Path, version: &str) {
    for program in ["initdb", "pg_ctl", "postgres"] {
        let path = directory.join(program);
        fs::write(&path, format!("#!/bin/sh\necho '{program} (PostgreSQL) {version}'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn parses_versions_as_packages_print_them() {
    for (output, major) in [
        ("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n", Some(15)),
        ("postgres (PostgreSQL) 18beta2", Some(18)),
        ("postgres (PostgreSQL) devel", None),
        ("", None),
    ] {
        assert_eq!(parse_major(output), major, "{output}");
    }
}

#[test]
fn chooses_the_newest_or_the_databases_own_version() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    install(old.path(), "15.2");
    install(new.path(), "17.0");
    let places = vec![PathBuf::from("/nowhere"), old.path().to_owned(), new.path().to_owned()];

    assert_eq!(PgBinaries::choose(None, places.clone()).unwrap().major, 17);
    let made = Path::new("/data");
    let same = PgBinaries::choose(Some((made, 15)), places.clone()).unwrap();
    assert_eq!(same.postgres(), old.path().join("postgres"));
    let error = PgBinaries::choose(Some((made, 16)), places).unwrap_err();
    assert!(matches!(&error, LocalPostgresError::VersionMissing { needed: 16, found, .. } if *found == [17, 15]));
}

#[test]
fn missing_or_old_programs_say_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let error = PgBinaries::choose(None, vec![place.path().to_owned()]).unwrap_err();
    assert!(matches!(error, LocalPostgresError::NotInstalled { .. }));
    assert!(error.to_string().contains("apt-get install postgresql"));

    install(place.path(), "9.6.1");
    let error = PgBinaries::choose(None, vec![place.path().to_owned()]).unwrap_err();
    assert!(matches!(error, LocalPostgresError::TooOld { found: 9, .. }));
}
