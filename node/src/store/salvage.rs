//! Salvage: opening what can be read of a damaged store, so that it can be copied into a new one. Writes nothing but an
//! index of its own, which the next ordinary opening removes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use super::barrier::{Barrier, DurableSled};
use super::codec::Record;
use super::error::{Failure, OpenError};
use super::open::{Damage, IndexState, OpenReport, assemble, remove_directory, sled_config};
use super::replay::{Segments, Sums, beginning, replay};
use super::segment::{Segment, Step, list_segments, segment_path};
use super::{Store, StoreOptions};

/// Opens what can be read, with an index of its own beside the store's; changes no file of the store.
pub(super) fn salvage(
    dir: &Path,
    segments_dir: &Path,
    options: StoreOptions,
    lock: File,
) -> Result<(Store, OpenReport), OpenError> {
    let index_dir = dir.join("salvage-index");
    remove_directory(&index_dir)?;
    let index = DurableSled::open(sled_config(&options), &index_dir, Barrier::Off)?;
    let mut damage = Vec::new();
    let mut segments = Segments::new();
    for id in list_segments(segments_dir, false)? {
        match Segment::open(segments_dir, id, false) {
            Ok(segment) => drop(segments.insert(id, Arc::new(segment))),
            Err(OpenError::Corrupt { path, offset, .. }) => {
                let bytes = fs::metadata(&path).map_err(Failure::at("read", &path))?.len();
                damage.push(Damage { path, offset, bytes });
            }
            Err(error) => return Err(error),
        }
    }
    let Some(head) = segments.values().next_back().cloned() else {
        return Err(OpenError::Missing { path: segment_path(segments_dir, 1) });
    };
    let mut retired = BTreeSet::new();
    let mut walk = head.walk(head.start(), head.header.first_sequence);
    loop {
        match walk.step()? {
            Step::End => break,
            Step::Broken => {
                if !walk.resynchronise()? {
                    break;
                }
            }
            Step::Frame(frame) => {
                let visit = |_, record: Record<'_>| -> Result<(), Failure> {
                    retired.extend(record.retired());
                    Ok(())
                };
                frame.records(visit)?;
            }
        }
    }
    segments.retain(|id, _| {
        *id == head.id() || head.header.older.contains(id) && !retired.contains(id)
    });
    for id in
        head.header.older.iter().filter(|id| !retired.contains(id) && !segments.contains_key(id))
    {
        let path = segment_path(segments_dir, *id);
        if !damage.iter().any(|damage| damage.path == path) {
            damage.push(Damage { path, offset: 0, bytes: 0 });
        }
    }
    let mut sums = Sums::default();
    let mut damage = Some(damage);
    let (meta, _) = replay(&index, beginning(&segments), &segments, &mut sums, &mut damage)?;
    let report = OpenReport {
        created: false,
        index: IndexState::Rebuilt { reason: "salvage never uses the old one" },
        torn_bytes: 0,
        damage: damage.unwrap_or_default(),
    };
    Ok((
        assemble(dir, segments_dir.to_path_buf(), options, lock, index, segments, head, meta, sums),
        report,
    ))
}
