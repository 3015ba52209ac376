//! The index in sled: one packed record (a page) per subject, naming where each of its keys lies in the segments, and
//! one record that says up to which batch the index has come. Both are written in one sled batch, so that sled
//! recovers to a moment between two batches. A subject with many keys is split into pages by key. The index is
//! derived: whatever is wrong with it, `open.rs` builds it anew from the segments.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::panic::resume_unwind;
use std::thread;

use super::codec::record_bytes;
use super::limits::{KEY_BYTES_MAX, PAGE_BYTES_MAX, SUBJECT_BYTES_MAX};

const META_KEY: &[u8] = b"m";
const PAGE_PREFIX: u8 = b's';
const META_VERSION: u8 = 1;
const TAG_BYTES: usize = 8;
/// Pages that are handed to another thread at once: some megabytes.
const PAGES_IN_RUN: usize = 1_024;

/// Where one key lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item<Key = Vec<u8>> {
    pub(super) key: Key,
    /// The oldest segment that may still hold a value of this key. A delete has to be kept while one does, or a
    /// rebuild would bring that value back.
    pub(super) first: u64,
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) value_bytes: usize,
    /// For a delete: the newest segment that may hold a value of this key.
    pub(super) deleted: Option<u64>,
}

/// The items of one subject, or of a range of its keys, ascending by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) items: Vec<Item>,
}

fn tag(key: &[u8], content: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key).update(content);
    let mut first = [0; TAG_BYTES];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..TAG_BYTES]);
    u64::from_le_bytes(first)
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take_bytes<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

impl Page {
    fn encode(&self, page_key: &[u8]) -> (Vec<u8>, u64) {
        let mut out = Vec::new();
        for item in &self.items {
            out.push(item.key.len() as u8 | if item.deleted.is_some() { 0x80 } else { 0 });
            out.extend_from_slice(&item.key);
            put_number(&mut out, item.segment);
            put_number(&mut out, item.segment.wrapping_sub(item.first));
            put_number(&mut out, item.offset);
            match item.deleted {
                None => put_number(&mut out, item.value_bytes as u64),
                Some(last) => put_number(&mut out, item.segment.wrapping_sub(last)),
            }
        }
        let tag = tag(page_key, &out);
        out.extend_from_slice(&tag.to_le_bytes());
        (out, tag)
    }

    /// The page and its tag, if the tag holds.
    pub(super) fn decode(page_key: &[u8], bytes: &[u8]) -> Option<(Page, u64)> {
        let mut items = Vec::new();
        let tag = decode_items(page_key, bytes, |item| {
            let Item { key, first, segment, offset, value_bytes, deleted } = item;
            items.push(Item { key: key.to_vec(), first, segment, offset, value_bytes, deleted });
        })?;
        Some((Page { items }, tag))
    }

    /// The item of a key, deletes included.
    pub(super) fn find(&self, key: &[u8]) -> Option<&Item> {
        let at = self.items.binary_search_by(|item| item.key.as_slice().cmp(key)).ok()?;
        self.items.get(at)
    }
}

/// Calls `visit` with every item of a page and returns the page's tag, if the tag holds.
fn decode_items<'a>(
    page_key: &[u8],
    bytes: &'a [u8],
    mut visit: impl FnMut(Item<&'a [u8]>),
) -> Option<u64> {
    let (mut content, stated) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
    let stated = u64::from_le_bytes(stated.try_into().ok()?);
    if tag(page_key, content) != stated {
        return None;
    }
    while !content.is_empty() {
        let head = take_bytes(&mut content, 1)?[0];
        let key = take_bytes(&mut content, usize::from(head & 0x7f))?;
        let segment = take_number(&mut content)?;
        let first = segment.wrapping_sub(take_number(&mut content)?);
        let offset = take_number(&mut content)?;
        let last = take_number(&mut content)?;
        let (value_bytes, deleted) = match head & 0x80 {
            0 => (usize::try_from(last).ok()?, None),
            _ => (0, Some(segment.wrapping_sub(last))),
        };
        visit(Item { key, first, segment, offset, value_bytes, deleted });
    }
    Some(stated)
}

/// The bytes of an item's record in its segment.
pub(super) fn item_bytes<Key: AsRef<[u8]>>(subject: &[u8], item: &Item<Key>) -> u64 {
    record_bytes(subject.len(), item.key.as_ref().len(), item.value_bytes) as u64
}

/// sled's key of the page of `subject` that starts at `lower`.
pub(super) fn page_key(subject: &[u8], lower: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 + subject.len() + lower.len());
    key.push(PAGE_PREFIX);
    key.push(subject.len() as u8);
    key.extend_from_slice(subject);
    key.extend_from_slice(lower);
    key
}

/// The subject of a page, from sled's key.
pub(super) fn page_subject(page_key: &[u8]) -> Option<&[u8]> {
    let (&[prefix, length], rest) = page_key.split_first_chunk::<2>()?;
    let length = usize::from(length);
    if prefix != PAGE_PREFIX || length > SUBJECT_BYTES_MAX || rest.len() > length + KEY_BYTES_MAX {
        return None;
    }
    rest.get(..length)
}

/// How far the index has come, and what it should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    /// The segment that holds the end of the last batch indexed.
    pub(super) segment: u64,
    /// Where that batch ends, bytes.
    pub(super) offset: u64,
    /// Sequence number of the next batch.
    pub(super) next_sequence: u64,
    /// Live items.
    pub(super) items: u64,
    /// Sum of the tags of all pages: a page that sled lost or kept too long shows.
    pub(super) fingerprint: u64,
}

impl Meta {
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![META_VERSION];
        for number in [self.segment, self.offset, self.next_sequence, self.items, self.fingerprint]
        {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let tag = tag(META_KEY, &out);
        out.extend_from_slice(&tag.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Meta> {
        let mut numbers = [0u64; 5];
        for (number, chunk) in numbers.iter_mut().zip(bytes.get(1..41)?.chunks_exact(8)) {
            *number = u64::from_le_bytes(chunk.try_into().ok()?);
        }
        let [segment, offset, next_sequence, items, fingerprint] = numbers;
        let meta = Meta { segment, offset, next_sequence, items, fingerprint };
        (meta.encode() == bytes).then_some(meta)
    }

    /// Reads it from sled: `None` if there is none or it is damaged.
    pub(super) fn load(db: &sled::Db) -> Result<Option<Meta>, sled::Error> {
        Ok(db.get(META_KEY)?.and_then(|bytes| Meta::decode(&bytes)))
    }
}

/// Why the index could not be read.
#[derive(Debug)]
pub(super) enum IndexError {
    Damaged,
    Sled(sled::Error),
}

impl From<sled::Error> for IndexError {
    fn from(error: sled::Error) -> Self {
        IndexError::Sled(error)
    }
}

/// All pages, or those of one subject.
pub(super) fn pages(
    db: &sled::Db,
    subject: Option<&[u8]>,
) -> impl Iterator<Item = Result<(sled::IVec, Page, u64), IndexError>> + use<> {
    let prefix = subject.map_or_else(|| vec![PAGE_PREFIX], |subject| page_key(subject, &[]));
    db.scan_prefix(prefix).map(|entry| {
        let (key, bytes) = entry?;
        page_subject(&key).ok_or(IndexError::Damaged)?;
        let (page, tag) = Page::decode(&key, &bytes).ok_or(IndexError::Damaged)?;
        Ok((key, page, tag))
    })
}

/// Calls `visit(subject, item)` for everything, or everything of one subject, and returns the sum of the pages' tags:
/// [`pages`] without a copy of each.
pub(super) fn each_item(
    db: &sled::Db,
    subject: Option<&[u8]>,
    mut visit: impl FnMut(&[u8], &Item<&[u8]>),
) -> Result<u64, IndexError> {
    let prefix = subject.map_or_else(|| vec![PAGE_PREFIX], |subject| page_key(subject, &[]));
    let mut tags = 0u64;
    for entry in db.scan_prefix(prefix) {
        let (key, bytes) = entry?;
        tags = tags.wrapping_add(each_item_of_page(&key, &bytes, &mut visit)?);
    }
    Ok(tags)
}

/// [`each_item`] of everything; while a run of pages is read, another thread visits the one before: reading takes about
/// as long as checking, and whoever starts a device waits for both.
pub(super) fn each_item_beside(
    db: &sled::Db,
    mut visit: impl FnMut(&[u8], &Item<&[u8]>) + Send,
) -> Result<u64, IndexError> {
    let mut pages = db.scan_prefix([PAGE_PREFIX]);
    let mut read = || pages.by_ref().take(PAGES_IN_RUN).collect::<Result<Vec<_>, _>>();
    let mut tags = 0u64;
    let mut run = read()?;
    while !run.is_empty() {
        let visit_run = || {
            let page =
                |(key, bytes): &(sled::IVec, sled::IVec)| each_item_of_page(key, bytes, &mut visit);
            run.iter()
                .map(page)
                .try_fold(0u64, |tags, tag| Ok::<_, IndexError>(tags.wrapping_add(tag?)))
        };
        let (next, visited) = thread::scope(|scope| {
            let visiting = scope.spawn(visit_run);
            let next = read();
            (next, visiting.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        tags = tags.wrapping_add(visited?);
        run = next?;
    }
    Ok(tags)
}

/// Calls `visit(subject, item)` for everything on a page and returns its tag.
fn each_item_of_page(
    key: &[u8],
    bytes: &[u8],
    mut visit: impl FnMut(&[u8], &Item<&[u8]>),
) -> Result<u64, IndexError> {
    let subject = page_subject(key).ok_or(IndexError::Damaged)?;
    let tag = decode_items(key, bytes, |item| visit(subject, &item));
    tag.ok_or(IndexError::Damaged)
}

/// The page that a key belongs to, if there is one.
pub(super) fn find_page(
    db: &sled::Db,
    subject: &[u8],
    key: &[u8],
) -> Result<Option<(sled::IVec, Page, u64)>, IndexError> {
    let range = page_key(subject, &[])..=page_key(subject, key);
    let Some(entry) = db.range(range).next_back() else { return Ok(None) };
    let (key, bytes) = entry?;
    let (page, tag) = Page::decode(&key, &bytes).ok_or(IndexError::Damaged)?;
    Ok(Some((key, page, tag)))
}

/// Changes to the index that belong to one batch (or, at a replay, to a run of them).
pub(super) struct Draft<'a> {
    db: &'a sled::Db,
    /// Page and the tag it has in sled (0 if it is new).
    pages: BTreeMap<Vec<u8>, (Page, u64)>,
    changed: bool,
    items_delta: i64,
    /// Change of the bytes in use, per segment, values and deletes together.
    pub(super) used_delta: BTreeMap<u64, i64>,
    /// Change of the bytes in deletes.
    pub(super) deletes_delta: i64,
}

impl<'a> Draft<'a> {
    pub(super) fn new(db: &'a sled::Db) -> Draft<'a> {
        Draft {
            db,
            pages: BTreeMap::new(),
            changed: false,
            items_delta: 0,
            used_delta: BTreeMap::new(),
            deletes_delta: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.pages.len()
    }

    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    fn page(&mut self, subject: &[u8], key: &[u8]) -> Result<&mut Page, IndexError> {
        // Pages are split only in `finish`, so the page that sled names is the right one within this draft too.
        let range = page_key(subject, &[])..=page_key(subject, key);
        let (at, bytes) = match self.db.range(range).next_back() {
            Some(found) => found.map(|(at, bytes)| (at.to_vec(), Some(bytes)))?,
            None => (page_key(subject, &[]), None),
        };
        match self.pages.entry(at) {
            Entry::Occupied(entry) => Ok(&mut entry.into_mut().0),
            Entry::Vacant(entry) => {
                let loaded = match bytes {
                    Some(bytes) => Page::decode(entry.key(), &bytes).ok_or(IndexError::Damaged)?,
                    None => (Page::default(), 0),
                };
                Ok(&mut entry.insert(loaded).0)
            }
        }
    }

    /// The item of a key with the changes made so far, deletes included.
    pub(super) fn get(&mut self, subject: &[u8], key: &[u8]) -> Result<Option<Item>, IndexError> {
        Ok(self.page(subject, key)?.find(key).cloned())
    }

    /// Whether the key has a value with the changes made so far.
    pub(super) fn is_live(&mut self, subject: &[u8], key: &[u8]) -> Result<bool, IndexError> {
        Ok(self.get(subject, key)?.is_some_and(|item| item.deleted.is_none()))
    }

    fn set(&mut self, subject: &[u8], key: &[u8], item: Option<Item>) -> Result<(), IndexError> {
        let page = self.page(subject, key)?;
        let at = page.items.binary_search_by(|item| item.key.as_slice().cmp(key));
        let old = match (at, item.clone()) {
            (Ok(at), Some(item)) => Some(std::mem::replace(&mut page.items[at], item)),
            (Ok(at), None) => Some(page.items.remove(at)),
            (Err(at), Some(item)) => {
                page.items.insert(at, item);
                None
            }
            (Err(_), None) => None,
        };
        self.changed |= old != item;
        for (item, sign) in
            old.iter().map(|item| (item, -1)).chain(item.iter().map(|item| (item, 1)))
        {
            let bytes = sign * item_bytes(subject, item) as i64;
            *self.used_delta.entry(item.segment).or_default() += bytes;
            match item.deleted {
                Some(_) => self.deletes_delta += bytes,
                None => self.items_delta += sign,
            }
        }
        Ok(())
    }

    /// A value of `value_bytes` was written (or copied) to `offset` of `segment`.
    pub(super) fn put(
        &mut self,
        subject: &[u8],
        key: &[u8],
        segment: u64,
        offset: u64,
        value_bytes: usize,
    ) -> Result<(), IndexError> {
        let first = self.get(subject, key)?.map_or(segment, |old| old.first);
        let item = Item { key: key.to_vec(), first, segment, offset, value_bytes, deleted: None };
        self.set(subject, key, Some(item))
    }

    /// A delete was written (or copied) to `offset` of `segment`.
    pub(super) fn delete(
        &mut self,
        subject: &[u8],
        key: &[u8],
        segment: u64,
        offset: u64,
    ) -> Result<(), IndexError> {
        // Without an item no segment holds a value, and there is nothing to keep down.
        let Some(old) = self.get(subject, key)? else { return Ok(()) };
        let deleted = Some(old.deleted.unwrap_or(old.segment));
        let item =
            Item { key: key.to_vec(), first: old.first, segment, offset, value_bytes: 0, deleted };
        self.set(subject, key, Some(item))
    }

    /// Drops a delete that no longer keeps anything down.
    pub(super) fn forget(&mut self, subject: &[u8], key: &[u8]) -> Result<(), IndexError> {
        self.set(subject, key, None)
    }

    /// The sled batch, one record per page, and the new meta record. `meta` states how far the index will have come.
    pub(super) fn finish(&mut self, mut meta: Meta) -> (sled::Batch, Meta) {
        let mut batch = sled::Batch::default();
        for (key, (page, old_tag)) in std::mem::take(&mut self.pages) {
            meta.fingerprint = meta.fingerprint.wrapping_sub(old_tag);
            if page.items.is_empty() {
                batch.remove(key);
                continue;
            }
            for (key, page) in split(key, page) {
                let (bytes, tag) = page.encode(&key);
                meta.fingerprint = meta.fingerprint.wrapping_add(tag);
                batch.insert(key, bytes);
            }
        }
        meta.items = meta.items.saturating_add_signed(self.items_delta);
        self.items_delta = 0;
        batch.insert(META_KEY, meta.encode());
        (batch, meta)
    }
}

/// Splits a page that has grown too long into pieces; each new one starts at its own first key.
fn split(key: Vec<u8>, mut page: Page) -> Vec<(Vec<u8>, Page)> {
    let bytes = |page: &Page| page.items.iter().map(|item| item.key.len() + 12).sum::<usize>();
    if page.items.len() < 2 || bytes(&page) <= PAGE_BYTES_MAX {
        return vec![(key, page)];
    }
    let upper = Page { items: page.items.split_off(page.items.len() / 2) };
    let subject = page_subject(&key).unwrap_or_default();
    let upper_key = page_key(subject, &upper.items[0].key);
    let mut pieces = split(key, page);
    pieces.extend(split(upper_key, upper));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_round_trips_and_is_bound_to_its_key() {
        let item = |key: &[u8], deleted| Item {
            key: key.to_vec(),
            first: 3,
            segment: 300,
            offset: 1 << 29,
            value_bytes: if deleted { 0 } else { 65_536 },
            deleted: deleted.then_some(200),
        };
        let page = Page { items: vec![item(b"", false), item(&[9; 64], true)] };
        let (bytes, tag) = page.encode(b"sk");
        assert_eq!(Page::decode(b"sk", &bytes), Some((page, tag)));
        assert_eq!(Page::decode(b"sl", &bytes), None);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Page::decode(b"sk", &damaged), None, "bit {bit}");
        }
    }

    #[test]
    fn a_long_page_is_split_in_order() {
        let item = |n: u32| Item {
            key: n.to_be_bytes().to_vec(),
            first: 1,
            segment: 1,
            offset: 0,
            value_bytes: 0,
            deleted: None,
        };
        let items: Vec<_> = (0..1000).map(item).collect();
        let pieces = split(page_key(b"subject", b""), Page { items: items.clone() });
        assert!(pieces.len() > 4 && pieces.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(pieces.into_iter().flat_map(|(_, page)| page.items).collect::<Vec<_>>(), items);
    }
}
