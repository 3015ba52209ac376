//! Builds the file of `docs/vectors` about payment requests and offers.

use super::json::{self, hex};
use super::messages::subject;
use super::sessions::{checkpoint, encoded};
use super::world::{self, amount, author, text};
use hundi_ledger::codec::{self, List};
use hundi_ledger::id::{NetworkId, RequestId};
use hundi_ledger::money::Currency;
use hundi_ledger::offer::Offer;
use hundi_ledger::record::VERSION;
use hundi_ledger::record::item::{Item, Subject};
use hundi_ledger::request::PaymentRequest;
use serde_json::{Value, json};

/// The file.
pub(crate) fn build(network: &NetworkId) -> Value {
    let full = PaymentRequest {
        version: VERSION,
        network: *network,
        payee: world::payee(),
        payee_sealing: world::sealing("payee").public(),
        request: RequestId([0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8]),
        currency: Currency::new("INR").unwrap(),
        amount: Some(amount(2_500)),
        expires: 1_700_020_000,
        memo: text("चाय"),
        hints: List::new(vec![text("/ip4/192.168.1.7/tcp/4001")]).unwrap(),
    };
    let open = PaymentRequest {
        payee: author(1, "payee"),
        amount: None,
        memo: text(""),
        hints: List::default(),
        ..full.clone()
    };
    let request = |name: &str, of: &PaymentRequest| {
        json!({
            "name": name,
            "fields": {
                "version": of.version,
                "network": hex(of.network.0),
                "payee": subject(&Subject::Author(of.payee)),
                "payee_sealing": hex(of.payee_sealing.0),
                "request": hex(of.request.0),
                "currency": of.currency.code(),
                "amount": of.amount.map(|amount| amount.minor()),
                "expires": of.expires,
                "memo": &*of.memo,
                "hints": of.hints.iter().map(|hint| hint.to_string()).collect::<Vec<_>>(),
            },
            "bytes": hex(codec::encode(of)),
            "uri": of.to_uri(),
        })
    };
    json!({
        "requests": [request("everything", &full), request("the payer says how much", &open)],
        "refused_requests": refused_requests(&full),
        "offers": [offer(network)],
    })
}

/// Text of these bytes, with the check that they call for.
fn uri(bytes: &[u8]) -> String {
    let check = blake3::derive_key("hundi v1 payment request", bytes);
    let bytes = [bytes, &check[..4]].concat();
    format!("HUNDI:{}", data_encoding::BASE32_NOPAD.encode(&bytes))
}

fn refused_requests(full: &PaymentRequest) -> Value {
    let good = full.to_uri();
    let bytes = codec::encode(full);
    let next_version = [&[2], &bytes[1..]].concat();
    let longer = [&bytes[..], &[0]].concat();
    let damaged = format!("{}{}", &good[..good.len() - 9], &good[good.len() - 8..]);
    [
        ("another scheme", "scheme", good.replacen("HUNDI", "HANDI", 1)),
        ("a character is missing", "damaged", damaged),
        ("cut", "damaged", good[..40].to_string()),
        ("not base32", "damaged", format!("{}1", &good[..good.len() - 1])),
        ("version 2", "version", uri(&next_version)),
        ("a byte behind the request", "canonical", uri(&longer)),
    ]
    .map(|(name, error, uri)| json!({ "name": name, "error": error, "uri": uri }))
    .into()
}

fn offer(network: &NetworkId) -> Value {
    let certificate = |at: usize| {
        let (_, record) = world::certificates(network).swap_remove(at);
        Item::Certificate(record.into_inner())
    };
    let grants = world::signed_grants(network).into_iter().take(2);
    let bulletin = world::by_bank(network, world::bulletin());
    let mut records = vec![certificate(0), certificate(1)];
    records.extend(grants.map(|(_, grant)| Item::Grant(grant.into_inner())));
    records.extend([checkpoint(network), Item::Bulletin(bulletin.into_inner())]);
    let entries = world::entries(network);
    let previous = entries[2].entry.signed_header();
    let entry = Item::Entry(entries[3].entry.clone().into_inner());
    let records = encoded(&records);
    let offer = Offer {
        records: List::new(records.iter().map(|item| List::new(item.clone()).unwrap()).collect())
            .unwrap(),
        previous: Some(previous),
        entry: List::new(entry.encode()).unwrap(),
    };
    let mut previous_fields = json::header(entries[2].entry.header());
    previous_fields["signature"] = hex(entries[2].entry.signature().0).into();
    json!({
        "name": "the payer's refund that spends, three entries into its log",
        "records": records.iter().map(hex).collect::<Vec<_>>(),
        "previous": previous_fields,
        "entry": hex(entry.encode()),
        "bytes": hex(offer.encode()),
        "message": hex([&[16][..], &offer.encode()].concat()),
    })
}
