//! The ledger's decoders: what decodes has one spelling.

use crate::world;
use hundi_ledger::body::Plaintext;
use hundi_ledger::codec;
use hundi_ledger::id::Hash;
use hundi_ledger::limits::ITEM_BYTES_MAX;
use hundi_ledger::offer::Offer;
use hundi_ledger::record::entry::{Entry, Kind};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::Network;
use hundi_ledger::record::proof::Proof;
use hundi_ledger::record::receipt::{STATEMENT_BYTES, Statement};
use hundi_ledger::request::PaymentRequest;
use hundi_ledger::seal;

/// An item that decodes encodes to the same bytes, and verifying it ends.
pub(crate) fn item(bytes: &[u8]) {
    let world = world::world();
    let Ok(item) = Item::decode(&world.network.id(), bytes) else { return };
    assert_eq!(item.encode(), bytes);
    assert!(bytes.len() <= ITEM_BYTES_MAX);
    let (id, subject) = (item.id(), item.subject());
    let again = Item::decode(&world.network.id(), bytes);
    assert!(again.is_ok_and(|again| (again.id(), again.subject()) == (id, subject)));
    let _ = world.trust.verify(item);
}

/// A network that decodes encodes to the same bytes.
pub(crate) fn network(bytes: &[u8]) {
    if let Ok(network) = Network::decode(bytes) {
        assert_eq!(network.encode(), bytes);
        assert!(Network::new(network.definition().clone()).is_ok_and(|same| same == network));
    }
}

/// A proof that decodes is of two headers that contradict each other either way round.
pub(crate) fn proof(bytes: &[u8]) {
    let network = world::world().network.id();
    let Ok(proof) = Proof::decode(&network, bytes) else { return };
    assert_eq!(proof.encode(), bytes);
    let [a, b] = proof.claims();
    assert!(a.contradicts(b) && b.contradicts(a) && !a.contradicts(a));
    let _ = proof.verify();
}

/// An entry that decodes has one spelling; whatever its body is, opening it ends, and only with the
/// commitment kept.
pub(crate) fn entry(bytes: &[u8]) {
    let world = world::world();
    let network = world.network.id();
    let Ok(entry) = Entry::decode(&network, bytes) else { return };
    assert_eq!(entry.encode(), bytes);
    let (header, body) = (entry.header(), entry.body());
    let key = seal::content_key(&network, &world.bank_and_payer, &header.head());
    if let Ok(opened) = seal::open(&network, header, body, &key) {
        let plaintext = Plaintext::decode(header.kind, &opened.plaintext.encode());
        assert!(plaintext.is_ok_and(|plaintext| plaintext == opened.plaintext));
    }
    if let Ok(opened) = seal::open_as_payee(&network, header, body, &world.payee_and_payer) {
        let again = seal::open(&network, header, body, &opened.key);
        assert!(again.is_ok_and(|again| again == opened));
    }
}

/// The first byte chooses the kind; a plaintext that decodes has one spelling.
pub(crate) fn plaintext(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    if let Ok(plaintext) = Plaintext::decode(Kind(*kind), bytes) {
        assert_eq!(plaintext.encode(), bytes);
    }
    if let Ok(statement) = codec::decode::<Statement>(bytes, STATEMENT_BYTES) {
        assert_eq!(codec::encode(&statement), bytes);
    }
}

/// A receipt opens for the payer and the bank alike, or for neither.
pub(crate) fn receipt(bytes: &[u8]) {
    let world = world::world();
    let network = world.network.id();
    let tagged = [&[8], bytes].concat();
    let Ok(Item::Receipt(receipt)) = Item::decode(&network, &tagged) else { return };
    assert_eq!(receipt.encode(), bytes);
    if let Some((statement, key)) =
        seal::receipt::open_as_bank(&network, &receipt, &world.bank_and_payee)
    {
        assert_eq!(seal::receipt::open(&network, &receipt, &key), Some(statement));
    }
}

/// An offer that decodes has one spelling, and its items decode or do not.
pub(crate) fn offer(bytes: &[u8]) {
    let world = world::world();
    let network = world.network.id();
    let Ok(offer) = Offer::decode(bytes) else { return };
    assert_eq!(offer.encode(), bytes);
    for record in offer.records.iter() {
        item(record);
    }
    item(&offer.entry);
    if let Some(previous) = offer.previous {
        let id: Hash = previous.header.id(&network);
        if let Ok(verified) = previous.verify(&network) {
            assert_eq!(verified.header.id(&network), id);
        }
    }
}

/// A request that parses prints to text that parses to the same request.
pub(crate) fn request(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(request) = PaymentRequest::parse(text) else { return };
    let again = PaymentRequest::parse(&request.to_uri());
    assert!(again.is_ok_and(|again| again == request));
}
