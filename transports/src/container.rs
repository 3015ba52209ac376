//! The file container: items carried by hand, on a stick or as an attachment.
//!
//! A file is a header, items that each carry a checksum chained to everything before, and a
//! trailer that counts them. A file that was cut or damaged gives up its intact prefix and says
//! where it stops. The checksum finds accidents, not forgers: items prove themselves. What an item
//! means is left to the caller.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use thiserror::Error;

use crate::limits::{FILE_BYTES_MAX, FILE_ITEMS_MAX, ITEM_BYTES_MAX};

/// The first bytes of every file. As in PNG, the high bit and the line end show a transfer that
/// took the file for text.
pub const MAGIC: [u8; 8] = [0x89, b'H', b'U', b'N', b'D', b'I', b'\r', b'\n'];

/// The version that this code writes and reads.
pub const VERSION: u8 = 1;

const HEADER_BYTES: usize = MAGIC.len() + 1;
const CHECK_BYTES: usize = 16;
/// Bytes around an item: its length and its checksum.
const ITEM_OVERHEAD_BYTES: usize = 4 + CHECK_BYTES;
/// A length of zero, the count, a checksum.
const TRAILER_BYTES: usize = 4 + 4 + CHECK_BYTES;

/// What a file held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The intact items, from the first on.
    pub items: Vec<Vec<u8>>,
    /// Whether these are all.
    pub ending: Ending,
}

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With its trailer: every item is there.
    Complete,
    /// It was cut: from offset `at` (in bytes) on nothing whole is there. What came before is intact.
    Truncated {
        /// Where the intact part ends.
        at: usize,
    },
    /// It is damaged from offset `at` (in bytes) on. What came before is intact.
    Corrupt {
        /// Where the intact part ends.
        at: usize,
    },
}

/// Why items were not put into a file. A defect of the caller, or too much for one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// An item is empty or longer than [`ITEM_BYTES_MAX`].
    #[error("item of {bytes} bytes; 1 to {ITEM_BYTES_MAX} are allowed")]
    ItemLength {
        /// Its length.
        bytes: usize,
    },
    /// More than [`FILE_ITEMS_MAX`] items or [`FILE_BYTES_MAX`] bytes: use several files.
    #[error("too much for one file: at most {FILE_ITEMS_MAX} items and {FILE_BYTES_MAX} bytes")]
    FileTooLong,
}

/// Why bytes are not taken for a file at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// They do not begin as a file does.
    #[error("not a hundi file")]
    NotAFile,
    /// A version that this program does not know: a newer program wrote it.
    #[error("hundi file of version {version}; this program reads version {VERSION}")]
    Version {
        /// The version byte.
        version: u8,
    },
    /// More than [`FILE_BYTES_MAX`] bytes.
    #[error("longer than {FILE_BYTES_MAX} bytes")]
    TooLong,
}

/// Why a file was not written. The path holds what it held before.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The items do not fit.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The system refused: no such directory, no permission, disk full.
    #[error("cannot write the file: {0}")]
    Io(#[from] std::io::Error),
}

/// Why a file was not read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The bytes are no file.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The system refused: no such file, no permission.
    #[error("cannot read the file: {0}")]
    Io(#[from] std::io::Error),
}

/// The bytes of a file with these items.
///
/// # Errors
/// [`EncodeError`].
pub fn encode<'a>(items: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::from(MAGIC);
    bytes.push(VERSION);
    let mut check = Check::begin();
    let mut count: u32 = 0;
    for item in items {
        let length = match u32::try_from(item.len()) {
            Ok(length) if (1..=ITEM_BYTES_MAX).contains(&item.len()) => length,
            _ => return Err(EncodeError::ItemLength { bytes: item.len() }),
        };
        let room = FILE_BYTES_MAX - TRAILER_BYTES;
        let full = count as usize >= FILE_ITEMS_MAX;
        if full || bytes.len() + item.len() + ITEM_OVERHEAD_BYTES > room {
            return Err(EncodeError::FileTooLong);
        }
        count += 1;
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(item);
        bytes.extend_from_slice(&check.next(length, item));
    }
    bytes.extend_from_slice(&0_u32.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&check.next(0, &count.to_le_bytes()));
    Ok(bytes)
}

/// Reads the bytes of a file as far as they are intact. Pure; also the entry point for fuzzing.
///
/// # Errors
/// [`DecodeError`] if they do not even begin as a file.
pub fn decode(bytes: &[u8]) -> Result<Contents, DecodeError> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(DecodeError::TooLong);
    }
    let rest = bytes.strip_prefix(&MAGIC).ok_or(DecodeError::NotAFile)?;
    let (version, mut rest) = rest.split_first().ok_or(DecodeError::NotAFile)?;
    if *version != VERSION {
        return Err(DecodeError::Version { version: *version });
    }
    let mut items = Vec::new();
    let mut check = Check::begin();
    let ending = loop {
        let at = bytes.len() - rest.len();
        match next_item(&mut rest, &mut check, items.len()) {
            Next::Item(item) if items.len() < FILE_ITEMS_MAX => items.push(item.to_vec()),
            Next::Trailer if rest.is_empty() => break Ending::Complete,
            Next::Truncated => break Ending::Truncated { at },
            Next::Trailer | Next::Item(_) | Next::Corrupt => break Ending::Corrupt { at },
        }
    };
    Ok(Contents { items, ending })
}

enum Next<'a> {
    Item(&'a [u8]),
    Trailer,
    Truncated,
    Corrupt,
}

fn next_item<'a>(rest: &mut &'a [u8], check: &mut Check, count: usize) -> Next<'a> {
    let Some((length, after)) = rest.split_first_chunk::<4>() else {
        return Next::Truncated;
    };
    let length = u32::from_le_bytes(*length);
    let is_trailer = length == 0;
    let wanted = if is_trailer { 4 } else { length as usize };
    if wanted > ITEM_BYTES_MAX {
        return Next::Corrupt;
    }
    let Some((content, after)) = after.split_at_checked(wanted) else {
        return Next::Truncated;
    };
    let Some((stated, after)) = after.split_first_chunk::<CHECK_BYTES>() else {
        return Next::Truncated;
    };
    if check.next(length, content) != *stated {
        return Next::Corrupt;
    }
    *rest = after;
    if !is_trailer {
        return Next::Item(content);
    }
    let stated = content.first_chunk().map(|count| u32::from_le_bytes(*count) as usize);
    if stated == Some(count) { Next::Trailer } else { Next::Corrupt }
}

/// The chain of checksums: each covers the one before, so nothing can be left out, doubled or
/// moved unnoticed.
struct Check([u8; CHECK_BYTES]);

impl Check {
    fn begin() -> Self {
        Check([0; CHECK_BYTES])
    }

    fn next(&mut self, length: u32, content: &[u8]) -> [u8; CHECK_BYTES] {
        let mut hasher = blake3::Hasher::new_derive_key("hundi 2026 file container v1");
        hasher.update(&self.0);
        hasher.update(&length.to_le_bytes());
        hasher.update(content);
        hasher.finalize_xof().fill(&mut self.0);
        self.0
    }
}

/// Writes a file whole or not at all: into a temporary file beside it, made durable, then renamed
/// over `path`. Blocks.
///
/// # Errors
/// [`WriteError`]; then `path` is what it was before.
pub fn write_file<'a>(
    path: &Path,
    items: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(), WriteError> {
    let bytes = encode(items)?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut temporary = tempfile::NamedTempFile::new_in(directory)?;
    temporary.write_all(&bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    // The new name is durable only when the directory is.
    File::open(directory)?.sync_all()?;
    Ok(())
}

/// Reads a file as far as it is intact. Blocks; reads at most [`FILE_BYTES_MAX`] bytes and one.
///
/// # Errors
/// [`ReadError`].
pub fn read_file(path: &Path) -> Result<Contents, ReadError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(decode(&bytes)?)
}

const _: () = assert!(HEADER_BYTES + ITEM_BYTES_MAX + ITEM_OVERHEAD_BYTES < FILE_BYTES_MAX);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..60), 0..12)
    }

    fn file(items: &[Vec<u8>]) -> Vec<u8> {
        encode(items.iter().map(Vec::as_slice)).unwrap()
    }

    proptest! {
        #[test]
        fn files_come_back(items in items()) {
            let contents = decode(&file(&items)).unwrap();
            prop_assert_eq!(contents, Contents { items, ending: Ending::Complete });
        }

        #[test]
        fn a_cut_file_gives_its_whole_items(items in items(), cut in any::<prop::sample::Index>()) {
            let bytes = file(&items);
            let cut = HEADER_BYTES + cut.index(bytes.len() - HEADER_BYTES);
            let contents = decode(&bytes[..cut]).unwrap();
            let Ending::Truncated { at } = contents.ending else {
                panic!("{:?}", contents.ending);
            };
            prop_assert!(at <= cut);
            prop_assert_eq!(file(&contents.items)[..at].to_vec(), bytes[..at].to_vec());
            prop_assert!(items.starts_with(&contents.items));
        }

        #[test]
        fn a_damaged_byte_is_found_and_the_items_before_it_kept(
            items in items(),
            at in any::<prop::sample::Index>(),
            change in 1_u8..=255,
        ) {
            let mut bytes = file(&items);
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            match decode(&bytes) {
                Err(_) => prop_assert!(at < HEADER_BYTES),
                Ok(contents) => {
                    prop_assert_ne!(contents.ending, Ending::Complete);
                    prop_assert!(items.starts_with(&contents.items));
                    let (Ending::Truncated { at: end } | Ending::Corrupt { at: end }) =
                        contents.ending
                    else {
                        panic!("complete");
                    };
                    prop_assert!(end <= at, "the intact part ends before the damage");
                }
            }
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(&bytes), Err(DecodeError::NotAFile));
            let mut behind_a_header = Vec::from(MAGIC);
            behind_a_header.push(VERSION);
            behind_a_header.extend_from_slice(&bytes);
            let contents = decode(&behind_a_header).unwrap();
            prop_assert!(contents.items.is_empty());
        }
    }

    #[test]
    fn moved_doubled_and_missing_items_are_found() {
        let item = |number: u8| vec![number; 8];
        let bytes = file(&[item(1), item(2), item(3)]);
        let length = 8 + ITEM_OVERHEAD_BYTES;
        let part = |number: usize| {
            let from = HEADER_BYTES + number * length;
            &bytes[from..from + length]
        };
        let trailer = &bytes[HEADER_BYTES + 3 * length..];
        let header = &bytes[..HEADER_BYTES];
        for (parts, intact) in [
            ([part(1), part(0), part(2)].concat(), 0),
            ([part(0), part(0), part(1), part(2)].concat(), 1),
            ([part(0), part(2)].concat(), 1),
            ([part(0), part(1)].concat(), 2),
        ] {
            let contents = decode(&[header, &parts, trailer].concat()).unwrap();
            assert_eq!(contents.items.len(), intact);
            assert!(matches!(contents.ending, Ending::Corrupt { .. }));
        }
    }

    #[test]
    fn limits_are_kept_both_ways() {
        assert_eq!(encode([&b""[..]]), Err(EncodeError::ItemLength { bytes: 0 }));
        let long = vec![0; ITEM_BYTES_MAX + 1];
        let bytes = long.len();
        assert_eq!(encode([long.as_slice()]), Err(EncodeError::ItemLength { bytes }));
        let longest = vec![7; ITEM_BYTES_MAX];
        let contents = decode(&encode([longest.as_slice()]).unwrap()).unwrap();
        assert_eq!(contents.items, std::slice::from_ref(&longest));
        let many = std::iter::repeat_n(longest.as_slice(), FILE_BYTES_MAX / ITEM_BYTES_MAX + 1);
        assert_eq!(encode(many), Err(EncodeError::FileTooLong));
        assert_eq!(decode(&vec![0; FILE_BYTES_MAX + 1]), Err(DecodeError::TooLong));
        let mut extra = file(&[vec![1]]);
        extra.push(0);
        assert!(matches!(decode(&extra).unwrap().ending, Ending::Corrupt { .. }));
        let mut newer = file(&[]);
        newer[8] = 2;
        assert_eq!(decode(&newer), Err(DecodeError::Version { version: 2 }));
    }

    #[test]
    fn files_are_replaced_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("carried.hundi");
        write_file(&path, [&b"one"[..], b"two"]).unwrap();
        assert_eq!(read_file(&path).unwrap().items, [b"one".to_vec(), b"two".to_vec()]);
        assert!(matches!(write_file(&path, [&b""[..]]), Err(WriteError::Encode(_))));
        assert_eq!(read_file(&path).unwrap().items.len(), 2);
        write_file(&path, [&b"three"[..]]).unwrap();
        assert_eq!(read_file(&path).unwrap().items, [b"three".to_vec()]);
        let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file stays");
        let nowhere = directory.path().join("no/such/directory");
        assert!(matches!(write_file(&nowhere, [&b"x"[..]]), Err(WriteError::Io(_))));
        assert!(matches!(read_file(&nowhere), Err(ReadError::Io(_))));
        std::fs::write(&path, b"a letter").unwrap();
        assert!(matches!(read_file(&path), Err(ReadError::Decode(DecodeError::NotAFile))));
    }
}
