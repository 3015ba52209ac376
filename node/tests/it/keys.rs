//! Keys stay where they were made (invariant I7): not in what a device hands on, not in its store,
//! and a directory restored without them says what to do instead of signing from an old state.

use crate::device::{Device, TestBank};
use std::path::{Path, PathBuf};

/// Every file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn no_key_leaves_its_file_and_a_restored_backup_signs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bank = TestBank::new("market");
    let mut device = Device::new(dir.path(), "device", &bank);
    let grants = bank.write_grants(&device);
    device.start(&[]);
    device.json(&["import", grants.to_str().unwrap()]);
    device.json(&["request", "5"]);
    let closed = device.json(&["close"]);
    assert_eq!(closed["id"].as_str().unwrap().len(), 64, "an entry signed with the key");
    let carried = dir.path().join("carried");
    assert!(device.json(&["export", carried.to_str().unwrap()])["items"].as_u64() >= Some(4));
    device.kill();

    let text = std::fs::read_to_string(device.dir.join("keys/author")).unwrap();
    let line = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().to_owned()
    };
    let outside: Vec<PathBuf> = files(&device.dir)
        .into_iter()
        .filter(|path| !path.starts_with(device.dir.join("keys")))
        .chain([carried])
        .collect();
    assert!(outside.len() > 3);
    for secret in [line("signing"), line("sealing")] {
        let raw = secret.parse::<hundi_ledger::id::Hash>().unwrap().0;
        for path in &outside {
            let bytes = std::fs::read(path).unwrap();
            let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
            assert!(!holds(&raw) && !holds(secret.as_bytes()), "a key in {}", path.display());
        }
    }

    // What a backup tool that honours the mark brings back.
    assert!(device.dir.join("keys/CACHEDIR.TAG").is_file());
    let restored = Device::bare(dir.path(), "restored");
    copy(&device.dir, &restored.dir);
    std::fs::remove_dir_all(restored.dir.join("keys")).unwrap();
    let genesis = restored.dir.join("genesis");
    let init = ["init", "--genesis", genesis.to_str().unwrap(), "--bank", "1"];
    for args in [&["id"][..], &["run", "--no-mdns"], &init] {
        let told = restored.refused(args, 2);
        assert!(told.contains("never in a backup") && told.contains("another directory"), "{told}");
    }
}
