//! Links: sessions that start over, peers that misbehave, strangers and their budget.

use crate::bank::{author, sealing};
use crate::device::Leaves;
use crate::world::{Over, World};
use hundi_engine::limits::{
    CERTIFIED_SCANS_PER_MINUTE, LINKS_MAX, MISBEHAVIOUR_MAX, SCAN_AUTHORS_MIN, STRANGER_ITEM_MS,
    STRANGER_ITEMS_MAX, STRANGER_SCANS_PER_MINUTE,
};
use hundi_engine::{Command, Config, Event, Input, LinkId, LinkKind};

#[test]
fn peers_prove_their_keys_and_relays_prove_nothing() {
    let mut world = World::new();
    let a = world.add(1, 0);
    let b = world.add(2, 0);
    let relay = world.add_relay();
    let silent = Config { prove_links: false, ..Config::default() };
    let shy = world.add_with(Some(3), silent, Default::default());
    let links = [b, relay, shy].map(|to| world.connect(a, to, Over::Link));
    world.run();
    let peers = world.devices[a].engine.peers();
    let authors: Vec<_> = peers.iter().map(|peer| (peer.link, peer.author)).collect();
    assert_eq!(authors, [(links[0], Some(author(2))), (links[1], None), (links[2], None)]);
    assert!(peers.iter().all(|peer| peer.in_sync.is_some() && !peer.syncing));
    let proved = Event::LinkProved { link: links[1], author: author(1) };
    assert!(world.devices[relay].events.contains(&proved));
}

#[test]
fn cut_at_any_frame_a_session_starts_over_and_ends_in_sync() {
    for frames in 0..60 {
        let mut world = World::new();
        let a = world.add(1, 10_000);
        let b = world.add(2, 10_000);
        for (seed, device) in [(11, a), (12, b)] {
            let grant = world.bank.grant(author(seed), sealing(seed), 0, 0);
            let grant = world.bank.granted(grant);
            world.publish(device, vec![grant]);
        }
        let link = world.connect(a, b, Over::Link);
        (0..frames).for_each(|_| {
            world.deliver_one();
        });
        world.cut(link);
        world.connect(b, a, Over::Link);
        world.run();
        world.pass(40);
        world.assert_converged();
        assert_eq!(world.devices[a].engine.status().authors, 4);
    }
}

#[test]
fn what_fell_out_of_a_session_comes_with_a_later_one() {
    let mut world = World::new();
    let a = world.add(1, 10_000);
    let b = world.add(2, 10_000);
    world.connect(a, b, Over::Gossip);
    world.run();
    world.assert_converged();
    // Known to one side without any link carrying it: as if gossip had lost it.
    let grant = world.bank.grant(author(11), sealing(11), 0, 0);
    let grant = world.bank.granted(grant);
    let handle = 77;
    world.devices[b].handle(world.now_ms, Input::Gossip { handle, bytes: grant });
    world.devices[b].leaves.clear();
    assert_ne!(world.devices[a].engine.digest(), world.devices[b].engine.digest());
    world.pass(200);
    world.assert_converged();
}

#[test]
fn a_peer_that_misbehaves_is_cut_off_and_forgiven_with_time() {
    let mut world = World::new();
    let device = world.add(1, 0);
    let link = LinkId(1_000);
    let up =
        Input::LinkUp { link, handshake_hash: [1; 32], initiator: false, kind: LinkKind::Mesh };
    world.input(device, up);
    let malformed = [vec![], vec![99], vec![5, 7, 1], vec![16, 0], vec![18; 99], vec![1, 1]];
    for n in 1..MISBEHAVIOUR_MAX {
        let bytes = malformed[n as usize % malformed.len()].clone();
        world.input(device, Input::Message { link, bytes });
    }
    assert_eq!(world.devices[device].engine.peers().len(), 1);
    world.now_ms += 3_600_000;
    for n in 1..MISBEHAVIOUR_MAX {
        let bytes = malformed[n as usize % malformed.len()].clone();
        world.input(device, Input::Message { link, bytes });
    }
    assert_eq!(world.devices[device].engine.peers().len(), 1, "forgiven");
    world.input(device, Input::Message { link, bytes: vec![99] });
    assert!(world.devices[device].engine.peers().is_empty());
    let bytes = world.bank.certificate();
    world.input(device, Input::Message { link, bytes });
}

#[test]
fn links_are_bounded() {
    let mut world = World::new();
    let device = world.add(1, 0);
    for n in 0..LINKS_MAX as u64 + 5 {
        let link = LinkId(10_000 + n);
        let up =
            Input::LinkUp { link, handshake_hash: [1; 32], initiator: false, kind: LinkKind::Mesh };
        world.input(device, up);
    }
    assert_eq!(world.devices[device].engine.peers().len(), LINKS_MAX);
}

#[test]
fn a_stranger_gets_others_entries_under_a_budget_only() {
    let mut world = World::new();
    let device = world.add(1, 0);
    let prover = world.add(2, 0);
    let stranger = world.add_relay();
    let mut items = Vec::new();
    let authors = STRANGER_ITEMS_MAX as usize / 40 + 20;
    for seed in 0..authors as u8 {
        let seed = seed + 50;
        for (serial, limit) in [(0, 0), (1, 1_000)] {
            let grant = world.bank.grant(author(seed), sealing(seed), serial, limit);
            items.push(world.bank.granted(grant));
        }
        items.extend(crate::evidence::chain(&world, seed, 40, 1));
    }
    for part in items.chunks(500) {
        world.publish(device, part.to_vec());
    }
    let held = world.devices[device].engine.status().entries;
    assert!(held > STRANGER_ITEMS_MAX as usize);
    world.connect(device, stranger, Over::Link);
    world.connect(device, prover, Over::Link);
    world.run();
    let got = |world: &World, device: usize| world.devices[device].engine.status().entries;
    assert_eq!(got(&world, stranger), STRANGER_ITEMS_MAX as usize);
    // Whoever has proved a key that is certified here by now gets all the rest at once.
    world.pass(40);
    assert_eq!(got(&world, prover), held);
    let earned = 40_000 / STRANGER_ITEM_MS as usize;
    assert!(got(&world, stranger) <= STRANGER_ITEMS_MAX as usize + earned);
    world.pass(600);
    assert_eq!(got(&world, stranger), held, "the rest in time");
}

/// How many of these openings, with a value of nothing that is held, are answered.
fn answered(world: &mut World, device: usize, link: LinkId, openings: u64) -> u64 {
    let open = [&[1][..], &[9; 8]].concat();
    let answered = (0..openings).filter(|_| {
        world.input(device, Input::Message { link, bytes: open.clone() });
        world.devices[device].leaves.clear();
        world.devices[device].engine.peers()[0].syncing
    });
    answered.count() as u64
}

/// Every comparison walks over a part of what is held, and it is the peer that asks for it.
#[test]
fn a_peer_has_a_share_of_comparisons_and_no_more() {
    let mut world = World::new();
    let device = world.add(1, 0);
    let grants = (50..250).map(|seed| world.bank.grant(author(seed), sealing(seed), 0, 0));
    let grants: Vec<_> = grants.collect();
    let items = grants.into_iter().map(|grant| world.bank.granted(grant)).collect();
    world.publish(device, items);
    let core = world.devices[device].engine.replica().core_len() as u64;
    // An answer looks at every author and every bank, and has 28 and 8 symbols.
    let banks = world.devices[device].engine.replica().head_elements().count() as u64;
    let share = |scans| scans * SCAN_AUTHORS_MIN / (core + 28 + banks + 8);
    let about = |share: u64, count: u64| (share - 2..=share + 2).contains(&count);

    let link = LinkId(1_000);
    let up =
        Input::LinkUp { link, handshake_hash: [1; 32], initiator: false, kind: LinkKind::Mesh };
    world.input(device, up);
    let strangers = share(STRANGER_SCANS_PER_MINUTE);
    let first = answered(&mut world, device, link, 2_000);
    assert!(about(strangers, first), "{first} of about {strangers}");
    assert!(answered(&mut world, device, link, 100) <= 2, "nothing is left");
    world.now_ms += 30_000;
    let later = answered(&mut world, device, link, 2_000);
    assert!(about(strangers / 2, later), "{later} half a minute later");
    assert_eq!(world.devices[device].engine.peers().len(), 1, "it is nobody's fault");

    // A certified key gets more, and not without end.
    let prover = world.add(2, 0);
    let records: Vec<Vec<u8>> = world.devices[prover].store.items.values().cloned().collect();
    world.command(device, Command::Publish { items: records });
    let up = Input::LinkUp { link, handshake_hash: [1; 32], initiator: true, kind: LinkKind::Mesh };
    world.devices[prover].handle(world.now_ms, up);
    let leaves = std::mem::take(&mut world.devices[prover].leaves);
    let Some(Leaves::Frame { bytes, .. }) = leaves.into_iter().next() else { panic!("no proof") };
    world.input(device, Input::Message { link, bytes });
    assert_eq!(world.devices[device].engine.peers()[0].author, Some(author(2)));
    world.now_ms += 120_000;
    let core = world.devices[device].engine.replica().core_len() as u64;
    let certified = CERTIFIED_SCANS_PER_MINUTE * SCAN_AUTHORS_MIN / (core + 28 + banks + 8);
    let count = answered(&mut world, device, link, certified + 1_000);
    assert!(about(certified, count), "{count} of about {certified}");
}

/// A payer and a payee who have met nobody but their bank, and what the payer would say first.
fn at_a_stall() -> (World, [usize; 2], hundi_ledger::id::Hash, Vec<u8>) {
    let mut world = World::new();
    let payer = world.add(1, 10_000);
    let payee = world.add(2, 0);
    let request = world.request(payee, 1_000);
    let id = world.pay(payer, &request);
    let device = &world.devices[payer];
    let offer = device.engine.offer_of(&id, &device.store).unwrap();
    (world, [payer, payee], id, offer)
}

#[test]
fn a_payment_link_carries_the_offer_and_its_answer_and_nothing_else() {
    let (mut world, [payer, payee], id, offer) = at_a_stall();
    let link = world.connect(payer, payee, Over::Payment);
    assert_eq!(world.frames_in_flight(), 0, "nobody says anything by itself");
    world.input(payee, Input::Message { link, bytes: offer.clone() });
    world.acknowledge(payee);
    assert_eq!(world.frames_in_flight(), 1, "the receipt, once it is durable");
    world.run();
    for device in [payer, payee] {
        assert_eq!(world.word(device, &id), "received");
    }
    let device = &world.devices[payer];
    assert_eq!(device.engine.offer_of(&id, &device.store), None, "it is answered");
    // The same again, as after a link that was cut before the answer: the same answer.
    let link = world.connect(payer, payee, Over::Payment);
    world.input(payee, Input::Message { link, bytes: offer });
    assert_eq!(world.frames_in_flight(), 1);
    // Neither what is fresh nor time makes anybody speak.
    let grant = world.bank.grant(author(11), sealing(11), 0, 0);
    let grant = world.bank.granted(grant);
    world.run();
    world.publish(payer, vec![grant]);
    world.pass(200);
    let engine = &world.devices[payee].engine;
    assert_eq!(engine.replica().authors().len(), 2, "nothing but the payment has come");
}

#[test]
fn what_does_not_belong_on_a_payment_link_counts_as_misbehaviour() {
    let (mut world, [payer, payee], ..) = at_a_stall();
    let link = world.connect(payer, payee, Over::Payment);
    let certificate = [vec![hundi_ledger::sync::TAG_ITEM], world.bank.certificate()].concat();
    let prove = [vec![18], vec![0; 200]].concat();
    for bytes in
        [certificate, prove, vec![1, 1]].into_iter().cycle().take(MISBEHAVIOUR_MAX as usize)
    {
        assert_eq!(world.devices[payee].engine.peers().len(), 1);
        world.input(payee, Input::Message { link, bytes });
    }
    assert!(world.devices[payee].engine.peers().is_empty());
}

/// What decides how long a payee shows itself to its payer.
#[test]
fn a_request_waits_for_its_payment_until_it_is_accepted_or_expires() {
    let (mut world, payer, payee) = crate::payments::pair(Over::Link);
    let request = world.request(payee, 1_000);
    let awaits = |world: &World, of: usize, now| {
        world.devices[of].engine.awaits_payment(&request.request, now)
    };
    assert!(awaits(&world, payee, request.expires));
    assert!(!awaits(&world, payee, request.expires + 1), "expired");
    assert!(!awaits(&world, payer, request.expires), "somebody else's");
    world.pay(payer, &request);
    world.run();
    assert!(!awaits(&world, payee, request.expires), "accepted");
}

/// What decides whether a payer asks those who hold the same: an answer is in no core.
#[test]
fn a_payer_awaits_an_answer_until_it_has_come_and_gets_it_of_one_in_sync() {
    let (mut world, payer, payee) = crate::payments::pair(Over::Link);
    let awaits = |world: &World, of: usize| world.devices[of].engine.awaits_answer().is_some();
    assert!(!awaits(&world, payer));
    let request = world.request(payee, 1_000);
    let id = world.pay(payer, &request);
    assert!(awaits(&world, payer));
    // The payment arrives, its answer does not.
    while world.devices[payee].engine.payment(&id, &world.devices[payee].store).is_none() {
        assert!(world.deliver_one());
    }
    world.cut_all();
    world.run();
    let [one, other] = [payer, payee].map(|of| world.devices[of].engine.digest());
    assert_eq!(one, other, "both hold the same");
    assert!(awaits(&world, payer) && !awaits(&world, payee));
    world.connect(payer, payee, Over::Link);
    world.run();
    assert!(!awaits(&world, payer));
    assert_eq!(world.word(payer, &id), "received");
}
