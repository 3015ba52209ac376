//! What a payment costs on the air, counted with the records of the vectors: writes,
//! notifications, bytes and round trips. The tables of `docs/ble.md` are what is counted here.

use data_encoding::HEXLOWER;
use hundi_transports::ble::hint::Session;
use hundi_transports::ble::link::{Callee, Event, Link, Setting};
use hundi_transports::channel::LinkKey;
use serde_json::Value;

fn vectors(name: &str) -> Value {
    let path = format!("{}/../docs/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

/// An offer as a message: its tag, its records, each behind its length, and the rest.
fn message(records: &[Vec<u8>], whole: &[u8], all: &[Vec<u8>]) -> Vec<u8> {
    let list = |records: &[Vec<u8>]| -> Vec<u8> {
        let count = (records.len() as u16).to_le_bytes().to_vec();
        let items = records.iter().flat_map(|record| {
            [(record.len() as u16).to_le_bytes().to_vec(), record.clone()].concat()
        });
        count.into_iter().chain(items).collect()
    };
    let rest = whole[1..].strip_prefix(list(all).as_slice()).unwrap();
    [&whole[..1], &list(records), rest].concat()
}

/// What is sent in the first flight, in the answer's flight, and after it until nobody has
/// anything to say.
fn exchange(bytes_max: usize, offer: &[u8], answer: &[u8]) -> [Vec<usize>; 3] {
    let key = LinkKey::from_bytes([7; 32]);
    let session = Session { uuid: [5; 16], key: key.public(), psm: None };
    let setting = |who: u8| Setting { network: b"testnet", greeting: [who; 4], entropy: [who; 32] };
    let callee = Callee::Payee { session, first: offer.to_vec() };
    let mut payer = Link::initiate(0, &setting(1), callee);
    let mut payee = Link::respond(0, &setting(2), Some((session, key)));
    let (there_ms, back_ms) = (30, 60);
    let mut sizes = [Vec::new(), Vec::new(), Vec::new()];
    while let Some(value) = payer.transmit(0, bytes_max) {
        sizes[0].push(value.len());
        payee.receive(there_ms, &value);
    }
    assert!(matches!(payee.next_event(there_ms), Some(Event::Up { .. })));
    assert_eq!(payee.next_event(there_ms), Some(Event::Replayable(offer.to_vec())));
    payee.send(answer).unwrap();
    while let Some(value) = payee.transmit(there_ms, bytes_max) {
        sizes[1].push(value.len());
        payer.receive(back_ms, &value);
    }
    assert!(matches!(payer.next_event(back_ms), Some(Event::Up { .. })));
    assert_eq!(payer.next_event(back_ms), Some(Event::Message(answer.to_vec())));
    payer.close(back_ms);
    while let Some(value) = payer.transmit(back_ms, bytes_max) {
        sizes[2].push(value.len());
    }
    sizes
}

#[test]
fn the_first_message_takes_the_fewest_writes_that_its_bytes_allow() {
    let offer = &vectors("payments.json")["offers"][0];
    let whole = bytes(&offer["message"]);
    let all: Vec<Vec<u8>> = offer["records"].as_array().unwrap().iter().map(bytes).collect();
    let kind = |tag: u8| all.iter().filter(move |record| record[0] == tag).cloned();
    // Of one bank, met before: certificates, enrolment and bulletin are held.
    let met: Vec<Vec<u8>> = kind(2).skip(1).chain(kind(3)).collect();
    // A checkpoint that names the last 64 decided entries, 21 bytes each.
    let names: Vec<Vec<u8>> = all
        .iter()
        .map(|record| match record[0] {
            3 => [&record[..], &vec![0xee; 64 * 21]].concat(),
            _ => record.clone(),
        })
        .collect();
    // Tag, choice, length and the item of a receipt.
    let answer = vec![17; 1 + 1 + 2 + 239];
    let document =
        std::fs::read_to_string(format!("{}/../docs/ble.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let offers = [
        ("payee knows payer and bank", message(&met, &whole, &all)),
        ("payee knows nothing", whole.clone()),
        ("the same, 64 names in the checkpoint", message(&names, &whole, &all)),
    ];
    for (name, offer) in offers {
        let mut row = format!("| {name} | {} |", offer.len());
        for bytes_max in [182, 244, 510, 2_046] {
            let [first, back, end] = exchange(bytes_max, &offer, &answer);
            let fewest = (96 + offer.len()).div_ceil(bytes_max);
            assert_eq!(first.len(), fewest, "{name} at {bytes_max}: no write but for its bytes");
            assert!(first.iter().all(|size| *size <= bytes_max));
            assert_eq!(end.len(), 1, "the goodbye acknowledges the receipt");
            row.push_str(&format!(" {} + {} |", first.len(), back.len()));
        }
        println!("{row}");
        assert!(document.contains(&row), "docs/ble.md should say: {row}");
    }
}
