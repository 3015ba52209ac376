//! Preparing: what is known of submitted items before the books are asked. Decoding needs nothing
//! but the bytes. Then signatures are verified in batches and bodies are opened, by the bank itself
//! or ahead of it by as many threads as there are, each with a [`Part`].
//!
//! That a signature holds is a fact wherever it was found. What a body says is a hint: it names the
//! keys under which it was read, and the bank reads for itself unless its books name the same ones.
//! Whatever nobody has prepared, the bank prepares when it decides, so that the answers are the
//! same whoever prepares how much.

use crate::bank::Bank;
use crate::input::Keys;
use crate::limits::{ITEMS_PER_SUBMISSION_MAX, PART_ITEMS_MIN, VERIFIED_AGAIN_TOGETHER};
use crate::state::State;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;
use hundi_ledger::body::Plaintext;
use hundi_ledger::id::{Hash, NetworkId, PublicKey, SealingKey, Signature};
use hundi_ledger::record::entry::{Entry, Header, Kind};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::receipt::Receipt;
use hundi_ledger::record::{Signed, Verified};
use hundi_ledger::seal::shared::SharedSecrets;
use hundi_ledger::seal::{OpenError, content_key, open};
use hundi_ledger::sign::{SignatureError, Verifier};

/// Submitted items, decoded, and prepared as far as somebody has prepared them.
#[derive(Clone, Debug)]
pub struct Submission {
    network: NetworkId,
    pub(crate) pieces: Vec<Piece>,
}

/// One item of a submission.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // Nearly all are entries, the largest.
pub(crate) enum Piece {
    /// Not looked at: there are too many, or it was given away and has not come back.
    Absent,
    /// Not an item.
    Malformed,
    /// A proof, or a record of a bank.
    Record(Item),
    /// With the hash of its complete bytes, and what its body says if that was read.
    Entry {
        bytes: Hash,
        entry: Checked<Entry>,
        reading: Option<Reading>,
    },
    Receipt(Checked<Signed<Receipt>>),
}

const _: () = assert!(size_of::<Piece>() <= 1024, "what a decoded item takes, but for its body");

/// Something with a signature, and how far that was looked at.
#[derive(Clone, Debug)]
pub(crate) enum Checked<T> {
    Unverified(T),
    Verified(Verified<T>),
    /// The id of what is not signed by whom it names.
    Forged(Hash),
}

impl<T> Checked<T> {
    fn check(&mut self, id: Hash, verify: impl FnOnce(T) -> Result<Verified<T>, SignatureError>) {
        *self = match mem::replace(self, Checked::Forged(id)) {
            Checked::Unverified(thing) => {
                verify(thing).map_or(Checked::Forged(id), Checked::Verified)
            }
            checked => checked,
        };
    }
}

/// The bank's sealing key and an author's: what they share opens the author's entries.
pub(crate) type Pair = (SealingKey, SealingKey);

/// What a body says under the key that a pair derives.
pub(crate) type Opened = Result<Plaintext, OpenError>;

/// What a body was found to say, and the pair that it was read with.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) pair: Pair,
    pub(crate) opened: Opened,
}

impl Submission {
    /// One without items.
    pub fn new(network: &NetworkId) -> Self {
        Self { network: *network, pieces: Vec::new() }
    }

    /// Decodes items.
    pub fn decode(network: &NetworkId, items: &[Vec<u8>]) -> Self {
        let mut submission = Self::new(network);
        submission.pieces.reserve_exact(items.len());
        for bytes in items {
            if submission.is_full() {
                submission.pieces.push(Piece::Absent);
                continue;
            }
            match Item::decode(network, bytes) {
                Ok(item) => submission.pieces.push(Piece::new(bytes, item)),
                Err(_) => submission.pieces.push(Piece::Malformed),
            }
        }
        submission
    }

    /// Adds an item that was decoded from `bytes`, in the same network. One that is full does not
    /// look at it.
    pub fn push(&mut self, bytes: &[u8], item: Item) {
        let full = self.is_full();
        self.pieces.push(if full { Piece::Absent } else { Piece::new(bytes, item) });
    }

    /// Whether it has as many items as are looked at.
    pub fn is_full(&self) -> bool {
        self.pieces.len() >= ITEMS_PER_SUBMISSION_MAX
    }

    /// The id of every item; none where it is not one.
    pub fn ids(&self) -> impl Iterator<Item = Option<Hash>> {
        self.pieces.iter().map(Piece::id)
    }

    /// How many items it has.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

impl Piece {
    fn new(bytes: &[u8], item: Item) -> Self {
        match item {
            Item::Entry(entry) => Piece::Entry {
                bytes: Hash(*blake3::hash(bytes).as_bytes()),
                entry: Checked::Unverified(entry),
                reading: None,
            },
            Item::Receipt(receipt) => Piece::Receipt(Checked::Unverified(receipt)),
            record => Piece::Record(record),
        }
    }

    fn id(&self) -> Option<Hash> {
        match self {
            Piece::Absent | Piece::Malformed => None,
            Piece::Record(item) => Some(item.id()),
            Piece::Entry { entry: Checked::Unverified(entry), .. } => Some(entry.id()),
            Piece::Entry { entry: Checked::Verified(entry), .. } => Some(entry.id()),
            Piece::Receipt(Checked::Unverified(receipt)) => Some(receipt.id()),
            Piece::Receipt(Checked::Verified(receipt)) => Some(receipt.id()),
            Piece::Entry { entry: Checked::Forged(id), .. }
            | Piece::Receipt(Checked::Forged(id)) => Some(*id),
        }
    }

    /// What verifies it: key, id and signature; none unless that is due.
    fn claim(&self) -> Option<(PublicKey, Hash, Signature)> {
        match self {
            Piece::Entry { entry: Checked::Unverified(entry), .. } => {
                Some((entry.header().author.key, entry.id(), entry.signature()))
            }
            Piece::Receipt(Checked::Unverified(receipt)) => {
                Some((receipt.signer.key, receipt.id(), receipt.signature()))
            }
            _ => None,
        }
    }
}

/// One thread's share of preparing some submissions: entries and receipts by ascending signer,
/// because a batch shares work between the signatures of one key.
#[derive(Debug)]
pub struct Part {
    network: NetworkId,
    tasks: Vec<Task>,
}

#[derive(Debug)]
struct Task {
    /// The submission, and the item in it.
    at: (usize, usize),
    piece: Piece,
    /// What opens it by the books.
    pair: Option<Pair>,
}

impl Bank {
    /// Takes out of submissions what is to be prepared, for so many threads. What the bank has
    /// recorded already is not, and of the same bytes only the first.
    pub fn divide(&self, submissions: &mut [&mut Submission], threads: usize) -> Vec<Part> {
        let network = self.network.id();
        let (mut tasks, mut seen) = (Vec::new(), BTreeSet::new());
        for (of, submission) in submissions.iter_mut().enumerate() {
            // Ids are hashes that name the network: what another one's id signs is signed here.
            assert_eq!(submission.network, network, "a submission to another network's bank");
            for (at, piece) in submission.pieces.iter_mut().enumerate() {
                let new = match piece {
                    Piece::Entry { bytes, .. } => seen.insert(*bytes),
                    _ => true,
                };
                let pair = match piece {
                    Piece::Entry { bytes, entry: Checked::Unverified(entry), .. }
                        if new && !self.state.holds(entry, bytes) =>
                    {
                        self.state.pair_of(entry.header())
                    }
                    Piece::Receipt(Checked::Unverified(it)) if self.state.may_take(it) => None,
                    _ => continue,
                };
                let piece = mem::replace(piece, Piece::Absent);
                tasks.push(Task { at: (of, at), piece, pair });
            }
        }
        tasks.sort_by_cached_key(|task| task.piece.claim().map(|(signer, ..)| signer));
        let size = tasks.len().div_ceil(threads.max(1)).max(PART_ITEMS_MIN);
        let mut parts = Vec::new();
        while !tasks.is_empty() {
            let rest = tasks.split_off(tasks.len().min(size));
            parts.push(Part { network, tasks: mem::replace(&mut tasks, rest) });
        }
        parts
    }
}

impl State {
    /// Whether these very bytes are recorded.
    fn holds(&self, entry: &Entry, bytes: &Hash) -> bool {
        self.entries.get(&entry.id()).is_some_and(|held| held.bytes == Some(*bytes))
    }

    /// Whether a receipt is for this bank, and new.
    fn may_take(&self, receipt: &Signed<Receipt>) -> bool {
        receipt.payer_bank == self.bank && !self.receipts.contains(&receipt.id())
    }

    /// What opens an entry of a kind that the bank reads: the sealing key that its grant names, and
    /// its author's.
    pub(crate) fn pair_of(&self, header: &Header) -> Option<Pair> {
        let read = matches!(header.kind, Kind::PAYMENT | Kind::REFUND | Kind::GRANT_REQUEST);
        let author = self.authors.get(&header.author.key).filter(|_| read)?;
        let grant = author.grants.get(&header.serial)?;
        Some((grant.grant.bank_sealing, author.sealing))
    }
}

impl Part {
    /// Verifies everything in one batch, and opens the entries that hold. `seed` as for
    /// [`hundi_ledger::sign::verify_batch`].
    #[must_use]
    pub fn prepare(
        mut self,
        seed: [u8; 32],
        keys: &Keys,
        verifier: &mut Verifier,
        shared: &mut SharedSecrets,
    ) -> Self {
        let claims =
            |tasks: &[Task]| tasks.iter().filter_map(|it| it.piece.claim()).collect::<Vec<_>>();
        let all_hold = verifier.verify_ahead(&claims(&self.tasks), seed);
        // Who forges one item does not take the advantage of a batch from everybody else.
        for tasks in self.tasks.chunks_mut(VERIFIED_AGAIN_TOGETHER) {
            if !all_hold {
                verifier.verify_ahead(&claims(tasks), seed);
            }
            for task in tasks {
                task.verify(verifier);
                task.read(&self.network, keys, shared);
            }
        }
        self
    }

    /// How many items it has.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Puts everything back to where [`Bank::divide`] took it from.
    pub fn give_back(self, submissions: &mut [&mut Submission]) {
        for Task { at: (of, at), piece, .. } in self.tasks {
            let submission = submissions.get_mut(of);
            if let Some(place) = submission.and_then(|submission| submission.pieces.get_mut(at)) {
                *place = piece;
            }
        }
    }
}

impl Task {
    fn verify(&mut self, verifier: &mut Verifier) {
        let Some((_, id, _)) = self.piece.claim() else { return };
        match &mut self.piece {
            Piece::Entry { entry, .. } => entry.check(id, |entry| entry.verify_with(verifier)),
            Piece::Receipt(receipt) => receipt.check(id, |it| it.verify_with(verifier)),
            _ => {}
        }
    }

    fn read(&mut self, network: &NetworkId, keys: &Keys, shared: &mut SharedSecrets) {
        let Some(pair) = self.pair else { return };
        if let Piece::Entry { entry: Checked::Verified(entry), reading, .. } = &mut self.piece {
            let opened = read(network, entry.header(), entry.body(), pair, keys, shared);
            *reading = opened.map(|opened| Reading { pair, opened });
        }
    }
}

/// What a body says under the key that a pair derives; none without the bank's secret of the pair.
pub(crate) fn read(
    network: &NetworkId,
    header: &Header,
    body: &[u8],
    pair: Pair,
    keys: &Keys,
    shared: &mut SharedSecrets,
) -> Option<Opened> {
    let secret = keys.sealing_secret(&pair.0)?;
    let shared = shared.agree(secret, &pair.1).ok()?;
    let key = content_key(network, &shared, &header.head());
    Some(open(network, header, body, &key).map(|opened| opened.plaintext))
}
