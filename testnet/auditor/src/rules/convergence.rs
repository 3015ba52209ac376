//! I1, by the sections "What is held" and "Digests" of the protocol.

use super::broken;
use crate::core::{Core, join};
use crate::facts::{ItemNumber, Moment, NodeFacts};
use crate::known::Known;
use crate::run::{Broken, Invariant};
use crate::sync::{Range, position};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Joins by what was joined: in a quiet network most nodes hold the same.
#[derive(Default)]
pub(super) struct Joined(BTreeMap<Vec<ItemNumber>, Rc<Core>>);

impl Joined {
    pub(super) fn of(&mut self, known: &Known<'_>, node: &NodeFacts) -> Option<Rc<Core>> {
        let mut items = node.core.clone()?;
        items.sort_unstable();
        items.dedup();
        if let Some(core) = self.0.get(&items) {
            return Some(core.clone());
        }
        let core = Rc::new(join(known, &items));
        self.0.insert(items, core.clone());
        Some(core)
    }
}

pub(crate) fn judge(known: &Known<'_>) -> Vec<Broken> {
    let (mut found, mut joined) = (Vec::new(), Joined::default());
    for moment in &known.facts.moments {
        for node in moment.nodes.iter().filter(|node| node.honest) {
            found.extend(digest_follows(known, &mut joined, node));
        }
        if moment.quiet {
            found.extend(components_agree(known, &mut joined, moment));
        }
    }
    found
}

/// I1, first half: the digest that a node states is that of the items in its core.
fn digest_follows(known: &Known<'_>, joined: &mut Joined, node: &NodeFacts) -> Option<Broken> {
    // What the digest of a scope leaves out the documents do not say.
    let stated = node.digest.filter(|_| node.scope.is_none())?;
    let core = joined.of(known, node)?;
    (core.digest != stated).then(|| {
        let what = format!("node {} states another digest than its items have", node.node);
        broken(Invariant::Convergence, what, &[])
    })
}

/// I1, second half: in a quiet network the honest nodes of a component hold the same core, as far as their
/// scopes have authors in common. Each is compared with the first whose scope is the widest.
fn components_agree(known: &Known<'_>, joined: &mut Joined, moment: &Moment) -> Vec<Broken> {
    let mut components: BTreeMap<u32, Vec<&NodeFacts>> = BTreeMap::new();
    for node in moment.nodes.iter().filter(|node| node.honest) {
        components.entry(node.component).or_default().push(node);
    }
    let mut found = Vec::new();
    for mut nodes in components.into_values() {
        nodes.sort_by_key(|node| node.scope.map_or(0, |scope| scope.bits));
        let Some((first, others)) = nodes.split_first() else { continue };
        for other in others {
            found.extend(agree(known, joined, first, other));
        }
    }
    found
}

fn agree(
    known: &Known<'_>,
    joined: &mut Joined,
    one: &NodeFacts,
    other: &NodeFacts,
) -> Option<Broken> {
    let differ = |what: String| {
        let what = format!("nodes {} and {} of a quiet component {what}", one.node, other.node);
        Some(broken(Invariant::Convergence, what, &[]))
    };
    if let (Some(a), Some(b)) = (joined.of(known, one), joined.of(known, other)) {
        if Rc::ptr_eq(&a, &b) {
            return None;
        }
        if a.banks != b.banks {
            return differ("differ in records of banks".to_owned());
        }
        let common = |core: &Core| {
            let inside = core.authors.iter().filter(|(author, _)| {
                let place = position(&known.network.id, &author.to_bytes());
                let within = |scope: Option<Range>| scope.is_none_or(|range| range.contains(place));
                within(one.scope) && within(other.scope)
            });
            inside.map(|(author, element)| (*author, *element)).collect::<BTreeMap<_, _>>()
        };
        let (a, b) = (common(&a), common(&b));
        if a == b {
            return None;
        }
        let keys = a.keys().chain(b.keys()).filter(|author| a.get(author) != b.get(author));
        let keys: std::collections::BTreeSet<_> = keys.map(|author| author.key).collect();
        let keys: Vec<[u8; 32]> = keys.into_iter().collect();
        let what = format!(
            "nodes {} and {} of a quiet component differ in {} authors, by key",
            one.node,
            other.node,
            keys.len()
        );
        return Some(broken(Invariant::Convergence, what, &keys));
    }
    let whole = one.scope.is_none() && other.scope.is_none();
    match (one.digest, other.digest) {
        (Some(a), Some(b)) if whole && a != b => differ("state different digests".to_owned()),
        _ => None,
    }
}
