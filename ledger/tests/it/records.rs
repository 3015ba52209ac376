//! The encoding as a law: everything round-trips, everything else is refused, and no byte of a
//! record can change without making it another record.

use crate::vectors::build::{items, receipts};
use crate::vectors::{json, trust, world};
use hundi_ledger::record::item::Item;
use std::collections::BTreeMap;

mod generate;
mod laws;

/// Masks that change a byte: every bit alone, and all.
const MASKS: [u8; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 255];

fn samples() -> Vec<(String, Item)> {
    let network = world::network().id();
    let mut samples: Vec<(String, Item)> =
        items(&network).into_iter().map(|(name, item)| (name.to_owned(), item)).collect();
    let receipts = receipts(&network).into_iter().enumerate();
    samples.extend(receipts.map(|(at, item)| (format!("receipt {at}"), item)));
    samples
}

#[test]
fn every_changed_byte_is_refused_or_another_record() {
    let (network, trust) = (world::network().id(), trust());
    let mut counts: BTreeMap<&str, [u32; 3]> = BTreeMap::new();
    for (name, item) in samples() {
        let bytes = item.encode();
        let count = counts.entry(json::item(&item).0).or_default();
        for at in 0..bytes.len() {
            for mask in MASKS {
                let mut changed = bytes.clone();
                changed[at] ^= mask;
                let Ok(other) = Item::decode(&network, &changed) else {
                    count[0] += 1;
                    continue;
                };
                assert_eq!(other.encode(), changed, "{name}: byte {at} has two spellings");
                assert_ne!(other, item, "{name}: byte {at} means nothing");
                count[1] += 1;
                count[2] += u32::from(other.id() == item.id());
                // Nobody signed this: a third of the masks are enough for the costly check.
                if [1, 128, 255].contains(&mask) {
                    assert!(trust.verify(other).is_err(), "{name}: byte {at} is not covered");
                }
            }
        }
    }
    for (kind, [refused, other, signature]) in counts {
        println!(
            "{kind}: {refused} refused, {other} another record, of these {signature} in the signature"
        );
        assert!(other > 0, "some changed byte of every kind still decodes");
        // Ids never cover signatures: only their 64 or 128 bytes leave the id as it was.
        assert!(signature > 0);
    }
}

#[test]
fn every_cut_and_every_added_byte_is_refused_or_another_record() {
    let (network, trust) = (world::network().id(), trust());
    for (name, item) in samples() {
        let bytes = item.encode();
        let mut others: Vec<Vec<u8>> = (0..bytes.len()).map(|end| bytes[..end].to_vec()).collect();
        others.extend([0, 1, 255].map(|byte| [&bytes[..], &[byte]].concat()));
        for other in others {
            match Item::decode(&network, &other) {
                Err(_) => {}
                // An entry's body runs to the end of the item: another body, another entry.
                Ok(Item::Entry(entry)) => {
                    assert!(matches!(item, Item::Entry(_)), "{name}");
                    assert_ne!(entry.id(), item.id(), "{name}");
                    assert!(trust.verify(Item::Entry(entry)).is_err(), "{name}");
                }
                Ok(_) => panic!("{name} taken at {} of {} bytes", other.len(), bytes.len()),
            }
        }
    }
}

#[test]
fn sizes_are_those_of_the_design() {
    let mut sizes = BTreeMap::new();
    for (name, item) in samples() {
        let length = item.encode().len();
        match &item {
            Item::Proof(_) => assert_eq!(length, 338, "a proof is at most 352 bytes"),
            Item::Receipt(_) => assert_eq!(length, 239),
            Item::Freeze(_) => assert_eq!(length, 107),
            Item::Bulletin(_) => assert_eq!(length, 146),
            _ => {}
        }
        sizes.insert(format!("{} {name}", json::item(&item).0), length);
    }
    let payment = sizes["entry payment with a memo of 16 bytes"];
    println!("payment with a memo of 16 bytes: {payment} bytes as an item");
    assert_eq!(payment, 282, "at most 288 on the wire");
    assert_eq!(sizes["grant spending"], 219);
}
