//! Two devices and a link between them, driven by arbitrary actions: whatever arrives, is lost or
//! crashes, no device signs a contradiction (invariant I7) and nothing is sent before what it names
//! is durable.

use crate::replica::Memory;
use crate::world::{self, PAYEE, PAYER};
use hundi_engine::limits::OUTPUTS_MAX;
use hundi_engine::{
    Answer, Command, Config, Engine, Input, Keys, LinkId, LinkKind, Output, Payload, Write,
};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, Hash};
use hundi_ledger::money::Amount;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::proof::Claim;
use hundi_ledger::replica::Shelf;
use hundi_ledger::request::PaymentRequest;
use hundi_ledger::sign::Verifier;
use hundi_ledger::sync::TAG_ITEM;
use std::collections::{BTreeMap, VecDeque};

/// Actions of one input that are looked at.
const ACTIONS_MAX: usize = 128;

struct Device {
    seed: u8,
    engine: Engine,
    items: Memory,
    state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Persists not yet durable.
    waiting: VecDeque<(u64, Vec<Write>)>,
    durable: u64,
    last: u64,
    /// Sent, with the persist that must be durable first.
    sent: VecDeque<(u64, LinkId, Payload)>,
    /// Entries of its own key that became durable and that it signed itself.
    own: BTreeMap<Hash, Claim>,
    requests: Vec<PaymentRequest>,
}

fn load(seed: u8, items: Vec<Vec<u8>>, state: Vec<(Vec<u8>, Vec<u8>)>) -> Engine {
    let keys = Keys {
        author: world::author(seed),
        signing: world::key(seed),
        sealing: world::secret(seed),
    };
    let network = world::world().network.clone();
    let loaded = Engine::load(
        Config::default(),
        network,
        Some(keys),
        items,
        state,
        &mut Verifier::default(),
    );
    loaded.unwrap_or_else(|error| panic!("an own store does not load: {error}"))
}

impl Device {
    fn new(seed: u8) -> Self {
        Self {
            seed,
            engine: load(seed, Vec::new(), Vec::new()),
            items: Memory::default(),
            state: BTreeMap::new(),
            waiting: VecDeque::new(),
            durable: 0,
            last: 0,
            sent: VecDeque::new(),
            own: BTreeMap::new(),
            requests: Vec::new(),
        }
    }

    fn handle(&mut self, now_ms: u64, entropy: u8, input: Input) {
        let outputs = self.engine.handle(now_ms, [entropy; 32], input, &self.items);
        assert!(outputs.len() <= OUTPUTS_MAX);
        for output in outputs {
            match output {
                Output::Persist { number, writes } => {
                    assert_eq!(number, self.last + 1, "persists ascend by one");
                    self.last = number;
                    self.waiting.push_back((number, writes));
                }
                Output::Send { link, after, payload } => {
                    assert!(after <= self.last, "waits for a persist that was never given out");
                    self.sent.push_back((after, link, payload));
                }
                Output::Answer { after, answer, .. } => {
                    assert!(after <= self.last);
                    if let Answer::Request(Ok(request)) = answer {
                        self.requests.push(request);
                    }
                }
                _ => {}
            }
        }
    }

    /// The oldest persist becomes durable.
    fn persist(&mut self, now_ms: u64) {
        let Some((number, writes)) = self.waiting.pop_front() else { return };
        for write in writes {
            match write {
                Write::Item { key, bytes } => {
                    self.note_own(&bytes);
                    self.items.0.insert(key, bytes);
                }
                Write::DeleteItem { key } => drop(self.items.0.remove(&key)),
                Write::State { key, bytes } => drop(self.state.insert(key, bytes)),
                Write::DeleteState { key } => drop(self.state.remove(&key)),
            }
        }
        self.durable = number;
        self.handle(now_ms, 0, Input::Persisted { number });
    }

    fn note_own(&mut self, bytes: &[u8]) {
        let world = world::world();
        let me: AuthorId = world::author(self.seed);
        let Ok(Item::Entry(entry)) = Item::decode(&world.network.id(), bytes) else { return };
        let injected = world.pool.iter().any(|(known, _)| known == bytes);
        if entry.header().author == me && !injected {
            let claim = Claim::of(entry.header(), entry.id());
            let honest = self.own.values().all(|held| !held.contradicts(&claim));
            assert!(honest, "an honest device contradicts itself");
            self.own.insert(entry.id(), claim);
        }
    }

    /// The process dies: what was not durable is lost.
    fn crash(&mut self) {
        self.waiting.clear();
        self.sent.clear();
        (self.last, self.durable) = (0, 0);
        let items = self.items.0.values().cloned().collect();
        let state = self.state.iter().map(|(key, bytes)| (key.clone(), bytes.clone())).collect();
        self.engine = load(self.seed, items, state);
    }

    /// The next message that may leave.
    fn leave(&mut self) -> Option<(LinkId, Vec<u8>)> {
        let (after, link, payload) = self.sent.pop_front()?;
        if after > self.durable {
            self.sent.push_front((after, link, payload));
            return None;
        }
        let bytes = match payload {
            Payload::Message(bytes) => bytes,
            Payload::Item(key) => [&[TAG_ITEM], &self.items.item(&key)?[..]].concat(),
        };
        Some((link, bytes))
    }
}

/// Each action is two bytes, what and with what; some take more of what follows.
pub(crate) fn engine(bytes: &[u8]) {
    run(bytes);
}

fn run(bytes: &[u8]) -> [Device; 2] {
    let world = world::world();
    let mut devices = [Device::new(PAYER), Device::new(PAYEE)];
    let mut now_ms = 100_000;
    let mut links = 0;
    let mut rest = bytes;
    for at in 0..ACTIONS_MAX {
        let [action, with, after @ ..] = rest else { break };
        rest = after;
        let me = usize::from(action & 1);
        let entropy = u8::try_from(at).unwrap_or(0);
        let link = LinkId(links);
        let id = u64::from(entropy);
        let (pool_bytes, _) = &world.pool[usize::from(*with) % world.pool.len()];
        let input = match action >> 1 {
            0 => {
                links += 1;
                for (number, device) in devices.iter_mut().enumerate() {
                    let up = Input::LinkUp {
                        link: LinkId(links),
                        handshake_hash: [*with; 32],
                        initiator: number == me,
                        kind: [LinkKind::Mesh, LinkKind::Gossip, LinkKind::Mesh, LinkKind::Payment]
                            [usize::from(with & 3)],
                    };
                    device.handle(now_ms, entropy, up);
                }
                continue;
            }
            1 => Input::LinkDown { link },
            2 => {
                let (message, after) = rest.split_at(rest.len().min(usize::from(*with)));
                rest = after;
                Input::Message { link, bytes: message.to_vec() }
            }
            3 => Input::Message { link, bytes: [&[TAG_ITEM], &pool_bytes[..]].concat() },
            4 => Input::Gossip { handle: id, bytes: pool_bytes.clone() },
            5 => {
                now_ms += u64::from(*with) * 1_000;
                Input::Tick
            }
            6 => Input::Command { id, command: request(*with) },
            7 => {
                let asked = devices[1 - me].requests.iter().rev().nth(usize::from(with >> 5));
                let Some(request) = asked.cloned() else { continue };
                let amount = Amount::new(u64::from(with & 0x1f)).ok();
                let again = with & 0x10 != 0;
                let command = Command::Pay { request, amount, memo: None, category: 0, again };
                Input::Command { id, command }
            }
            8 => Input::Command { id, command: Command::Close },
            9 => {
                let command = Command::RequestGrant { limit: Amount::MAX };
                Input::Command { id, command }
            }
            10 => {
                let items = world.pool.iter().skip(usize::from(*with)).take(10);
                let items = items.map(|(bytes, _)| bytes.clone()).collect();
                Input::Command { id, command: Command::Publish { items } }
            }
            11 => {
                let received = devices[1 - me].own.keys().nth(usize::from(*with)).copied();
                let Some(payment) = received else { continue };
                let command = Command::Refund { payment, sum: None, memo: Text::default() };
                Input::Command { id, command }
            }
            12 => {
                devices[me].crash();
                continue;
            }
            13 => Input::PersistFailed,
            14..=60 => {
                let (from, to) = (me, 1 - me);
                for _ in 0..=with & 0x0f {
                    if let Some((link, bytes)) = devices[from].leave() {
                        devices[to].handle(now_ms, entropy, Input::Message { link, bytes });
                    }
                }
                continue;
            }
            _ => {
                (0..=with & 0x0f).for_each(|_| devices[me].persist(now_ms));
                continue;
            }
        };
        devices[me].handle(now_ms, entropy, input);
    }
    devices
}

fn request(with: u8) -> Command {
    Command::Request {
        currency: None,
        amount: Amount::new(u64::from(with >> 2)).ok().filter(|amount| !amount.is_zero()),
        memo: Text::default(),
        expires_s: 600,
        standing: with & 1 == 1,
        hints: List::default(),
    }
}

/// A payment between the two from end to end, and the same with the payer's device crashing.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let both = |what: u8, with: u8| [what << 1, with, what << 1 | 1, with];
    let talk = || (0..8).flat_map(|_| [both(70, 15), both(20, 15)]).flatten();
    let start = || {
        let mut bytes = Vec::new();
        bytes.extend(both(10, 0));
        bytes.extend(both(70, 15));
        bytes.extend([0, 6]);
        bytes.extend(talk());
        // The grant's first sequence number is 1.
        bytes.extend([9 << 1, 0]);
        bytes.extend([6 << 1 | 1, 40]);
        bytes.extend(both(70, 15));
        bytes.extend([7 << 1, 10]);
        bytes
    };
    let whole: Vec<u8> = start().into_iter().chain(talk()).collect();
    let crashed: Vec<u8> =
        start().into_iter().chain(both(70, 15)).chain([12 << 1, 0, 0, 8]).chain(talk()).collect();
    vec![whole, crashed]
}

#[cfg(test)]
mod tests {
    use super::*;
    use hundi_ledger::replica::Key;

    #[test]
    fn the_seeds_pay() {
        for seed in seeds() {
            let [payer, payee] = run(&seed);
            assert_eq!(payer.own.len(), 2, "one grant request, one payment, crash or not");
            let receipts = |device: &Device| {
                device.items.0.keys().filter(|key| matches!(key, Key::Receipt(..))).count()
            };
            assert_eq!((receipts(&payer), receipts(&payee)), (1, 1));
        }
    }
}
