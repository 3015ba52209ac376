//! The clauses of "What is held" that the sessions of the vectors do not come to, one by one: how many
//! entries are in the core of who holds these items.

use super::making::{self, Draft, Keys, Made, Said, Terms};
use super::world::{CLAIM_UNTIL, Person, World, terms};
use hundi_auditor::facts::{Counters, ItemNumber, Moment, NodeFacts};
use hundi_auditor::run::judge;

/// Somebody with grants of serial 0 and 1, and a log of three payments; all of it is held.
struct Holding {
    world: World,
    payer: Person,
    made: Vec<Made>,
    held: Vec<ItemNumber>,
}

impl Holding {
    fn new(of: &Terms) -> Self {
        let mut world = World::new();
        let [mut payer, payee] = [11, 12].map(|number| world.person(number));
        world.grant(&payer, of);
        let made: Vec<Made> = (0..3).map(|_| world.pay(&mut payer, &payee, 100)).collect();
        // What is admitted does not hang on who keeps the rules.
        world.facts.honest.clear();
        let mut held = world.facts.banks[0].signed.clone();
        held.extend(made.iter().map(|made| world.facts.items.note(&made.bytes)));
        Self { world, payer, made, held }
    }

    fn hold(&mut self, item: &[u8]) {
        let number = self.world.facts.items.note(item);
        self.held.push(number);
    }

    fn checkpoint(&mut self, said: &Said<'_>) {
        let number = self.world.checkpoint(&self.payer, said);
        self.held.push(number);
    }

    /// A certificate of that number for the bank's key, or for somebody else's.
    fn certificate(&mut self, number: u16, key: &Keys, honours: &[(u16, u32)]) {
        let (network, root) = (self.world.network, self.world.root.clone());
        self.hold(&making::certificate(&network, &root, number, key, honours));
    }

    /// As many entries are in the core: the counters may say so many, and not one more.
    #[track_caller]
    fn counts(&mut self, expected: u64) {
        let judged = |core_entries| {
            let counters = Counters { core_entries, ..Counters::default() };
            let (core, counters) = (Some(self.held.clone()), Some(counters));
            let node = NodeFacts { honest: true, core, counters, ..NodeFacts::default() };
            let mut facts = self.world.facts.clone();
            (facts.banks, facts.moments) =
                (Vec::new(), vec![Moment { quiet: false, nodes: vec![node] }]);
            judge(&facts).unwrap().is_empty()
        };
        let most = (0..10).filter(|count| judged(*count)).max();
        assert_eq!(most, Some(expected));
    }
}

#[test]
fn limits_and_first_sequences_admit() {
    Holding::new(&terms(1, 300, 0)).counts(3);
    Holding::new(&terms(1, 200, 0)).counts(2);
    Holding::new(&Terms { first_sequence: 1, ..terms(1, 300, 0) }).counts(2);
    // The window ends with the highest of all grants, and is 64 long.
    let mut of = Holding::new(&terms(1, 300, 0));
    let (world, payer) = (&mut of.world, &of.payer);
    world.grant(payer, &Terms { first_sequence: 2, ..terms(2, 5, 0) });
    of.held.push(*of.world.facts.banks[0].signed.last().unwrap());
    of.counts(1);
}

#[test]
fn bank_time_lapses() {
    let network = World::new();
    for (time, expected) in [(CLAIM_UNTIL, 3), (CLAIM_UNTIL + 1, 0)] {
        let mut of = Holding::new(&terms(1, 300, 0));
        let bulletin = making::bulletin(&network.network, &of.world.online, 1, time);
        of.hold(&bulletin);
        of.counts(expected);
    }
}

#[test]
fn checkpoints_take_out_what_they_decide() {
    let mut of = Holding::new(&terms(1, 300, 0));
    let ids: Vec<[u8; 32]> = of.made.iter().map(|made| made.id).collect();
    let said = Said { number: 1, frontier: None, live: &[], names: &[(2, ids[2], 0)] };
    of.checkpoint(&said);
    of.counts(2);
    // A name of another entry at that number takes nothing out.
    of.checkpoint(&Said { number: 2, names: &[(2, ids[1], 0)], ..said });
    of.counts(3);
    of.checkpoint(&Said { number: 3, frontier: Some((1, ids[1])), live: &[], names: &[] });
    of.counts(1);
}

#[test]
fn bounds_of_later_certificates_take_effect_away() {
    for (epoch_last, expected) in [(1, 3), (0, 0)] {
        let mut of = Holding::new(&terms(1, 300, 0));
        let online = of.world.online.clone();
        of.certificate(2, &online, &[(1, epoch_last)]);
        of.counts(expected);
    }
    // A checkpoint without effect decides nothing.
    let mut of = Holding::new(&terms(1, 300, 0));
    let frontier = Some((2, of.made[2].id));
    of.checkpoint(&Said { number: 1, frontier, live: &[], names: &[] });
    of.counts(0);
}

#[test]
fn sixteen_certificates_and_grants_are_held() {
    let mut of = Holding::new(&terms(1, 300, 0));
    let online = of.world.online.clone();
    for number in 2..=16 {
        of.certificate(number, &online, &[]);
    }
    of.counts(3);
    // The seventeenth displaces the first, and what that signed goes with it.
    of.certificate(17, &online, &[]);
    of.counts(0);

    let mut of = Holding::new(&terms(1, 300, 0));
    for serial in 2..=17 {
        of.counts(3);
        of.world.grant(&of.payer, &terms(serial, 5, 0));
        of.held.push(*of.world.facts.banks[0].signed.last().unwrap());
    }
    of.counts(0);
}

/// Of two certificates of one number the one with the higher id is held, and what the other signed is
/// not.
#[test]
fn a_certificate_that_is_displaced_takes_its_records_along() {
    let mut seen = [false; 2];
    for other in 20..40 {
        let mut of = Holding::new(&terms(1, 300, 0));
        let id =
            |bytes: &[u8]| hundi_auditor::records::Item::read(&of.world.network, bytes).unwrap().id;
        let other = Keys::new(1, [other; 32]);
        let (network, root) = (of.world.network, of.world.root.clone());
        let second = making::certificate(&network, &root, 1, &other, &[]);
        let first = making::certificate(&network, &root, 1, &of.world.online, &[]);
        let displaced = id(&second) > id(&first);
        seen[usize::from(displaced)] = true;
        of.hold(&second);
        of.counts(if displaced { 0 } else { 3 });
        // What the second signed is held exactly if the second is.
        let sealing = of.world.bank_sealing;
        let again = making::grant(&network, &other, &of.payer.keys, &sealing, &terms(1, 300, 0));
        of.hold(&again);
        of.counts(3);
    }
    assert_eq!(seen, [true; 2]);
}

#[test]
fn documents_have_one_window_from_the_start() {
    let mut of = Holding::new(&terms(1, 300, 0));
    for (sequence, expected) in [(0, 4), (63, 5), (64, 5)] {
        let previous = [u8::from(sequence > 0); 32];
        let draft = Draft { kind: 0x81, sequence, previous, spent_total: 0, ..of.payer.next(1, 0) };
        let made = of.world.sign(&of.payer.keys, &draft, &[]);
        of.hold(&made.bytes);
        of.counts(expected);
    }
}
