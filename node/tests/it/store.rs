//! The store through its public interface: what it keeps, what it refuses, what it says when something is wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hundi_node::store::{
    Barrier, CommitError, IndexState, KEY_BYTES_MAX, OpenError, OpenReport, ReadError,
    SUBJECT_BYTES_MAX, Store, StoreOptions, VALUE_BYTES_MAX, Write,
};

pub(crate) fn options() -> StoreOptions {
    // Nothing here cuts the power; the rig in `store_power_cut.rs` does.
    StoreOptions { segment_bytes: 16 * 1024, barrier: Barrier::Off, ..StoreOptions::default() }
}

pub(crate) fn put(subject: &[u8], key: &[u8], value: &[u8]) -> Write {
    Write::Put { subject: subject.to_vec(), key: key.to_vec(), value: value.to_vec() }
}

pub(crate) fn delete(subject: &[u8], key: &[u8]) -> Write {
    Write::Delete { subject: subject.to_vec(), key: key.to_vec() }
}

fn open(dir: &Path) -> (Store, OpenReport) {
    Store::open(dir, options()).unwrap()
}

fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(dir.join("segments")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn flip(path: &Path, at: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at as usize] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_was_put_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (store, report) = open(dir.path());
    assert!(report.created);
    store.commit(&[put(b"a", b"1", b"one"), put(b"a", b"2", b""), put(b"bb", b"", b"x")]).unwrap();
    store.commit(&[delete(b"a", b"1"), delete(b"nobody", b"1"), put(b"a", b"2", b"two")]).unwrap();
    for _ in 0..2 {
        assert_eq!(store.get(b"a", b"1").unwrap(), None);
        assert_eq!(store.get(b"a", b"2").unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(store.keys(b"a").unwrap(), [b"2".to_vec()]);
        assert_eq!(store.keys(b"nobody").unwrap(), Vec::<Vec<u8>>::new());
    }
    drop(store);
    let (store, report) = open(dir.path());
    assert_eq!((report.created, report.index, report.torn_bytes), (false, IndexState::Fresh, 0));
    let subjects: Vec<_> = store.subjects().map(Result::unwrap).collect();
    assert_eq!(subjects, [b"a".to_vec(), b"bb".to_vec()]);
    let mut all = Vec::new();
    store.for_each(|subject, key, value| all.push([subject, key, value].concat())).unwrap();
    assert_eq!(all, [b"bbx".to_vec(), b"a2two".to_vec()]);
    assert_eq!(store.stats().unwrap().items, 2);
}

#[test]
fn a_subject_with_many_keys_is_kept_and_emptied() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let key = |n: u32| (n.wrapping_mul(2_654_435_761)).to_be_bytes();
    for chunk in (0..2000).collect::<Vec<_>>().chunks(40) {
        let batch: Vec<_> = chunk.iter().map(|n| put(b"s", &key(*n), &n.to_le_bytes())).collect();
        store.commit(&batch).unwrap();
    }
    let mut expected: Vec<_> = (0..2000).map(|n| key(n).to_vec()).collect();
    expected.sort();
    assert_eq!(store.keys(b"s").unwrap(), expected);
    assert_eq!(store.get(b"s", &key(777)).unwrap().unwrap(), 777u32.to_le_bytes());
    let batch: Vec<_> = (0..2000).map(|n| delete(b"s", &key(n))).collect();
    store.commit(&batch).unwrap();
    assert_eq!((store.keys(b"s").unwrap().len(), store.subjects().count()), (0, 0));
    assert_eq!(store.check().unwrap().findings, []);
}

#[test]
fn what_is_too_long_is_refused_and_the_store_stays_usable() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let long = |n: usize| vec![1; n];
    for (write, what) in [
        (put(&long(SUBJECT_BYTES_MAX + 1), b"", b""), "subject"),
        (put(b"", &long(KEY_BYTES_MAX + 1), b""), "key"),
        (put(b"", b"", &long(VALUE_BYTES_MAX + 1)), "value"),
        (delete(b"", &long(KEY_BYTES_MAX + 1)), "key"),
    ] {
        match store.commit(&[put(b"a", b"a", b"a"), write]) {
            Err(CommitError::Limit { what: found, .. }) => assert_eq!(found, what),
            other => panic!("{what}: {other:?}"),
        }
    }
    let batch = vec![put(b"a", b"a", &long(VALUE_BYTES_MAX)); 256];
    assert!(matches!(store.commit(&batch), Err(CommitError::Limit { what: "batch", .. })));
    assert_eq!(store.get(b"a", b"a").unwrap(), None);
    let (subject, key, value) =
        (long(SUBJECT_BYTES_MAX), long(KEY_BYTES_MAX), long(VALUE_BYTES_MAX));
    store.commit(&[put(&subject, &key, &value)]).unwrap();
    assert_eq!(store.get(&subject, &key).unwrap(), Some(value));
}

#[test]
fn a_second_opening_is_refused_with_the_holders_pid() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    match Store::open(dir.path(), options()) {
        Err(OpenError::Locked { dir: locked, pid }) => {
            assert_eq!((locked.as_path(), pid), (dir.path(), std::process::id().to_string()));
        }
        other => panic!("{other:?}"),
    }
    drop(store);
    open(dir.path());
}

#[test]
fn only_the_owner_can_read_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/store");
    let (store, _) = open(&path);
    store.commit(&[put(b"a", b"a", b"a")]).unwrap();
    drop(store);
    open(&path);
    let mut queue = vec![path];
    let mut files = 0;
    while let Some(path) = queue.pop() {
        let metadata = fs::metadata(&path).unwrap();
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        // sled makes short-lived files of its own kind; its directory keeps others out of them.
        let sled_own = path.file_name().unwrap().to_str().unwrap().starts_with("snap.");
        assert!(
            sled_own || metadata.permissions().mode() & 0o777 == expected,
            "{path:?}: {:o}",
            metadata.permissions().mode()
        );
        files += 1;
        if metadata.is_dir() {
            queue.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(files >= 7, "{files}");
}

#[test]
fn a_missing_or_damaged_index_is_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for n in 0..200u32 {
        let subject = (n % 50).to_le_bytes();
        let key = [n as u8; 40];
        store
            .commit(&[put(&subject, &key, &[1; 300]), delete(&subject, &[n as u8 / 2; 40])])
            .unwrap();
    }
    let contents = |store: &Store| {
        let mut all = Vec::new();
        store.for_each(|s, k, v| all.push((s.to_vec(), k.to_vec(), v.to_vec()))).unwrap();
        all
    };
    let expected = contents(&store);
    assert!(store.stats().unwrap().segments > 3);
    drop(store);
    let index = dir.path().join("index");
    let damages: [(&str, &dyn Fn()); 5] = [
        ("removed", &|| fs::remove_dir_all(&index).unwrap()),
        ("its file removed", &|| fs::remove_file(index.join("db")).unwrap()),
        ("zeroed", &|| fs::write(index.join("db"), vec![0; 1 << 20]).unwrap()),
        ("cut", &|| {
            let bytes = fs::read(index.join("db")).unwrap();
            fs::write(index.join("db"), &bytes[..1000]).unwrap();
        }),
        ("scribbled over", &|| {
            let mut bytes = fs::read(index.join("db")).unwrap();
            bytes.iter_mut().step_by(997).for_each(|byte| *byte ^= 0x55);
            fs::write(index.join("db"), bytes).unwrap();
        }),
    ];
    for (what, damage) in damages {
        damage();
        let (store, report) = open(dir.path());
        assert_ne!(report.index, IndexState::Fresh, "{what}");
        assert_eq!(contents(&store), expected, "{what}");
        assert_eq!(store.check().unwrap().findings, [], "{what}");
        drop(store);
        assert_eq!(open(dir.path()).1.index, IndexState::Fresh, "{what}");
    }
}

#[test]
fn an_older_index_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let (index, copy) = (dir.path().join("index"), dir.path().join("copy"));
    let (store, _) = open(dir.path());
    store.commit(&[put(b"s", b"1", b"old"), put(b"s", b"2", b"old")]).unwrap();
    drop(store);
    copy_directory(&index, &copy);
    let (store, _) = open(dir.path());
    store.commit(&[put(b"s", b"1", b"new")]).unwrap();
    store.commit(&[delete(b"s", b"2")]).unwrap();
    drop(store);
    fs::remove_dir_all(&index).unwrap();
    fs::rename(&copy, &index).unwrap();
    let (store, report) = open(dir.path());
    assert_eq!(report.index, IndexState::Replayed { batches: 2 });
    assert_eq!(store.get(b"s", b"1").unwrap().as_deref(), Some(&b"new"[..]));
    assert_eq!(store.get(b"s", b"2").unwrap(), None);
    assert_eq!(store.check().unwrap().findings, []);
}

#[test]
fn an_index_from_before_compaction_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let (index, copy) = (dir.path().join("index"), dir.path().join("copy"));
    let (store, _) = open(dir.path());
    for n in 0..100u8 {
        store.commit(&[put(b"s", &[n], &[n; 1000])]).unwrap();
    }
    drop(store);
    copy_directory(&index, &copy);
    let (store, _) = open(dir.path());
    for n in 0..90u8 {
        store.commit(&[delete(b"s", &[n])]).unwrap();
    }
    assert!(store.compact(u64::MAX).unwrap().freed_bytes > 50_000);
    drop(store);
    fs::remove_dir_all(&index).unwrap();
    fs::rename(&copy, &index).unwrap();
    let (store, report) = open(dir.path());
    assert!(matches!(report.index, IndexState::Rebuilt { .. }), "{report:?}");
    assert_eq!(store.keys(b"s").unwrap(), (90..100).map(|n| vec![n]).collect::<Vec<_>>());
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_directory(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn damage_is_named_and_salvage_reads_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for n in 0..60u8 {
        store.commit(&[put(b"s", &[n], &[n; 1000]), put(b"t", &[n], &[n; 10])]).unwrap();
    }
    drop(store);
    let segment = segment_files(dir.path())[1].clone();
    flip(&segment, 3000);

    // With the index whole the damage shows where it is read, and in the check.
    let (store, _) = open(dir.path());
    let unreadable: Vec<u8> = (0..60)
        .filter(|n| matches!(store.get(b"s", &[*n]), Err(ReadError::Corrupt { .. })))
        .collect();
    assert_eq!(unreadable.len(), 1);
    let findings = store.check().unwrap().findings;
    assert!(findings.iter().any(|finding| finding.path == segment && finding.offset <= 3000));
    assert!(store.for_each(|_, _, _| ()).is_err());
    drop(store);

    // Without it the segments have to be read, and nothing is dropped in silence.
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    for _ in 0..2 {
        match Store::open(dir.path(), options()) {
            Err(OpenError::Corrupt { path, offset, .. }) => {
                assert!(path == segment && offset <= 3000, "{path:?} {offset}");
            }
            other => panic!("{other:?}"),
        }
    }
    let (store, report) =
        Store::open(dir.path(), StoreOptions { salvage: true, ..options() }).unwrap();
    assert_eq!(report.damage.len(), 1);
    assert_eq!(report.damage[0].path, segment);
    let mut found = 0;
    store.for_each(|_, _, _| found += 1).unwrap();
    assert!((118..120).contains(&found), "{found}");
    for n in (0..60u8).filter(|n| !unreadable.contains(n)) {
        assert_eq!(store.get(b"s", &[n]).unwrap(), Some(vec![n; 1000]));
    }
    assert!(matches!(store.commit(&[put(b"a", b"a", b"a")]), Err(CommitError::Salvage { .. })));
    drop(store);
    // Salvage changed nothing: the damage is still refused.
    assert!(matches!(Store::open(dir.path(), options()), Err(OpenError::Corrupt { .. })));
}

#[test]
fn a_missing_segment_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for n in 0..60u8 {
        store.commit(&[put(b"s", &[n], &[n; 1000])]).unwrap();
    }
    drop(store);
    let files = segment_files(dir.path());
    for (at, with_index) in [(0, true), (1, false), (files.len() - 1, true)] {
        let copy = dir.path().join(format!("copy {at}"));
        copy_directory(&dir.path().join("segments"), &dir.path().join("kept"));
        copy_directory(&dir.path().join("index"), &copy);
        fs::remove_file(&files[at]).unwrap();
        if !with_index {
            fs::remove_dir_all(dir.path().join("index")).unwrap();
        }
        match Store::open(dir.path(), options()) {
            Err(OpenError::Missing { path }) => assert_eq!(path, files[at]),
            other => panic!("{at}: {other:?}"),
        }
        let salvage = Store::open(dir.path(), StoreOptions { salvage: true, ..options() }).unwrap();
        assert!(salvage.0.keys(b"s").unwrap().len() > 20);
        drop(salvage);
        for (name, from) in [("segments", dir.path().join("kept")), ("index", copy)] {
            let _ = fs::remove_dir_all(dir.path().join(name));
            fs::rename(from, dir.path().join(name)).unwrap();
        }
        open(dir.path());
    }
}

#[test]
fn a_value_that_looks_like_a_batch_does_not_pass_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.commit(&[put(b"s", b"1", b"one")]).unwrap();
    let bytes = fs::read(&segment_files(dir.path())[0]).unwrap();
    // A peer replays a batch of ours, and makes one up.
    let mut crafted = bytes[80..].to_vec();
    crafted.extend_from_slice(b"hfrm\x10\0\0\0\x02\0\0\0\0\0\0\0");
    crafted.extend_from_slice(&[0; 64]);
    let length = bytes.len();
    store.commit(&[put(b"s", b"2", &crafted)]).unwrap();
    drop(store);
    // The power fails while that batch is written: it was never acknowledged, so the index has no part of it.
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let path = &segment_files(dir.path())[0];
    let whole = fs::read(path).unwrap();
    fs::write(path, &whole[..whole.len() - 1]).unwrap();
    let (store, report) = open(dir.path());
    assert_eq!(report.torn_bytes as usize, whole.len() - 1 - length);
    assert_eq!(store.keys(b"s").unwrap(), [b"1".to_vec()]);
}

#[test]
fn compaction_bounds_the_disk_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    // Some things stay for good, among many that come and go, are overwritten, and come back.
    let mut largest = 0;
    for round in 0..400u32 {
        let mut batch = vec![put(b"kept", &round.to_le_bytes(), &[1; 20])];
        for n in 0..8u32 {
            let subject = (n % 3).to_le_bytes();
            batch.push(put(&subject, &(round + n).to_le_bytes(), &[round as u8; 200]));
            batch.push(delete(&subject, &(round + n).wrapping_sub(20).to_le_bytes()));
        }
        store.commit(&batch).unwrap();
        while store.compact(8 * 1024).unwrap().more {}
        largest = largest.max(store.stats().unwrap().segment_bytes);
    }
    let stats = store.stats().unwrap();
    assert!(largest < 3 * stats.used_bytes + 4 * 16 * 1024, "{largest} {stats:?}");
    assert_eq!(store.check().unwrap().findings, []);
    let contents = |store: &Store| {
        let mut all = Vec::new();
        store.for_each(|s, k, v| all.push((s.to_vec(), k.to_vec(), v.to_vec()))).unwrap();
        all
    };
    let expected = contents(&store);
    assert_eq!(store.keys(b"kept").unwrap().len(), 400);
    drop(store);
    // Nothing that was deleted comes back when only the segments are left.
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (store, _) = open(dir.path());
    assert_eq!(contents(&store), expected);
}

#[test]
fn deletes_do_not_pile_up_behind_an_old_segment() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for n in 0..14u8 {
        store.commit(&[put(b"kept", &[n], &[n; 1000])]).unwrap();
    }
    let mut largest = 0;
    for round in 0..3000u32 {
        store.commit(&[put(b"s", &round.to_le_bytes(), &[3; 50])]).unwrap();
        store.commit(&[delete(b"s", &round.to_le_bytes())]).unwrap();
        store.compact(64 * 1024).unwrap();
        largest = largest.max(store.stats().unwrap().segment_bytes);
    }
    assert!(largest < 8 * 16 * 1024, "{largest}");
    assert_eq!(store.keys(b"kept").unwrap().len(), 14);
}

#[test]
fn reads_beside_commits_and_compaction_find_everything() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let fixed: Vec<_> = (0..30u8).map(|n| put(b"fixed", &[n], &[n; 500])).collect();
    store.commit(&fixed).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = || {
            let mut reads = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) || reads == 0 {
                for n in 0..30u8 {
                    assert_eq!(store.get(b"fixed", &[n]).unwrap(), Some(vec![n; 500]));
                }
                let mut found = 0;
                store.for_each(|subject, _, _| found += u32::from(subject == b"fixed")).unwrap();
                assert_eq!(found, 30);
                reads += 1;
            }
        };
        scope.spawn(reader);
        let mut freed = 0;
        for round in 0..300u32 {
            // What stays is written again and again between what goes, so that all of it keeps moving.
            let n = round as u8 % 30;
            let batch = [put(b"fixed", &[n], &[n; 500]), put(b"passing", b"", &[1; 1000])];
            store.commit(&batch).unwrap();
            freed += store.compact(u64::MAX).unwrap().freed_bytes;
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(freed > 100_000, "{freed}");
    });
}
