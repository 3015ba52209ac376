//! The engine: one device, minus IO. It dispatches inputs, numbers persists, and stands still once
//! a persist has failed. What arrives is taken in `relay`, links are served in `links`, and money
//! is [`crate::wallet`]'s.

use crate::input::{Command, Input, LinkId};
use crate::limits::{PUBLISH_ITEMS_MAX, RESIDENT_AUTHORS_MAX, SYNC_INTERVAL_MS};
use crate::links::Link;
use crate::output::{Answer, Event, Output, Outputs, Published, Verdict};
use crate::relay::Source;
use crate::step::{Step, Stored, View};
use crate::wallet::{SignError, Unable, Wallet};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use hundi_ledger::id::{AuthorId, Hash, NetworkId};
use hundi_ledger::replica::author::Author;
use hundi_ledger::replica::bank::Fault;
use hundi_ledger::replica::{Key, Replica, Shelf};
use hundi_ledger::seal::SealingSecret;
use hundi_ledger::sign::{SecretKey, Verifier};

/// The secrets of one author. They enter once and appear in no input, output or stored state.
#[derive(Debug)]
pub struct Keys {
    /// The author.
    pub author: AuthorId,
    /// Its signing key.
    pub signing: SecretKey,
    /// Its sealing key, the one that its grants name.
    pub sealing: SealingSecret,
}

/// How this engine behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// Milliseconds between sync sessions on one link; doubles on quiet links, up to eight times.
    pub sync_interval_ms: u64,
    /// Whether to prove the author's key on every link. Peers then know who is near, and give
    /// others' entries without a budget.
    pub prove_links: bool,
    /// What a device with a small budget keeps of others: the payments of one in 2ⁿ authors, its own
    /// among them; 0 for those of all. Freezes and proofs are kept of everybody.
    pub scope_bits: u8,
    /// Whether to report, with [`Event::Intake`], what a bank wants although no relay carries it.
    pub intake: bool,
    /// Authors kept in memory between calls; the others are read when they are asked for.
    pub resident_authors: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sync_interval_ms: SYNC_INTERVAL_MS,
            prove_links: true,
            scope_bits: 0,
            intake: false,
            resident_authors: RESIDENT_AUTHORS_MAX,
        }
    }
}

/// How the engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whose device this is; none for a relay.
    pub author: Option<AuthorId>,
    /// Whether the author's key has stopped signing for good.
    pub stopped: bool,
    /// Whether a persist has failed.
    pub failed: bool,
    /// The last persist that was given out, and the last that is durable.
    pub persists: (u64, u64),
    /// The digest of the core.
    pub digest: Hash,
    /// Authors known.
    pub authors: usize,
    /// Entries in the core.
    pub entries: usize,
    /// Entries and receipts in the cache.
    pub cached: usize,
    /// Authors proven to have contradicted themselves.
    pub proven: Vec<AuthorId>,
    /// Faults of banks kept as evidence.
    pub faults: usize,
    /// Links that are up.
    pub links: usize,
}

/// One device of the mesh.
pub struct Engine {
    pub(crate) config: Config,
    pub(crate) network: NetworkId,
    pub(crate) replica: Replica,
    pub(crate) wallet: Option<Wallet>,
    pub(crate) links: BTreeMap<LinkId, Link>,
    pub(crate) faults: BTreeSet<Hash>,
    /// What loading found in the store beyond what is held; deleted with the first call.
    pub(crate) superfluous: Vec<Key>,
    /// Summaries that it found and that do not hold, with the mark; deleted likewise.
    pub(crate) stale: Vec<Vec<u8>>,
    /// Whether every author has a summary stored.
    pub(crate) summarised: bool,
    /// When everything that waits for a verdict was judged last.
    pub(crate) judged_ms: u64,
    pub(crate) stored: Stored,
    pub(crate) verifier: Verifier,
    last: u64,
    durable: u64,
    failed: bool,
}

impl Engine {
    pub(crate) fn assemble(config: Config, replica: Replica, wallet: Option<Wallet>) -> Self {
        Self {
            config,
            network: replica.network(),
            replica,
            wallet,
            links: BTreeMap::new(),
            faults: BTreeSet::new(),
            superfluous: Vec::new(),
            stale: Vec::new(),
            summarised: false,
            judged_ms: 0,
            stored: Stored::default(),
            verifier: Verifier::default(),
            last: 0,
            durable: 0,
            failed: false,
        }
    }

    /// What verifies all that arrives. Devices in one process may share one that remembers, by
    /// swapping it in for a call.
    pub fn verifier(&mut self) -> &mut Verifier {
        &mut self.verifier
    }

    /// Takes one input and says what to do next. `now_ms` is the driver's clock in Unix
    /// milliseconds; `entropy` is fresh and secret in every call; `shelf` shows what is durable at
    /// least, and may show writes that are not durable yet.
    pub fn handle(
        &mut self,
        now_ms: u64,
        entropy: [u8; 32],
        input: Input,
        shelf: &dyn Shelf,
    ) -> Outputs {
        match &input {
            Input::Persisted { number } => {
                self.durable = self.durable.max((*number).min(self.last));
                self.stored.durable(self.durable);
                return Outputs::default();
            }
            Input::PersistFailed => {
                self.failed = true;
                self.links.values_mut().for_each(Link::end_session);
            }
            _ => {}
        }
        if self.failed {
            return refuse(input);
        }
        let stored = core::mem::take(&mut self.stored);
        let mut step = Step::new(now_ms, entropy, self.network, shelf, stored, self.last);
        for key in core::mem::take(&mut self.superfluous) {
            step.delete_item(key);
        }
        for key in core::mem::take(&mut self.stale) {
            step.write_summary(key, None);
        }
        self.dispatch(&mut step, input);
        self.write_summaries(&mut step);
        self.wake(&mut step);
        let (outputs, last, stored) = step.finish();
        self.last = last;
        self.stored = stored;
        // What has changed is in `stored` by now.
        self.replica.evict(self.config.resident_authors);
        Outputs(outputs)
    }

    fn dispatch(&mut self, step: &mut Step<'_>, input: Input) {
        match input {
            Input::LinkUp { link, handshake_hash, initiator, kind } => {
                self.link_up(step, link, Link::new(step.now_ms, handshake_hash, initiator, kind));
            }
            Input::LinkDown { link } => {
                self.links.remove(&link);
            }
            Input::Message { link, bytes } => self.message(step, link, &bytes),
            Input::Gossip { handle, bytes } => {
                let verdict = match self.take(step, &bytes, Source::Gossip) {
                    Published::Taken => Verdict::Accept,
                    Published::Invalid => Verdict::Reject,
                    _ => Verdict::Ignore,
                };
                step.say(Output::GossipVerdict { after: 0, handle, verdict });
            }
            Input::Tick => self.tick(step),
            Input::Command { id, command } => {
                let answer = self.command(step, command);
                step.answer(id, answer);
            }
            Input::Persisted { .. } | Input::PersistFailed => {}
        }
    }

    fn command(&mut self, step: &mut Step<'_>, command: Command) -> Answer {
        match command {
            Command::Request { currency, amount, memo, expires_s, standing, hints } => {
                Answer::Request(
                    self.request(step, currency, amount, memo, expires_s, standing, hints),
                )
            }
            Command::Pay { request, amount, memo, category, again } => {
                Answer::Pay(self.pay(step, &request, amount, memo, category, again))
            }
            Command::Refund { payment, sum, memo } => {
                Answer::Refund(self.refund(step, payment, sum, memo))
            }
            Command::Close => Answer::Close(self.close(step)),
            Command::RequestGrant { limit } => {
                Answer::RequestGrant(self.request_grant(step, limit))
            }
            Command::Publish { items } => {
                let items = items.iter().take(PUBLISH_ITEMS_MAX);
                Answer::Publish(items.map(|item| self.take(step, item, Source::Local)).collect())
            }
        }
    }

    pub(crate) fn note_fault(&mut self, step: &mut Step<'_>, fault: Fault) {
        let Fault { arrived, held } = fault;
        if self.faults.len() >= crate::limits::FAULTS_MAX || !self.faults.insert(held) {
            return;
        }
        step.put_state(crate::wallet::record::fault_key(&held), &arrived);
        step.event(Event::BankFault { held, arrived });
    }

    /// What is known about an author. `shelf` as in [`Engine::handle`].
    pub fn author(&self, author: &AuthorId, shelf: &dyn Shelf) -> Option<&Author> {
        self.replica.author(author, &self.view(shelf))
    }

    /// The driver's shelf as this engine reads it: with what has been given out and is not durable
    /// yet, and without what only the wallet keeps.
    pub fn view<'a>(&'a self, shelf: &'a dyn Shelf) -> impl Shelf + 'a {
        View { network: self.network, shelf, stored: &self.stored }
    }

    /// The replica: everything that this node knows. Authors are read with [`Engine::author`].
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The digest of the core: equal exactly where the core is equal.
    pub fn digest(&self) -> Hash {
        self.replica.digest()
    }

    /// How the engine is.
    pub fn status(&self) -> Status {
        Status {
            author: self.wallet.as_ref().map(|wallet| wallet.keys.author),
            stopped: self.wallet.as_ref().is_some_and(|wallet| wallet.log.is_stopped()),
            failed: self.failed,
            persists: (self.last, self.durable),
            digest: self.digest(),
            authors: self.replica.authors().len(),
            entries: self.replica.entries_len(),
            cached: self.replica.cached_len(),
            proven: self.replica.proven().copied().collect(),
            faults: self.faults.len(),
            links: self.links.len(),
        }
    }

    /// The keys of everything that this node holds, in the order in which another node can take
    /// it: what an export to a file writes. `shelf` as in [`Engine::handle`].
    pub fn keys(&self, shelf: &dyn Shelf) -> Vec<Key> {
        let mut keys = Vec::new();
        let trust = self.replica.trust();
        keys.extend(trust.certificates().map(|held| Key::Certificate(held.bank, held.number)));
        self.replica.for_each_author(&self.view(shelf), |id, author| {
            keys.extend(author.grants().map(|grant| Key::Grant(*id, grant.serial)));
            keys.extend(author.checkpoint().map(|_| Key::Checkpoint(*id)));
            keys.extend(author.freeze().map(|_| Key::Freeze(*id)));
            keys.extend(author.proof().map(|_| Key::Proof(*id)));
            keys.extend(author.entries().map(|claim| Key::Entry(*id, claim.id)));
            keys.extend(author.cached().map(|claim| Key::Entry(*id, claim.id)));
        });
        keys.extend(self.replica.receipts().map(|(signer, id)| Key::Receipt(*signer, *id)));
        let held: BTreeSet<Key> = keys.iter().copied().collect();
        keys.extend(self.own_keys().into_iter().filter(|key| !held.contains(key)));
        let banks = &trust.network().definition().banks;
        let told = banks.iter().filter(|bank| self.replica.bulletin(bank.number).is_some());
        keys.extend(told.map(|bank| Key::Bulletin(bank.number)));
        keys
    }
}

/// What an engine whose store has failed still says: that it does nothing.
fn refuse(input: Input) -> Outputs {
    let unable = Unable::StoreFailed;
    let output = match input {
        Input::Gossip { handle, .. } => {
            Output::GossipVerdict { after: 0, handle, verdict: Verdict::Ignore }
        }
        Input::Command { id, command } => {
            let sign = SignError::Unable(unable);
            let answer = match command {
                Command::Request { .. } => Answer::Request(Err(unable.into())),
                Command::Pay { .. } => Answer::Pay(Err(sign.into())),
                Command::Refund { .. } => Answer::Refund(Err(sign.into())),
                Command::Close => Answer::Close(Err(sign)),
                Command::RequestGrant { .. } => Answer::RequestGrant(Err(sign)),
                Command::Publish { items } => {
                    let count = items.len().min(PUBLISH_ITEMS_MAX);
                    Answer::Publish(alloc::vec![Published::Failed; count])
                }
            };
            Output::Answer { after: 0, id, answer }
        }
        _ => return Outputs::default(),
    };
    Outputs(alloc::vec![output])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_may_own_it() {
        fn sendable<T: Send + 'static>() {}
        sendable::<Engine>();
    }
}
