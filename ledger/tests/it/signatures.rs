//! Signatures have one verdict everywhere: single and batch agree on every crafted row, whatever
//! stands beside it, and the rows are such that another verifier's do not.

use crate::vectors::crafted::{self, Row, rows};
use crate::vectors::world;
use ed25519_dalek::{Signature as DalekSignature, Verifier as _, VerifyingKey};
use hundi_ledger::id::{Hash, PublicKey, Signature};
use hundi_ledger::record::entry::{Entry, Kind};
use hundi_ledger::sign::{KeyError, SecretKey, Verifier, check_key, verify, verify_batch};
use proptest::prelude::*;

type Triple = (PublicKey, Hash, Signature);

fn triple(row: &Row) -> Triple {
    (row.key, row.message, row.signature)
}

fn honest(n: u8) -> Triple {
    let (key, message) = (SecretKey::from_seed(&[n; 32]), Hash([n; 32]));
    (key.public(), message, key.sign(&message))
}

/// Calls `visit` with every order of `items`.
fn permutations<T: Copy>(items: &mut [T], from: usize, visit: &mut impl FnMut(&[T])) {
    if from == items.len() {
        return visit(items);
    }
    for at in from..items.len() {
        items.swap(from, at);
        permutations(items, from + 1, visit);
        items.swap(from, at);
    }
}

#[test]
fn a_batch_of_one_row_among_neighbours_is_that_rows_verdict() {
    for row in rows() {
        assert_eq!(
            verify(&row.key, &row.message, &row.signature).is_ok(),
            row.valid,
            "{}",
            row.name
        );
        for place in 0..4 {
            let mut items: Vec<Triple> = (1..4).map(honest).collect();
            items.insert(place, triple(&row));
            for seed in 0..4 {
                let batch = verify_batch(&items, [seed; 32]);
                assert_eq!(batch.is_ok(), row.valid, "{} at {place}, seed {seed}", row.name);
            }
        }
    }
}

#[test]
fn a_verifier_that_remembers_a_key_has_the_same_verdict() {
    let rows = rows();
    let mut verifier = Verifier::default();
    for row in &rows {
        // The first finds the point, the second has it, the third finds it again.
        for other in [None, None, Some(honest(1))] {
            if let Some((key, message, signature)) = other {
                assert!(verifier.verify(&key, &message, &signature).is_ok());
            }
            let verdict = verifier.verify(&row.key, &row.message, &row.signature);
            assert_eq!(verdict.is_ok(), row.valid, "{}", row.name);
        }
        // The key that is remembered is not taken for another.
        let (_, message, signature) = honest(2);
        let alone = verify(&row.key, &message, &signature);
        assert_eq!(verifier.verify(&row.key, &message, &signature), alone, "{}", row.name);
    }
}

#[test]
fn what_was_verified_ahead_has_the_same_verdict() {
    for row in rows() {
        let items = [honest(1), triple(&row), honest(2)];
        let mut verifier = Verifier::default();
        verifier.verify_ahead(&items, [7; 32]);
        // Nothing that stood in the batch vouches for another key, message or signature.
        let (key, message, signature) = honest(1);
        assert!(verifier.verify(&honest(2).0, &message, &signature).is_err(), "{}", row.name);
        assert!(verifier.verify(&key, &honest(2).1, &signature).is_err(), "{}", row.name);
        let twice = [items, items].concat();
        for (key, message, signature) in twice {
            let alone = verify(&key, &message, &signature);
            assert_eq!(verifier.verify(&key, &message, &signature), alone, "{}", row.name);
        }
    }
}

#[test]
fn what_is_remembered_has_the_same_verdict() {
    let mut verifier = Verifier::remembering();
    for row in rows() {
        let items = [honest(1), triple(&row), honest(2)];
        for _ in 0..2 {
            assert_eq!(verifier.verify_all(&items, [7; 32]), verify_batch(&items, [7; 32]));
            // Nothing that is remembered vouches for another key, message or signature.
            for (one, other) in [(0, 1), (1, 2), (2, 0)] {
                let ((key, message, signature), (key_2, message_2, signature_2)) =
                    (items[one], items[other]);
                for (key, message, signature) in [
                    (key, message, signature),
                    (key_2, message, signature),
                    (key, message_2, signature),
                    (key, message, signature_2),
                ] {
                    let alone = verify(&key, &message, &signature);
                    let here = verifier.verify(&key, &message, &signature);
                    assert_eq!(here, alone, "{}", row.name);
                }
            }
        }
    }
}

#[test]
fn every_order_of_mixed_rows_has_the_verdict_of_the_worst() {
    let rows = rows();
    let mut batches = 0;
    // Every row meets its four successors, so that accepted and refused ones are neighbours too.
    for start in 0..rows.len() {
        let mut chosen: Vec<&Row> =
            (0..4).map(|step| &rows[(start + 7 * step) % rows.len()]).collect();
        let all_valid = chosen.iter().all(|row| row.valid);
        permutations(&mut chosen, 0, &mut |order| {
            let items: Vec<Triple> = order.iter().map(|row| triple(row)).collect();
            assert_eq!(verify_batch(&items, [9; 32]).is_ok(), all_valid);
            batches += 1;
        });
    }
    assert!(batches >= 24 * 40);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_batch_agrees_with_its_singles(
        chosen in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
        seed in any::<[u8; 32]>(),
        only_valid in any::<bool>(),
    ) {
        let rows: Vec<Row> = rows().into_iter().filter(|row| row.valid || !only_valid).collect();
        let items: Vec<Triple> = chosen.iter().map(|at| triple(at.get(&rows))).collect();
        let singles = items.iter().all(|(key, id, signature)| verify(key, id, signature).is_ok());
        prop_assert_eq!(verify_batch(&items, seed).is_ok(), singles);
    }

    #[test]
    fn random_bytes_are_refused_alike(key in any::<[u8; 32]>(), half in any::<[u8; 32]>()) {
        let item = (PublicKey(key), Hash(half), Signature([7; 64]));
        let single = verify(&item.0, &item.1, &item.2);
        prop_assert_eq!(verify_batch(&[item], half), single);
    }
}

/// What dalek says of a row: singly, strictly, and in a batch of one.
fn dalek(row: &Row) -> Option<[bool; 3]> {
    let key = VerifyingKey::from_bytes(&row.key.0).ok()?;
    let signature = DalekSignature::from_bytes(&row.signature.0);
    let message = &row.message.0[..];
    Some([
        key.verify(message, &signature).is_ok(),
        key.verify_strict(message, &signature).is_ok(),
        ed25519_dalek::verify_batch(&[message], &[signature], &[key]).is_ok(),
    ])
}

#[test]
fn the_rows_bite_another_verifier() {
    let split: Vec<String> = rows()
        .iter()
        .filter(|row| {
            dalek(row).is_some_and(|[single, strict, batch]| single != batch || strict != batch)
        })
        .map(|row| row.name.clone())
        .collect();
    println!("dalek disagrees with itself on {} rows: {split:?}", split.len());
    // Under an honest, certified key, and whatever coefficients the batch draws: R is neutral, in
    // its second spellings.
    for spelling in ["ee..7f", "ee..ff", "01..80"] {
        let name = format!("R not canonical, {spelling}");
        assert!(split.contains(&name), "{name}");
    }
}

#[test]
fn an_entry_with_a_crafted_signature_is_one_thing_to_phone_and_gateway() {
    let network = world::network().id();
    let entries = world::entries(&network);
    let payer = world::signing("payer").to_seed();
    let mut crafted = Vec::new();
    for (at, named) in entries.iter().enumerate() {
        let mut bytes = named.entry.encode();
        let signature = crafted::with_torsion(&payer, &named.entry.id(), at % 8);
        bytes[90..154].copy_from_slice(&signature.0);
        let entry = Entry::decode(&network, &bytes).unwrap();
        assert_eq!(entry.id(), named.entry.id(), "the id does not cover the signature");
        assert!(entry.clone().verify().is_ok());
        crafted.push(entry);
    }
    assert_eq!(
        Entry::verify_all(crafted.clone(), [1; 32], &mut Verifier::default()).unwrap().len(),
        crafted.len()
    );
    // One forgery among them: the batch gives all back, and singly only that one is refused.
    let mut bytes = crafted[3].encode();
    bytes[154 - 40] ^= 1;
    crafted[3] = Entry::decode(&network, &bytes).unwrap();
    let returned = Entry::verify_all(crafted, [1; 32], &mut Verifier::default()).unwrap_err();
    let refused: Vec<usize> =
        (0..returned.len()).filter(|at| returned[*at].clone().verify().is_err()).collect();
    assert_eq!(refused, [3]);
}

#[test]
fn keys_that_could_misbehave_are_refused_at_enrolment() {
    let mut counts = [0; 4];
    for (name, key, verdict) in crafted::keys() {
        let result = check_key(&key);
        let (at, expected) = match verdict {
            "ok" => (0, Ok(())),
            "not canonical" => (1, Err(KeyError::NotCanonical)),
            "small order" => (2, Err(KeyError::SmallOrder)),
            "torsion" => (3, Err(KeyError::Torsion)),
            other => panic!("{other}"),
        };
        assert_eq!(result, expected, "{name}");
        counts[at] += 1;
    }
    println!(
        "keys: {} taken, {} not canonical, {} of small order, {} with torsion",
        counts[0], counts[1], counts[2], counts[3]
    );
    assert_eq!((counts[2], counts[3]), (8, 7), "the whole torsion group");
    assert!(counts[0] >= 1 && counts[1] >= 6);
    // Why: under a key of small order one signature holds for many messages.
    let small = crafted::keys().into_iter().find(|(_, _, verdict)| *verdict == "small order");
    let (_, key, _) = small.unwrap();
    let row = rows().into_iter().find(|row| row.key == key && row.valid).unwrap();
    assert!(verify(&key, &Hash([0xee; 32]), &row.signature).is_ok());
}

#[test]
fn a_signature_holds_in_one_network_and_for_one_kind() {
    let (here, there) = (world::network().id(), world::other_network().id());
    let mut ids = std::collections::BTreeSet::new();
    for network in [&here, &there] {
        for (_, item) in crate::vectors::build::items(network) {
            assert!(ids.insert(item.id()), "no id twice");
        }
    }
    let header = world::draft(Kind::PAYMENT, world::position(0, Hash([0; 32])), 1, 5, 5);
    let entry = world::finish(&here, header, vec![]);
    let moved = Entry::decode(&there, &entry.encode()).unwrap();
    assert_ne!(moved.id(), entry.id());
    assert!(moved.verify().is_err());
}
