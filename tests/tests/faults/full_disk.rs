//! The disk of the database is full, and is not any more.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::workload::Workload;
use tests::{Program, Soak};

use crate::verdict::assert_sound;

/// Room for an empty cluster and some load.
const SIZE: &str = "320m";

/// A small file system of its own.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this user may not mount one.
    fn mount(on: PathBuf) -> Option<Self> {
        std::fs::create_dir(&on).unwrap();
        let options = format!("size={SIZE},mode=755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "highwater-tests"]).arg(&on).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(on))
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).unwrap();
        for size in [1 << 20, 4 << 10] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.0);
        // The program's directory, which could not go while this was mounted in it.
        self.0.parent().map(std::fs::remove_dir_all);
    }
}

/// Lazily, so that nothing that still runs there keeps it.
fn unmount(path: &Path) {
    let unmounted = Command::new("umount").arg("--lazy").arg(path).status();
    assert!(unmounted.is_ok_and(|status| status.success()), "{} is still mounted", path.display());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disk_rejects_and_loses_nothing() {
    let scratch = Program::scratch();
    let Some(disk) = Disk::mount(scratch.path().join("disk")) else {
        eprintln!("SKIPPED: a full disk cannot be had, because this user may not mount a tmpfs");
        return;
    };
    let mut program = Program::start_in(scratch, disk.0.clone()).await;
    let now = chrono::DateTime::from(std::time::SystemTime::now());
    let mut workload = Workload::prepare(vec![program.command_url()], Program::KEY, now).await;
    for seed in Soak::of_environment(6).seeds() {
        workload.start(seed);
        workload.acknowledge_more(40).await;
        disk.fill();
        // Tables cannot grow: every append that needs a page fails.
        workload.doubt_more(6).await;
        disk.free();
        workload.acknowledge_more(40).await;

        // Nor can the write-ahead log: PostgreSQL crashes, and cannot even recover until there is room again.
        disk.fill();
        if let Ok(mut database) = program.try_database().await {
            // It is this that crashes the server.
            sqlx::query("SELECT pg_switch_wal()").execute(&mut database).await.ok();
        }
        workload.doubt_more(12).await;
        disk.free();
        // A program that has given its PostgreSQL up meanwhile is started again, as whoever runs it would.
        loop {
            tokio::select! {
                () = workload.acknowledge_more(40) => break,
                () = program.ended() => program.start_again().await,
            }
        }

        let mut database = program.database().await;
        assert_sound(&mut workload, &mut database, 1, seed).await;
        // A program gives a PostgreSQL up that keeps ending.
        program.stop().await;
        program.start_again().await;
    }
    program.stop().await;
}
