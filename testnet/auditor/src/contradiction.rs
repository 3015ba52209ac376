//! The section "Contradictions" of the protocol, clause by clause.

use crate::records::{CLOSE, SignedHeader};

/// Whether two headers cannot both be honest.
pub fn contradict(one: &SignedHeader, other: &SignedHeader) -> bool {
    let (a, b) =
        if one.header.sequence <= other.header.sequence { (one, other) } else { (other, one) };
    let (first, second) = (&a.header, &b.header);
    if first.author != second.author || first.is_document() != second.is_document() {
        return false;
    }
    // 1
    if first.sequence == second.sequence {
        return a.id != b.id;
    }
    let same_serial = first.serial == second.serial;
    // 2
    if first.serial > second.serial {
        return true;
    }
    // 3
    if same_serial && first.spent_total > second.start() {
        return true;
    }
    // 4
    if same_serial && first.kind == CLOSE {
        return true;
    }
    if second.sequence - first.sequence != 1 {
        return false;
    }
    // 5
    if second.previous != a.id {
        return true;
    }
    // 6
    second.start() != if same_serial { first.spent_total } else { 0 }
}

/// Two of these headers that contradict each other, if any do.
///
/// Neighbours in the order of sequence numbers suffice: if no neighbours contradict each other, serials
/// ascend, totals ascend within a serial and a close is the last of its serial, so that no others do.
pub fn find<'a>(
    headers: impl IntoIterator<Item = &'a SignedHeader>,
) -> Option<[&'a SignedHeader; 2]> {
    let mut sorted: Vec<&SignedHeader> = headers.into_iter().collect();
    sorted.sort_unstable_by_key(|one| {
        (one.header.author, one.header.is_document(), one.header.sequence, one.id)
    });
    sorted.dedup_by_key(|one| one.id);
    let pair = sorted.windows(2).find(|pair| contradict(pair[0], pair[1]))?;
    Some([pair[0], pair[1]])
}
