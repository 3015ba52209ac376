//! Laws over generated records.

use super::generate::{self, Draft};
use super::world;
use hundi_ledger::codec;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::Network;
use hundi_ledger::record::receipt::Statement;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn items_round_trip(draft in generate::item()) {
        let network = world::network().id();
        let item = draft.sign();
        let bytes = item.encode();
        let decoded = Item::decode(&network, &bytes);
        prop_assert_eq!(decoded.as_ref(), Ok(&item));
        prop_assert_eq!(decoded.unwrap().id(), item.id());
        // What signed it verifies wherever its bytes are all that is known.
        if let Item::Entry(entry) = item {
            prop_assert!(entry.verify().is_ok());
        }
    }

    #[test]
    fn a_change_anywhere_is_refused_or_another_record(
        draft in generate::item(),
        at in any::<prop::sample::Index>(),
        mask in 1u8..,
    ) {
        let network = world::network().id();
        let item = draft.sign();
        let mut bytes = item.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= mask;
        if let Ok(other) = Item::decode(&network, &bytes) {
            prop_assert_eq!(other.encode(), bytes);
            prop_assert_ne!(&other, &item);
        }
    }

    #[test]
    fn networks_round_trip(definition in generate::definition()) {
        let network = Network::new(definition).unwrap();
        prop_assert_eq!(Network::decode(&network.encode()), Ok(network));
    }

    #[test]
    fn plaintexts_and_statements_round_trip(
        plaintext in generate::plaintext(),
        statement in generate::statement(),
    ) {
        let kind = generate::kind_of(&plaintext);
        let bytes = plaintext.encode();
        prop_assert_eq!(hundi_ledger::body::Plaintext::decode(kind, &bytes), Ok(plaintext));
        let bytes = codec::encode(&statement);
        prop_assert_eq!(codec::decode::<Statement>(&bytes, 41), Ok(statement));
    }

    #[test]
    fn hostile_bytes_never_panic(
        tag in 0u8..10,
        version in 0u8..3,
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let network = world::network().id();
        let bytes = [&[tag, version], &rest[..]].concat();
        if let Ok(item) = Item::decode(&network, &bytes) {
            prop_assert_eq!(item.encode(), bytes);
        }
        let _ = Network::decode(&rest);
    }
}

/// What the generators must reach.
const FEATURES: &[&str] = &[
    "roles 1",
    "roles 2",
    "roles 3",
    "honours empty",
    "honours part",
    "honours full",
    "policy some",
    "policy none",
    "name some",
    "name none",
    "flags 0",
    "flags 1",
    "enrolment true",
    "enrolment false",
    "payees empty",
    "payees part",
    "payees full",
    "categories empty",
    "categories part",
    "categories full",
    "frontier some",
    "frontier none",
    "live empty",
    "live part",
    "live full",
    "names empty",
    "names part",
    "names full",
    "Settled",
    "Contested",
    "Returned",
    "RejectedUncovered",
    "RejectedLate",
    "RejectedFrozen",
    "RejectedUnopened",
    "RejectedRefund",
    "RejectedRefused",
    "RejectedKind",
    "Contradiction",
    "Lost",
    "Decision",
    "bulletin",
    "proof Money same",
    "proof Money apart",
    "proof Document same",
    "kind 0x01",
    "kind 0x02",
    "kind 0x03",
    "kind 0x04",
    "kind 0x05",
    "kind 0x81",
    "kind unknown Money",
    "kind unknown Document",
    "Money",
    "Document",
    "position first",
    "position after",
    "body some",
    "body none",
    "receipt",
];

#[test]
fn generators_reach_every_variant() {
    let mut runner = TestRunner::deterministic();
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..4_000 {
        let draft: Draft = generate::item().new_tree(&mut runner).unwrap().current();
        for feature in draft.features() {
            *counts.entry(feature).or_default() += 1;
        }
    }
    for (feature, count) in &counts {
        println!("{feature}: {count}");
    }
    for feature in FEATURES {
        assert!(counts.contains_key(*feature), "never generated: {feature}");
    }
}
