//! Well-formed inputs of every target, from which a fuzzer starts. The example `seeds` writes them.

mod session;

use crate::world;
use hundi_ledger::body::{GrantRequest, Plaintext, Refund};
use hundi_ledger::codec::{List, Text, encode};
use hundi_ledger::id::{Hash, RequestId, SealingKey, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::offer::Offer;
use hundi_ledger::record::VERSION;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::receipt::{PayeeVerdict, Statement};
use hundi_ledger::request::PaymentRequest;
use hundi_transport_libp2p::opening::{self, Opening};
use hundi_transports::ble::advertisement::{Advertisement, Beacon};
use hundi_transports::ble::fragment::{Ack, Data, Fragment};
use hundi_transports::ble::hello::{Hello, Pattern};
use hundi_transports::ble::hint::Session;
use hundi_transports::ble::info::Info;
use hundi_transports::{container, frame, signal};

/// Inputs by target.
pub fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let world = world::world();
    let mut items = Vec::new();
    let mut seen = Vec::new();
    let all = world::full_node().shelf.0.values().chain(world.pool.iter().map(|(bytes, _)| bytes));
    for bytes in all {
        let count = seen.iter().filter(|tag| Some(*tag) == bytes.first()).count();
        if count < 3 {
            seen.extend(bytes.first().copied());
            items.push(bytes.clone());
        }
    }
    let records = |tag: u8| -> Vec<Vec<u8>> {
        let of_tag = items.iter().filter(|bytes| bytes.first() == Some(&tag));
        of_tag.map(|bytes| bytes[1..].to_vec()).collect()
    };
    let actions: Vec<Vec<u8>> = (1..9u8)
        .map(|step| (0..96u8).map(|at| at.wrapping_mul(step * 7).wrapping_add(step)).collect())
        .collect();
    vec![
        ("network", vec![world.network.encode()]),
        ("proof", records(6)),
        ("entry", records(7)),
        ("receipt", records(8)),
        ("plaintext", plaintexts()),
        ("offer", offers(&items)),
        ("request", requests()),
        ("replica", actions),
        ("session", session::sessions()),
        ("engine", crate::engine::seeds()),
        ("frame", vec![frames(), frames()[..20].to_vec()]),
        ("signal", signals()),
        ("container", containers(&items)),
        ("channel", vec![vec![9; 32], vec![9; 96], vec![9; 48]]),
        ("opening", openings()),
        ("ble", airs()),
        ("store", crate::store::seeds()),
        ("canary", vec![b"not yet".to_vec()]),
        ("item", items),
    ]
}

fn plaintexts() -> Vec<Vec<u8>> {
    let payee = world::world().payer;
    let refund = Plaintext::Refund(Refund {
        payee,
        original: Hash([1; 32]),
        sum: Amount::MAX,
        memo: Text::default(),
    });
    let request = Plaintext::GrantRequest(GrantRequest { serial: Serial(2), limit: Amount::MAX });
    let statement = Statement {
        entry: Hash([1; 32]),
        verdict: PayeeVerdict::Accepted,
        freezes_epoch: 1,
        checkpoint: 1,
    };
    let mut payment = vec![1];
    payment.extend(payee.to_bytes());
    payment.extend([7; 8]);
    payment.extend([3, b't', b'e', b'a', 1, 1, 1, 2, 3, 4, 1]);
    payment.extend([5; 8]);
    vec![
        payment,
        [&[2], &refund.encode()[..]].concat(),
        [&[3], &request.encode()[..]].concat(),
        [&[0], &encode(&statement)[..]].concat(),
    ]
}

fn requests() -> Vec<Vec<u8>> {
    let world = world::world();
    let request = |amount, hints: Vec<Text<128>>| PaymentRequest {
        version: VERSION,
        network: world.network.id(),
        payee: world.payer,
        payee_sealing: SealingKey([3; 32]),
        request: RequestId([4; 8]),
        currency: Currency::new("INR").unwrap_or_else(|_| panic!("a currency")),
        amount,
        expires: 9,
        memo: Text::default(),
        hints: List::new(hints).unwrap_or_default(),
    };
    let hint = Text::new("/ip4/127.0.0.1/tcp/1").unwrap_or_default();
    [request(None, vec![]), request(Some(Amount::MAX), vec![hint.clone(), hint])]
        .map(|request| request.to_uri().into_bytes())
        .into()
}

fn offers(items: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let network = world::world().network.id();
    let list = |bytes: &Vec<u8>| List::new(bytes.clone()).unwrap_or_default();
    let entries: Vec<_> = items
        .iter()
        .filter_map(|bytes| match Item::decode(&network, bytes) {
            Ok(Item::Entry(entry)) => Some((bytes, entry.signed_header())),
            _ => None,
        })
        .collect();
    let records = items.iter().take(5).map(list).collect();
    let records = List::new(records).unwrap_or_default();
    entries
        .iter()
        .take(2)
        .enumerate()
        .map(|(at, (bytes, header))| {
            let previous = (at > 0).then(|| header.clone());
            Offer { records: records.clone(), previous, entry: list(bytes) }.encode()
        })
        .collect()
}

fn frames() -> Vec<u8> {
    let bodies: [&[u8]; 3] = [b"frame", b"", &[7; 40]];
    bodies.iter().flat_map(|body| frame::encode(body, 64).unwrap_or_default()).collect()
}

fn signals() -> Vec<Vec<u8>> {
    vec![signal::encode_message(b"a message"), vec![], vec![1], vec![2, 0]]
}

fn containers(items: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let whole = container::encode(items.iter().take(4).map(Vec::as_slice)).unwrap_or_default();
    let cut = whole[..whole.len() / 2].to_vec();
    vec![container::encode([]).unwrap_or_default(), whole, cut]
}

fn openings() -> Vec<Vec<u8>> {
    let addresses = [vec![], vec!["127.0.0.1:4001", "[::1]:4001"]];
    let parsed =
        addresses.map(|texts| texts.into_iter().filter_map(|text| text.parse().ok()).collect());
    parsed.map(|listening| opening::encode(&Opening { nonce: [8; 32], listening })).into()
}

/// What is on the air and in a QR code, and the beginnings of links.
fn airs() -> Vec<Vec<u8>> {
    let beacon = Beacon { fingerprint: [7; 6], id: [8; 4] };
    let begin = |pattern, length: u8| {
        let mut bytes = Hello { pattern, tag: [1, 2] }.encode().to_vec();
        bytes.extend_from_slice(&[length, 0]);
        bytes.extend(std::iter::repeat_n(9, usize::from(length)));
        let data = Some(Data { number: 0, first: true, bytes: &bytes });
        let value = Fragment::Parts { ack: None, data }.encode();
        let ack = Some(Ack { next: 1, room: 32, beyond: 5 });
        let answer = Fragment::Parts { ack, data: None }.encode();
        let values = [value, answer, Fragment::Reset.encode()];
        values.iter().flat_map(|value| [&[value.len() as u8, 3], &value[..]].concat()).collect()
    };
    vec![
        Advertisement::Mesh(beacon).encode(),
        Advertisement::Payee([5; 16]).encode(),
        Info { psm: Some(0x85), unit_bytes_max: 2_048, beacon: Some(beacon) }.encode().to_vec(),
        Session { uuid: [5; 16], key: [6; 32], psm: None }.encode().into_bytes(),
        begin(Pattern::Stranger, 32),
        begin(Pattern::Payee, 96),
    ]
}
