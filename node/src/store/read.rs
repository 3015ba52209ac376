//! Reading many values at once. The index says where each lies; places that lie close together are read with one call
//! to the operating system, and what lies between is not read where it is long: an author's items were written
//! together, and the engine's own state lies in small pieces between everybody's items.

use std::sync::{Arc, PoisonError};

use super::codec::Record;
use super::index::{self, Item};
use super::segment::Segment;
use super::{ReadError, Store, Values, read_item};

/// Bytes between two places that are read along with them: about what a second call would cost.
const GAP_BYTES_MAX: u64 = 8 * 1024;
/// Bytes that one call reads at most, unless a single record is longer.
const RUN_BYTES_MAX: u64 = 1024 * 1024;

/// Where a record lies: segment, offset, bytes.
type Place = (u64, u64, usize);

impl Store {
    /// Every key of a subject with its value, ascending by key.
    pub fn values(&self, subject: &[u8]) -> Result<Values, ReadError> {
        let mut items = Vec::new();
        for page in index::pages(self.index.db(), Some(subject)) {
            let (_, page, _) = page.map_err(|error| self.index_error(error))?;
            items.extend(page.items.into_iter().filter(|item| item.deleted.is_none()));
        }
        items.sort_unstable_by_key(|item| (item.segment, item.offset));
        let places: Vec<Place> = items.iter().map(|item| place(subject, item)).collect();
        let mut values = Values::with_capacity(items.len());
        let mut items = items.into_iter();
        let segment = |id| self.segment(id);
        read_places(&places, segment, |_, found| {
            let Some(item) = items.next() else { return Ok(()) };
            let record =
                found.and_then(|(segment, bytes)| read_item(segment, subject, &item, bytes));
            let value = match record {
                Some(record) => Some(record.value.to_vec()),
                // Moved by compaction or changed since the page was read, or damaged: asked alone.
                None => self.get(subject, &item.key)?,
            };
            values.extend(value.map(|value| (item.key, value)));
            Ok(())
        })?;
        values.sort_unstable();
        Ok(values)
    }

    /// Calls `visit(subject, key, value)` once for everything in the store at one moment between two batches, in the
    /// order in which it lies on disk: the fastest way to read it all. The order means nothing else. A damaged
    /// record ends it with an error; in salvage mode it is left out ([`Store::check`] names it).
    pub fn for_each(&self, visit: impl FnMut(&[u8], &[u8], &[u8])) -> Result<(), ReadError> {
        self.visit(None, visit)
    }

    /// [`Store::for_each`], of one subject: `visit(key, value)`.
    pub fn for_each_of(
        &self,
        subject: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), ReadError> {
        self.visit(Some(subject), |_, key, value| visit(key, value))
    }

    fn visit(
        &self,
        subject: Option<&[u8]>,
        mut visit: impl FnMut(&[u8], &[u8], &[u8]),
    ) -> Result<(), ReadError> {
        let (segments, mut places) = {
            let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let mut places: Vec<Place> = Vec::new();
            let look = index::each_item(self.index.db(), subject, |subject, item| {
                if item.deleted.is_none() {
                    places.push(place(subject, item));
                }
            });
            look.map_err(|error| self.index_error(error))?;
            (self.segments.read().unwrap_or_else(PoisonError::into_inner).clone(), places)
        };
        places.sort_unstable();
        let segment = |id: u64| segments.get(&id).cloned();
        read_places(&places, segment, |&(id, offset, _), found| {
            let record = found
                .and_then(|(segment, bytes)| Record::decode(&segment.header.key, offset, bytes));
            match (record, segments.get(&id)) {
                (Some(record), _) => visit(record.subject, record.key, record.value),
                (None, None) => {
                    return Err(ReadError::IndexCorrupt { path: self.index.dir().to_path_buf() });
                }
                (None, Some(_)) if self.options.salvage => {}
                (None, Some(segment)) => {
                    return Err(ReadError::Corrupt { path: segment.path.clone(), offset });
                }
            }
            Ok(())
        })
    }
}

fn place<K: AsRef<[u8]>>(subject: &[u8], item: &Item<K>) -> Place {
    (item.segment, item.offset, index::item_bytes(subject, item) as usize)
}

fn end(place: &Place) -> u64 {
    place.1 + place.2 as u64
}

/// How many of these places, which ascend, one call reads.
fn run(places: &[Place]) -> usize {
    let mut count = 1;
    while let (Some(first), Some(last), Some(next)) =
        (places.first(), places.get(count - 1), places.get(count))
        && next.0 == first.0
        && next.1.saturating_sub(end(last)) <= GAP_BYTES_MAX
        && end(next).saturating_sub(first.1) <= RUN_BYTES_MAX
    {
        count += 1;
    }
    count
}

/// Calls `visit` with every place, in order, and with its segment and bytes where they are there.
fn read_places(
    mut places: &[Place],
    segment: impl Fn(u64) -> Option<Arc<Segment>>,
    mut visit: impl FnMut(&Place, Option<(&Segment, &[u8])>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut held: Option<Arc<Segment>> = None;
    while let Some(&(id, start, _)) = places.first() {
        if held.as_ref().is_none_or(|held| held.id() != id) {
            held = segment(id);
        }
        let (now, later) = places.split_at(run(places));
        let bytes = now.iter().map(end).max().unwrap_or(start) - start;
        let read = held.as_ref().map(|held| held.read(start, bytes as usize)).transpose()?;
        match (read.flatten(), &held) {
            (Some(read), Some(held)) => {
                for place in now {
                    let from = (place.1 - start) as usize;
                    let bytes = read.get(from..from + place.2);
                    visit(place, bytes.map(|bytes| (&**held, bytes)))?;
                }
            }
            // The file ends within: what lies before its end can be read alone.
            (_, Some(held)) if now.len() > 1 => {
                for place in now {
                    let read = held.read(place.1, place.2)?;
                    visit(place, read.as_deref().map(|bytes| (&**held, bytes)))?;
                }
            }
            _ => now.iter().try_for_each(|place| visit(place, None))?,
        }
        places = later;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_close_together_is_one_run() {
        let gap = GAP_BYTES_MAX;
        assert_eq!(run(&[(1, 0, 10)]), 1);
        assert_eq!(run(&[(1, 0, 10), (1, 10, 5), (1, 15 + gap, 1), (1, 17 + 2 * gap, 1)]), 3);
        assert_eq!(run(&[(1, 0, 10), (2, 10, 5)]), 1);
        let far = RUN_BYTES_MAX as usize;
        assert_eq!(run(&[(1, 0, far - 1), (1, far as u64 - 1, 1), (1, far as u64, 1)]), 2);
        assert_eq!(run(&[(1, 0, 2 * far), (1, 2 * far as u64, 1)]), 1);
    }
}
