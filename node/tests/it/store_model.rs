//! The store against a map: random batches, reopening, lost and old indexes, compaction, torn tails, flipped bits.

use std::fs;
use std::path::{Path, PathBuf};

use hundi_node::store::{IndexState, OpenError, ReadError, Store, Write};
use proptest::prelude::*;

use crate::store::{options, put};
use crate::store_writer::{Contents, apply, contents};

/// Frame, two records, and what they hold: 24 + (15 + 4 + 100) + (15 + 1) + 16.
const TORN_BATCH_BYTES: u64 = 175;

#[derive(Clone, Debug)]
enum Action {
    Commit(Vec<Write>),
    Compact(u64),
    Reopen,
    LoseIndex,
    /// Cut the last batch at this share of its bytes (of 256), as if the power had failed while it was written.
    Tear(u8),
}

fn a_write() -> impl Strategy<Value = Write> {
    let subject =
        prop_oneof![Just(vec![]), prop::collection::vec(0u8..3, 1..3), Just(vec![255; 64])];
    let key = prop_oneof![prop::collection::vec(0u8..4, 0..3), Just(vec![255; 64])];
    let length = prop_oneof![8 => 0usize..400, 1 => 8_000usize..20_000];
    let value = (any::<u8>(), length).prop_map(|(byte, length)| vec![byte; length]);
    (subject, key, prop::option::weighted(0.7, value)).prop_map(|(subject, key, value)| match value
    {
        Some(value) => Write::Put { subject, key, value },
        None => Write::Delete { subject, key },
    })
}

fn an_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        10 => prop::collection::vec(a_write(), 0..8).prop_map(Action::Commit),
        3 => (0u64..100_000).prop_map(Action::Compact),
        2 => Just(Action::Reopen),
        1 => Just(Action::LoseIndex),
        1 => any::<u8>().prop_map(Action::Tear),
    ]
}

fn head(dir: &Path) -> (PathBuf, u64) {
    let files = fs::read_dir(dir.join("segments")).unwrap().map(|entry| entry.unwrap().path());
    let head = files.max().unwrap();
    let length = fs::metadata(&head).unwrap().len();
    (head, length)
}

fn cut(path: &Path, length: u64) {
    fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_store_is_a_map(actions in prop::collection::vec(an_action(), 1..50)) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), options()).unwrap().0;
        let mut model = Contents::new();
        for action in actions {
            match action {
                Action::Commit(batch) => {
                    store.commit(&batch).unwrap();
                    apply(&mut model, batch);
                }
                Action::Compact(budget) => drop(store.compact(budget).unwrap()),
                Action::Reopen => {
                    drop(store);
                    let (reopened, report) = Store::open(dir.path(), options()).unwrap();
                    prop_assert_eq!((report.index, report.torn_bytes), (IndexState::Fresh, 0));
                    store = reopened;
                }
                Action::LoseIndex => {
                    drop(store);
                    fs::remove_dir_all(dir.path().join("index")).unwrap();
                    store = Store::open(dir.path(), options()).unwrap().0;
                }
                Action::Tear(share) => {
                    store.commit(&[put(b"", b"", b"0")]).unwrap();
                    apply(&mut model, vec![put(b"", b"", b"0")]);
                    let before = head(dir.path());
                    store.commit(&[put(b"torn", b"", &[1; 100]), put(b"", b"", b"1")]).unwrap();
                    let after = head(dir.path());
                    drop(store);
                    fs::remove_dir_all(dir.path().join("index")).unwrap();
                    // A new segment was begun if the batch did not fit; then it is the first in it.
                    let kept = if after.0 == before.0 { before.1 } else { after.1 - TORN_BATCH_BYTES };
                    let length = kept + (after.1 - kept) * u64::from(share) / 256;
                    cut(&after.0, length);
                    let (reopened, report) = Store::open(dir.path(), options()).unwrap();
                    prop_assert_eq!(report.torn_bytes, length - kept);
                    store = reopened;
                }
            }
            prop_assert_eq!(&contents(&store), &model);
            let report = store.check().unwrap();
            prop_assert_eq!((report.findings, report.items), (vec![], model.len() as u64));
        }
        for ((subject, key), value) in &model {
            prop_assert_eq!(store.get(subject, key).unwrap(), Some(value.clone()));
        }
        let subjects: Vec<_> = store.subjects().map(Result::unwrap).collect();
        let mut expected: Vec<_> = model.keys().map(|(subject, _)| subject.clone()).collect();
        expected.dedup();
        expected.sort_by_key(|subject| (subject.len(), subject.clone()));
        prop_assert_eq!(&subjects, &expected);
        for subject in subjects {
            let keys: Vec<_> =
                model.keys().filter(|(s, _)| *s == subject).map(|(_, key)| key.clone()).collect();
            prop_assert_eq!(store.keys(&subject).unwrap(), keys);
            let of = model.iter().filter(|((s, _), _)| *s == subject);
            let values: Vec<_> = of.map(|((_, key), value)| (key.clone(), value.clone())).collect();
            prop_assert_eq!(&store.values(&subject).unwrap(), &values);
            let mut visited = Vec::new();
            let visit = |key: &[u8], value: &[u8]| visited.push((key.to_vec(), value.to_vec()));
            store.for_each_of(&subject, visit).unwrap();
            visited.sort();
            prop_assert_eq!(visited, values);
        }
    }
}

/// A small store of three batches; returns what it holds, its file, and where the last batch starts.
fn three_batches(dir: &Path) -> (Contents, PathBuf, u64) {
    let (store, _) = Store::open(dir, options()).unwrap();
    store.commit(&[put(b"a", b"1", b"one"), put(b"b", b"2", b"two")]).unwrap();
    store.commit(&[put(b"a", b"3", b"three")]).unwrap();
    let kept = contents(&store);
    let (path, start) = head(dir);
    store.commit(&[put(b"a", b"1", b"ONE"), put(b"c", b"4", b"four")]).unwrap();
    (kept, path, start)
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (kept, path, start) = three_batches(dir.path());
    let whole = fs::read(&path).unwrap();
    for length in start..whole.len() as u64 {
        // Cut short, and with the rest never written (zeros), as a file system may leave it.
        for zeros in [false, true] {
            fs::remove_dir_all(dir.path().join("index")).unwrap();
            let mut torn = whole[..length as usize].to_vec();
            if zeros {
                torn.resize(whole.len() + 100, 0);
            }
            let torn_bytes = torn.len() as u64 - start;
            fs::write(&path, torn).unwrap();
            let (store, report) = Store::open(dir.path(), options()).unwrap();
            assert_eq!(
                (report.torn_bytes, contents(&store)),
                (torn_bytes, kept.clone()),
                "{length}"
            );
            drop(store);
            assert_eq!(fs::metadata(&path).unwrap().len(), start);
        }
    }
}

#[test]
fn an_acknowledged_batch_that_is_torn_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (_, path, start) = three_batches(dir.path());
    let whole = fs::read(&path).unwrap();
    // The index knows that the last batch was acknowledged.
    for length in (start..whole.len() as u64).step_by(7) {
        fs::write(&path, &whole[..length as usize]).unwrap();
        match Store::open(dir.path(), options()) {
            Err(OpenError::Corrupt { path: named, offset, .. }) => {
                assert_eq!((named, offset), (path.clone(), start), "{length}");
            }
            other => panic!("{length}: {other:?}"),
        }
    }
    fs::write(&path, &whole).unwrap();
    Store::open(dir.path(), options()).unwrap();
}

#[test]
fn no_flipped_bit_is_read_as_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let (_, path, start) = three_batches(dir.path());
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    let all = contents(&store);
    drop(store);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, &damaged).unwrap();
        // The index is there and the newest segment is read whole at opening: any bit shows.
        match Store::open(dir.path(), options()) {
            Err(OpenError::Corrupt { path: named, offset, .. }) => {
                assert!(named == path && offset <= at as u64, "{at} {offset}");
            }
            Err(OpenError::Format { .. }) => assert!((8..10).contains(&at), "{at}"),
            other => panic!("{at}: {other:?}"),
        }
        // Salvage shows what still holds, and nothing that was never written.
        let salvage = hundi_node::store::StoreOptions { salvage: true, ..options() };
        if let Ok((store, report)) = Store::open(dir.path(), salvage) {
            assert_eq!(report.damage.len(), 1, "{at}");
            for ((subject, key), value) in contents(&store) {
                let older = (&subject[..], &key[..], &value[..]) == (b"a", b"1", b"one");
                assert!(older || all[&(subject, key)] == value, "{at}");
            }
        }
    }
    // In the last batch, without the index, it cannot be told from a torn tail: cut off, but reported.
    for at in [start as usize, start as usize + 40, whole.len() - 1] {
        fs::remove_dir_all(dir.path().join("index")).unwrap();
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, &damaged).unwrap();
        let (_, report) = Store::open(dir.path(), options()).unwrap();
        assert_eq!(report.torn_bytes, whole.len() as u64 - start);
    }
}

#[test]
fn a_damaged_closed_segment_never_yields_a_wrong_value() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    for n in 0..20u8 {
        store.commit(&[put(b"s", &[n], &[n; 1500])]).unwrap();
    }
    drop(store);
    let path = dir.path().join("segments").join("0000000000000001.segment");
    let whole = fs::read(&path).unwrap();
    for at in (80..whole.len()).step_by(211) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x80;
        fs::write(&path, &damaged).unwrap();
        let (store, _) = Store::open(dir.path(), options()).unwrap();
        let mut unreadable = 0;
        for n in 0..20u8 {
            match store.get(b"s", &[n]) {
                Ok(Some(value)) => assert_eq!(value, vec![n; 1500]),
                Err(ReadError::Corrupt { .. }) => unreadable += 1,
                other => panic!("{at} {n}: {other:?}"),
            }
        }
        let findings = store.check().unwrap().findings_total;
        assert!(unreadable <= 1 && findings > 0, "{at}: {unreadable} {findings}");
    }
}
