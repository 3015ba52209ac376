//! Entries signed by hand, whatever they say: for adversaries that do not keep the rules of a log.

use super::super::identity::{Identity, bank_keys};
use super::super::world::World;
use hundi_ledger::body::{Payment, Plaintext, Refund};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{Hash, RequestId, SealingKey, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::offer::Offer;
use hundi_ledger::record::VERSION;
use hundi_ledger::record::entry::{Entry, Header, Kind, Position, SignedHeader, body_hash};
use hundi_ledger::record::item::Item;
use hundi_ledger::replica::{Key, Shelf};
use hundi_ledger::request::PaymentRequest;
use hundi_ledger::seal::{self, ContentKey};
use hundi_ledger::sync::TAG_ITEM;

const TAG_OFFER: u8 = 16;

/// Where in its log, and what of its grant, an entry says to be.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) sequence: u32,
    pub(super) previous: Hash,
    pub(super) serial: Serial,
    /// Where the claimed interval starts, minor units.
    pub(super) start: u64,
    pub(super) time: u32,
    /// Sealed under a key that the bank does not derive.
    pub(super) wrong_key: bool,
}

/// A payment at a place, of so much, to whoever made the request.
pub(super) fn payment(
    world: &World,
    identity: Identity,
    place: &Place,
    minor: u64,
    request: &PaymentRequest,
) -> Option<Entry> {
    let plaintext = Plaintext::Payment(Payment {
        payee: request.payee,
        request: request.request,
        memo: Text::default(),
        category: 0,
        place: None,
        group: None,
    });
    sign(world, identity, place, minor, &plaintext, &request.payee_sealing)
}

/// A refund that spends nothing: it moves what `original` paid to its author back to its payer.
pub(super) fn refund(
    world: &World,
    identity: Identity,
    sequence: u32,
    previous: Hash,
    original: &Entry,
    payer_sealing: &SealingKey,
) -> Option<Entry> {
    let header = original.header();
    let (serial, time) = (Serial::ENROLMENT, header.time);
    let place = Place { sequence, previous, serial, start: 0, time, wrong_key: false };
    let plaintext = Plaintext::Refund(Refund {
        payee: header.author,
        original: original.id(),
        sum: header.amount,
        memo: Text::default(),
    });
    sign(world, identity, &place, 0, &plaintext, payer_sealing)
}

fn sign(
    world: &World,
    identity: Identity,
    place: &Place,
    minor: u64,
    plaintext: &Plaintext,
    payee_sealing: &SealingKey,
) -> Option<Entry> {
    let network = world.network.id();
    let keys = identity.keys();
    let kind = match plaintext {
        Plaintext::Refund(_) => Kind::REFUND,
        _ => Kind::PAYMENT,
    };
    let position = match place.sequence {
        0 => Position::First,
        sequence => Position::After { sequence, previous: place.previous },
    };
    let mut header = Header {
        version: VERSION,
        kind,
        author: keys.author,
        position,
        time: place.time,
        serial: place.serial,
        amount: Amount::new(minor).ok()?,
        spent_total: Amount::new(place.start + minor).ok()?,
        body_hash: Hash([0; 32]),
    };
    let bank = bank_keys(world.seed, identity.author().bank).sealing.first()?.public();
    let bank = keys.sealing.agree(&bank).ok()?;
    let payee = keys.sealing.agree(payee_sealing).ok()?;
    let key = match place.wrong_key {
        true => ContentKey::from_bytes([9; 32]),
        false => seal::content_key(&network, &bank, &header.head()),
    };
    let body = seal::seal(&network, &header.head(), &key, Some(&payee), plaintext);
    header.body_hash = body_hash(&network, &body);
    Some(Entry::sign(&network, header, body, &keys.signing).ok()?.into_inner())
}

/// The request that a payee with these keys would show.
pub(super) fn request(world: &World, payee: Identity, time: u32) -> Option<PaymentRequest> {
    Some(PaymentRequest {
        version: VERSION,
        network: world.network.id(),
        payee: payee.author(),
        payee_sealing: payee.keys().sealing.public(),
        request: RequestId([7; 8]),
        currency: Currency::new("INR").ok()?,
        amount: None,
        expires: time + 900,
        memo: Text::default(),
        hints: List::default(),
    })
}

/// A frame that carries an entry.
pub(super) fn as_item(entry: &Entry) -> Vec<u8> {
    [&[TAG_ITEM], Item::Entry(entry.clone()).encode().as_slice()].concat()
}

/// A frame that offers an entry to its payee, with what the node's own disk has to back it.
pub(super) fn as_offer(
    world: &mut World,
    me: u32,
    entry: &Entry,
    previous: Option<SignedHeader>,
) -> Option<Vec<u8>> {
    let author = entry.header().author;
    let disk = &world.node(me).device.disk;
    let keys = [
        Key::Certificate(author.bank, 1),
        Key::Certificate(author.bank, 2),
        Key::Grant(author, Serial(0)),
        Key::Grant(author, entry.header().serial),
        Key::Checkpoint(author),
    ];
    let records = keys.iter().filter_map(|key| disk.item(key));
    let records = records.map(List::new).collect::<Result<Vec<_>, _>>().ok()?;
    let offer = Offer {
        records: List::new(records).ok()?,
        previous,
        entry: List::new(Item::Entry(entry.clone()).encode()).ok()?,
    };
    Some([&[TAG_OFFER], offer.encode().as_slice()].concat())
}
