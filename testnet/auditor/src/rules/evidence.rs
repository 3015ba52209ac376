//! I6, by the sections "Contradictions" and "What is held" of the protocol.

use super::broken;
use super::convergence::Joined;
use crate::contradiction;
use crate::facts::{ItemNumber, Moment, NodeFacts};
use crate::known::Known;
use crate::records::{Author, Record, SignedHeader};
use crate::run::{Bank, Broken, Invariant};
use std::collections::{BTreeMap, BTreeSet};

/// I6: once a network is quiet and two headers that contradict each other, or a proof of them, are held by
/// honest nodes of one component, all of these hold a proof, if the author is certified there.
pub(crate) fn spread(known: &Known<'_>) -> Vec<Broken> {
    let (mut found, mut joined) = (Vec::new(), Joined::default());
    for moment in known.facts.moments.iter().filter(|moment| moment.quiet) {
        let mut components: BTreeMap<u32, Vec<&NodeFacts>> = BTreeMap::new();
        for node in honest(moment) {
            components.entry(node.component).or_default().push(node);
        }
        for nodes in components.values() {
            let certified: BTreeSet<Author> = nodes
                .iter()
                .filter_map(|node| joined.of(known, node))
                .flat_map(|core| core.certified.iter().copied().collect::<Vec<_>>())
                .collect();
            for (author, pair) in contradictions(known, nodes) {
                if !certified.contains(&author) {
                    continue;
                }
                let without = nodes.iter().filter(|node| !holds_proof(known, node, author));
                for node in without {
                    let what = format!(
                        "node {} holds no proof of a contradiction in its component",
                        node.node
                    );
                    found.push(broken(Invariant::Evidence, what, &pair));
                }
            }
        }
    }
    found
}

fn honest(moment: &Moment) -> impl Iterator<Item = &NodeFacts> {
    // Of whom nothing was written down, nothing can be said.
    moment.nodes.iter().filter(|node| node.honest && node.core.is_some())
}

fn held(node: &NodeFacts) -> impl Iterator<Item = ItemNumber> {
    node.core.iter().flatten().chain(&node.cache).copied()
}

fn holds_proof(known: &Known<'_>, node: &NodeFacts, author: Author) -> bool {
    held(node).any(|number| {
        let item = known.good(number).map(|item| &item.record);
        matches!(item, Some(Record::Proof(proof)) if proof.author == author)
    })
}

/// Authors that contradict themselves by what these nodes hold together, with the ids of two headers.
fn contradictions(known: &Known<'_>, nodes: &[&NodeFacts]) -> Vec<(Author, [[u8; 32]; 2])> {
    let items: BTreeSet<ItemNumber> = nodes.iter().flat_map(|node| held(node)).collect();
    let mut logs: BTreeMap<Author, Vec<SignedHeader>> = BTreeMap::new();
    for header in items.into_iter().flat_map(|number| known.headers(number)) {
        logs.entry(header.header.author).or_default().push(header);
    }
    let found = logs.iter().filter_map(|(author, headers)| {
        contradiction::find(headers).map(|pair| (*author, pair.map(|header| header.id)))
    });
    found.collect()
}

/// I6, the bank's part: who contradicts itself before its home bank is frozen by it.
pub(crate) fn frozen(known: &Known<'_>, bank: &Bank<'_>) -> Vec<Broken> {
    if !known.facts.liveness {
        return Vec::new();
    }
    let frozen: BTreeSet<Author> = bank
        .facts
        .signed
        .iter()
        .filter_map(|number| match &known.good(*number)?.record {
            Record::Freeze(freeze) => Some(freeze.author),
            _ => None,
        })
        .collect();
    let granted = |author: &Author| bank.intake.grants.keys().any(|(its, _)| its == author);
    let free = bank
        .intake
        .contradicted
        .iter()
        .filter(|(author, _)| granted(author) && !frozen.contains(author));
    let found = free.map(|(author, step)| {
        let what = format!(
            "bank {} has two contradicting headers since step {step} and froze nobody, key",
            bank.facts.number
        );
        broken(Invariant::Evidence, what, &[author.key])
    });
    found.collect()
}
