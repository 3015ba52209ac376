//! The reader of a store's segment files, against damage that somebody chose.

use hundi_node::store::{Barrier, Store, StoreOptions, Write};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Subject and key.
type Place = (Vec<u8>, Vec<u8>);

/// A sound store's files, and every value that it ever held by place.
struct Sound {
    files: Vec<(PathBuf, Vec<u8>)>,
    values: BTreeMap<Place, BTreeSet<Vec<u8>>>,
}

fn options(salvage: bool) -> StoreOptions {
    StoreOptions {
        barrier: Barrier::Off,
        cache_bytes: 1024 * 1024,
        segment_bytes: 16 * 1024,
        salvage,
        ..StoreOptions::default()
    }
}

fn sound() -> &'static Sound {
    static SOUND: OnceLock<Sound> = OnceLock::new();
    SOUND.get_or_init(|| make().unwrap_or_else(|error| panic!("{error}")))
}

fn make() -> Result<Sound, Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let mut values: BTreeMap<Place, BTreeSet<Vec<u8>>> = BTreeMap::new();
    {
        let (store, _) = Store::open(directory.path(), options(false))?;
        for at in 0..12u8 {
            let (subject, key) = (vec![at % 3], vec![at % 5]);
            let value = vec![at; usize::from(at) * 40];
            values.entry((subject.clone(), key.clone())).or_default().insert(value.clone());
            let put = Write::Put { subject: subject.clone(), key, value };
            let other = Write::Delete { subject, key: vec![(at + 1) % 5] };
            store.commit(&[put, other])?;
        }
    }
    let mut files = Vec::new();
    collect(directory.path(), directory.path(), &mut files)?;
    files.sort();
    Ok(Sound { files, values })
}

/// The segment files under `directory`, by their path from `root`.
fn collect(
    root: &Path,
    directory: &Path,
    files: &mut Vec<(PathBuf, Vec<u8>)>,
) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "segment") {
            let name = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
            files.push((name, std::fs::read(&path)?));
        }
    }
    Ok(())
}

/// The first byte: bit 0 salvage. Then edits of 4 bytes: which file, offset (u16, scaled), what to
/// write; 255 as the file cuts there. The index is missing, so that every byte is read. Whatever
/// opens shows only values that were written under that key.
pub(crate) fn store(bytes: &[u8]) {
    let Some((first, edits)) = bytes.split_first() else { return };
    let sound = sound();
    let mut files = sound.files.clone();
    for edit in edits.as_chunks::<4>().0.iter().take(16) {
        let count = files.len();
        let (_, content) = &mut files[usize::from(edit[0] & 0x7f) % count];
        let offset = usize::from(u16::from_le_bytes([edit[1], edit[2]]));
        let at = offset % (content.len() + 1);
        if edit[0] == 255 {
            content.truncate(at);
        } else if let Some(byte) = content.get_mut(at) {
            *byte ^= edit[3];
        }
    }
    let Ok(directory) = tempfile::tempdir() else { return };
    for (name, content) in &files {
        let path = directory.path().join(name);
        let made = path.parent().map(std::fs::create_dir_all);
        assert!(made.is_some_and(|made| made.is_ok()) && std::fs::write(&path, content).is_ok());
    }
    let Ok((store, _)) = Store::open(directory.path(), options(first & 1 == 1)) else { return };
    let mut seen = 0;
    let visited = store.for_each(|subject, key, value| {
        seen += 1;
        let known = sound.values.get(&(subject.to_vec(), key.to_vec()));
        assert!(known.is_some_and(|known| known.contains(value)), "a value never written");
    });
    assert!(visited.is_ok() || files != sound.files);
    if files == sound.files {
        assert!(seen > 0, "a sound store opens whole");
    }
}

/// Untouched, cut, and one byte changed; both ways of opening.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let edits: [&[u8]; 4] = [&[], &[255, 0, 2, 0], &[0, 90, 0, 1], &[0, 90, 1, 0x80, 1, 9, 0, 4]];
    let both = edits.iter().flat_map(|edits| [0, 1].map(|mode| [&[mode], *edits].concat()));
    both.collect()
}
