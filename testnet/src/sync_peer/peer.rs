//! A node that does nothing by itself: what it holds, and one session at a time.

use super::Answer;
use super::command::{Command, LineError, Opening};
use data_encoding::HEXLOWER;
use hundi_ledger::id::AuthorId;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::Network;
use hundi_ledger::replica::range::Range;
use hundi_ledger::replica::{Change, Key, Replica, Shelf, Status};
use hundi_ledger::sync::{Config, Out, Session, TAG_ITEM};
use std::collections::{BTreeMap, BTreeSet};

/// The tags of the two messages that open a session.
const OPENINGS: [u8; 2] = [1, 2];

/// One node.
pub(super) struct Peer {
    network: Network,
    own: BTreeSet<AuthorId>,
    scope: Range,
    replica: Replica,
    shelf: BTreeMap<Key, Vec<u8>>,
    /// Own authors and the scope stay as they are.
    begun: bool,
    link: Option<Link>,
}

/// The link of the last opening.
struct Link {
    opening: Opening,
    session: Option<Session>,
    /// Whether the session's opening message was said or heard.
    opened: bool,
    offered: BTreeSet<Key>,
}

impl Link {
    /// Ends the session that runs, keeping what its cache has offered.
    fn end(&mut self) {
        if let Some(session) = self.session.take() {
            self.offered = session.into_offered();
        }
    }
}

impl Peer {
    fn new(network: Network) -> Self {
        Self {
            own: BTreeSet::new(),
            scope: Range::ALL,
            replica: Replica::new(network.clone()),
            shelf: BTreeMap::new(),
            begun: false,
            link: None,
            network,
        }
    }

    /// Does what a line asks for; the first one makes the node.
    pub(super) fn carry_out(
        peer: &mut Option<Self>,
        command: Command,
        answer: &mut Answer,
    ) -> Result<(), LineError> {
        match command {
            Command::Quit => Ok(()),
            Command::Network(_) if peer.is_some() => Err(LineError::NetworkTwice),
            Command::Network(definition) => {
                let network = Network::decode(&definition).map_err(LineError::Network)?;
                *peer = Some(Self::new(network));
                Ok(())
            }
            command => peer.as_mut().ok_or(LineError::NoNetwork)?.command(command, answer),
        }
    }

    fn command(&mut self, command: Command, answer: &mut Answer) -> Result<(), LineError> {
        match command {
            Command::Network(_) | Command::Quit => {}
            Command::Own(_) | Command::Scope(_) if self.begun => return Err(LineError::TooLate),
            Command::Own(author) => {
                self.own.insert(author);
                self.begin_again();
            }
            Command::Scope(range) => {
                self.scope = range;
                self.begin_again();
            }
            Command::Item(item) => {
                let status = self.take(&item)?;
                answer.line(format_args!("taken {}", name(status)));
            }
            Command::Open(opening) => self.open(opening, answer),
            Command::Message(message) => return self.hear(&message, answer),
            Command::Digest => answer.line(format_args!("digest {}", self.replica.digest())),
            Command::Items => {
                let items = self.shelf.values();
                items.for_each(|item| answer.line(format_args!("item {}", HEXLOWER.encode(item))));
            }
        }
        Ok(())
    }

    /// Own authors' items are kept wherever they lie.
    fn begin_again(&mut self) {
        self.replica = Replica::scoped(self.network.clone(), self.scope, self.own.clone());
    }

    fn take(&mut self, bytes: &[u8]) -> Result<Status, LineError> {
        self.begun = true;
        let item = Item::decode(&self.network.id(), bytes)?;
        let item = self.replica.trust().verify(item)?;
        let applied = self.replica.apply(item, &self.shelf);
        for change in applied.changes {
            match change {
                Change::Put { key, bytes } => drop(self.shelf.insert(key, bytes)),
                Change::Delete { key } => drop(self.shelf.remove(&key)),
            }
        }
        Ok(applied.status)
    }

    /// Opens a session, in the place of one that runs. What was offered on a link is not offered
    /// on it again.
    fn open(&mut self, opening: Opening, answer: &mut Answer) {
        self.begun = true;
        let before = self.link.take().map(|mut link| {
            link.end();
            (link.opening.handshake_hash, link.offered)
        });
        let same = before.filter(|(hash, _)| *hash == opening.handshake_hash);
        let offered = same.map_or_else(BTreeSet::new, |(_, offered)| offered);
        let config = Config {
            own: self.own.clone(),
            others_items_max: usize::MAX,
            force: opening.force,
            differs: opening.differs,
            offered,
            ..Config::default()
        };
        let (initiator, hash) = (opening.initiator, &opening.handshake_hash);
        let (session, outs) = Session::open(initiator, hash, &self.replica, &self.shelf, config);
        let link =
            Link { opening, session: Some(session), opened: initiator, offered: BTreeSet::new() };
        self.link = Some(link);
        self.say(outs, answer);
    }

    /// Takes a message of the other side. What comes before the opening or after the end was meant
    /// for another session; an item may come at any time.
    fn hear(&mut self, message: &[u8], answer: &mut Answer) -> Result<(), LineError> {
        let tag = message.first().copied();
        if tag != Some(TAG_ITEM) {
            let link = self.link.as_ref().ok_or(LineError::NoSession)?;
            if !link.opening.initiator && tag.is_some_and(|tag| OPENINGS.contains(&tag)) {
                self.opened_by_the_other_side(answer);
            }
        }
        let running = self.link.as_mut().filter(|link| link.opened || tag == Some(TAG_ITEM));
        let Some(session) = running.and_then(|link| link.session.as_mut()) else {
            match message {
                [TAG_ITEM, item @ ..] => {
                    answer.line(format_args!("taken {}", name(self.take(item)?)))
                }
                _ => answer.line(format_args!("ignored")),
            }
            return Ok(());
        };
        match session.handle(message, &self.replica, &self.shelf) {
            Ok(outs) if outs.is_empty() && tag == Some(TAG_ITEM) => {
                answer.line(format_args!("taken unverified"));
            }
            Ok(outs) => self.say(outs, answer),
            Err(error) => {
                answer.line(format_args!("error session: {error}"));
                answer.line(format_args!("done false"));
                self.link.iter_mut().for_each(Link::end);
            }
        }
        Ok(())
    }

    /// An opening that comes while a session runs, or after one, begins another.
    fn opened_by_the_other_side(&mut self, answer: &mut Answer) {
        let again = self.link.as_ref().filter(|link| link.opened).map(|link| link.opening);
        if let Some(opening) = again {
            self.open(opening, answer);
        }
        self.link.iter_mut().for_each(|link| link.opened = true);
    }

    /// Carries out what a session asks for, in its order.
    fn say(&mut self, outs: Vec<Out>, answer: &mut Answer) {
        for out in outs {
            match out {
                Out::Send(message) => {
                    answer.line(format_args!("message {}", HEXLOWER.encode(&message)))
                }
                Out::SendItem(key) => {
                    // What was dropped since is not held any more, and not said.
                    if let Some(item) = self.shelf.item(&key) {
                        let message = [&[TAG_ITEM][..], &item].concat();
                        answer.line(format_args!("message {}", HEXLOWER.encode(&message)));
                    }
                }
                Out::Received(item) => match self.take(&item) {
                    Ok(status) => answer.line(format_args!("taken {}", name(status))),
                    Err(error) => answer.line(format_args!("error {error}")),
                },
                Out::Done { in_sync } => {
                    answer.line(format_args!("done {in_sync}"));
                    self.link.iter_mut().for_each(Link::end);
                }
            }
        }
    }
}

fn name(status: Status) -> &'static str {
    match status {
        Status::Stored => "stored",
        Status::Cached => "cached",
        Status::Known => "known",
        Status::Decided => "decided",
        Status::MissingGrant => "missing-grant",
        Status::BeyondWindow => "beyond-window",
        Status::Refused => "refused",
    }
}
