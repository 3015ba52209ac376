//! The power-cut rig: a file system of its own on a loop device, shut down under a writing process without flushing
//! its log, mounted again as after a reboot. It does not model a drive's own cache. Needs root, a loop device,
//! `mkfs.ext4`, `mount` and `python3` (for the one ioctl, which safe Rust cannot make); without them it fails.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hundi_node::store::{Barrier, CommitError, OpenError, Phase, Store, StoreOptions};

use crate::store::put;
use crate::store_writer::{Model, Random, Writer};

/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`, when a line arrives.
const CUT: &str = "import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print('ready', flush=True)
sys.stdin.readline()
fcntl.ioctl(fd, 0x8004587D, struct.pack('I', 2))";

/// A small ext4 file system on a loop device.
struct Disk {
    dir: tempfile::TempDir,
    mounted: bool,
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
        panic!("the power-cut rig needs `{program}`, which cannot be run: {error}")
    });
    assert!(
        output.status.success(),
        "the power-cut rig needs root, a loop device and e2fsprogs: `{program} {}` failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Disk {
    fn new(bytes: u64) -> Disk {
        let mut disk = Disk { dir: tempfile::tempdir().unwrap(), mounted: false };
        let image = disk.image();
        File::create(&image).unwrap().set_len(bytes).unwrap();
        run("mkfs.ext4", &["-q", "-F", image.to_str().unwrap()]);
        fs::create_dir(disk.mount_point()).unwrap();
        disk.mount();
        disk
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    fn mount_point(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }

    fn store(&self) -> PathBuf {
        self.mount_point().join("store")
    }

    fn mount(&mut self) {
        let (image, mount_point) = (self.image(), self.mount_point());
        run("mount", &["-o", "loop", image.to_str().unwrap(), mount_point.to_str().unwrap()]);
        self.mounted = true;
    }

    fn unmount(&mut self) {
        run("umount", &[self.mount_point().to_str().unwrap()]);
        self.mounted = false;
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg("-l").arg(self.mount_point()).status();
        }
    }
}

/// A process that is ready to cut the power.
struct Cutter(Child);

impl Cutter {
    fn ready(mount_point: &Path) -> Cutter {
        let mut child = Command::new("python3")
            .args(["-c", CUT])
            .arg(mount_point)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the power-cut rig needs python3 to make an ioctl: install python3");
        let mut line = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        Cutter(child)
    }

    fn cut(mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let status = self.0.wait().unwrap();
        assert!(status.success(), "EXT4_IOC_SHUTDOWN failed: the rig needs root and ext4");
    }
}

#[test]
fn nothing_acknowledged_is_lost_to_a_power_cut() {
    let mut disk = Disk::new(64 << 20);
    let (mut model, mut random) = (Model::default(), Random(1));
    let (mut between, mut compactions, mut torn, mut replayed) = (0, 0, 0, 0);
    for round in 0..36 {
        // A third while it runs; a third each between segment and index, and between index and barrier.
        let hold = match round % 3 {
            0 => None,
            1 => Some((Phase::SegmentDurable, 1 + random.below(60))),
            _ => Some((Phase::IndexWritten, 1 + random.below(60))),
        };
        let cutter = Cutter::ready(&disk.mount_point());
        let mut writer = Writer::start(&disk.store(), Barrier::Full, model.batches(), hold);
        match hold {
            None => writer.hear_acknowledged(1 + random.below(60)),
            Some(_) => while !writer.said.held && writer.hear() {},
        }
        cutter.cut();
        let said = writer.kill();
        assert_eq!(said.held, hold.is_some(), "round {round}: {said:?}");
        between += u32::from(said.held);
        compactions += said.compactions;
        disk.unmount();
        disk.mount();
        let (found, report) = model
            .verify(&disk.store(), &said)
            .unwrap_or_else(|error| panic!("round {round}, {hold:?}: {error}"));
        // What is durable in the segment counts, whatever became of the index.
        assert!(hold.is_none() || found == said.begun, "round {round}: {found} {said:?}");
        torn += u32::from(report.torn_bytes > 0);
        replayed += u32::from(report.index != hundi_node::store::IndexState::Fresh);
    }
    assert!(between >= 24 && replayed > 0 && compactions > 0, "{between} {replayed} {compactions}");
    println!(
        "36 cuts, {between} between persist and acknowledgement, {} batches, {torn} torn tails, \
         {replayed} indexes brought up to date, {compactions} segments compacted",
        model.batches()
    );
}

#[test]
fn the_rig_notices_what_is_lost_without_the_barrier() {
    let mut lost = 0;
    for round in 0..3 {
        let mut disk = Disk::new(64 << 20);
        let cutter = Cutter::ready(&disk.mount_point());
        let mut writer = Writer::start(&disk.store(), Barrier::Off, 0, None);
        writer.hear_acknowledged(200);
        cutter.cut();
        let said = writer.kill();
        assert!(said.acknowledged >= 200, "round {round}: {said:?}");
        disk.unmount();
        disk.mount();
        lost += u32::from(Model::default().verify(&disk.store(), &said).is_err());
    }
    assert!(lost > 0, "the rig did not notice that nothing was synced");
}

#[test]
fn a_full_disk_is_named_and_what_was_acknowledged_stays() {
    let disk = Disk::new(16 << 20);
    let options = || StoreOptions { segment_bytes: 1 << 20, ..StoreOptions::default() };
    let (store, _) = Store::open(&disk.store(), options()).unwrap();
    let ballast = disk.mount_point().join("ballast");
    fs::write(&ballast, vec![1; 4 << 20]).unwrap();
    let mut acknowledged = 0u32;
    let error = loop {
        let key = acknowledged.to_be_bytes();
        match store.commit(&[put(b"s", &key, &[7; 40_000])]) {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 1000, "the disk never filled");
    };
    match &error {
        CommitError::Full { path } => assert!(path.starts_with(disk.store()), "{path:?}"),
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains("no space left"));
    assert!(matches!(store.commit(&[put(b"s", b"", b"")]), Err(CommitError::Poisoned { .. })));
    assert!(store.get(b"s", &0u32.to_be_bytes()).unwrap().is_some());
    drop(store);
    match Store::open(&disk.store(), options()) {
        Ok(_) | Err(OpenError::Full { .. }) => {}
        Err(other) => panic!("{other:?}"),
    }
    fs::remove_file(&ballast).unwrap();
    let (store, _) = Store::open(&disk.store(), options()).unwrap();
    let expected: Vec<_> = (0..acknowledged).map(|n| n.to_be_bytes().to_vec()).collect();
    let keys = store.keys(b"s").unwrap();
    assert!(keys.starts_with(&expected) && keys.len() <= expected.len() + 1);
    assert_eq!(store.check().unwrap().findings, []);
    store.commit(&[put(b"s", b"", b"")]).unwrap();
}
