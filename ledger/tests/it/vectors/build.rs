//! Builds every file of `docs/vectors`: here those about records that are valid.

use super::crafted;
use super::invalid;
use super::json::{self, hex};
use super::messages;
use super::world::{self, SEALING, SIGNING, sealing, signing};
use hundi_ledger::id::{Hash, NetworkId};
use hundi_ledger::record::bulletin::freezes_digest;
use hundi_ledger::record::checkpoint::tag;
use hundi_ledger::record::entry::{Kind, body_hash};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::Network;
use hundi_ledger::seal;
use serde_json::{Value, json};

/// Every file by name.
pub(crate) fn files() -> Vec<(&'static str, Value)> {
    let network = world::network();
    let mut files = vec![
        ("keys.json", keys()),
        ("network.json", definition(&network)),
        ("records.json", records(&network.id())),
        ("hashes.json", hashes(&network.id())),
        ("sealing.json", sealing_of(&network.id())),
        ("signatures.json", signatures()),
        ("invalid.json", invalid::build(&network)),
    ];
    files.extend(messages::files(&network.id()));
    files
}

fn keys() -> Value {
    let signing = SIGNING.map(|(name, _)| {
        let key = signing(name);
        json!({ "name": name, "seed": hex(*key.to_seed()), "public": hex(key.public().0) })
    });
    let sealing = SEALING.map(|(name, _)| {
        let key = sealing(name);
        json!({ "name": name, "secret": hex(*key.to_bytes()), "public": hex(key.public().0) })
    });
    json!({ "signing": signing, "sealing": sealing })
}

fn definition(network: &Network) -> Value {
    json!({
        "fields": json::definition(network.definition()),
        "bytes": hex(network.encode()),
        "id": hex(network.id().0),
        "other": {
            "why": "the same banks, started one second later: signatures do not cross over",
            "bytes": hex(world::other_network().encode()),
            "id": hex(world::other_network().id().0),
        },
    })
}

fn record(name: &str, item: &Item) -> Value {
    let (kind, fields) = json::item(item);
    json!({
        "name": name,
        "kind": kind,
        "fields": fields,
        "item": hex(item.encode()),
        "id": hex(item.id().0),
    })
}

/// Every item that a node of the vectors' network holds, with its name.
pub(crate) fn items(network: &NetworkId) -> Vec<(&'static str, Item)> {
    let mut items = Vec::new();
    for (name, record) in world::certificates(network) {
        items.push((name, Item::Certificate(record.into_inner())));
    }
    for (name, record) in world::signed_grants(network) {
        items.push((name, Item::Grant(record.into_inner())));
    }
    for (name, record) in world::checkpoints(network) {
        items.push((name, Item::Checkpoint(record.into_inner())));
    }
    for (name, record) in world::freezes(network) {
        items.push((name, Item::Freeze(record.into_inner())));
    }
    let bulletin = world::by_bank(network, world::bulletin());
    items.push(("at its latest time", Item::Bulletin(bulletin.into_inner())));
    for (name, record) in world::proofs(network) {
        items.push((name, Item::Proof(record.into_inner())));
    }
    for named in world::entries(network) {
        items.push((named.name, Item::Entry(named.entry.into_inner())));
    }
    items.push(("accepted", receipts(network).swap_remove(0)));
    items
}

/// The payee's receipts for the payment with a memo of 16 bytes, one per verdict.
pub(crate) fn receipts(network: &NetworkId) -> Vec<Item> {
    let entry = &world::entries(network)[1].entry;
    let key = world::bank_content_key(network, entry.header());
    let bank = sealing("payee").agree(&sealing("bank_1").public()).unwrap();
    let receipt = |statement| {
        let signer = world::signer();
        let payer_bank = world::payer().bank;
        let draft = seal::receipt::seal(network, &signer, payer_bank, &bank, &key, &statement);
        let signed = hundi_ledger::record::sign(network, draft, &signing("payee")).unwrap();
        Item::Receipt(signed.into_inner())
    };
    world::statements(entry.id()).into_iter().map(receipt).collect()
}

fn records(network: &NetworkId) -> Value {
    items(network).iter().map(|(name, item)| record(name, item)).collect()
}

fn hashes(network: &NetworkId) -> Value {
    let salt = [0x1f; 16];
    let hashes = [Hash([0; 32]), Hash([0x5a; 32])];
    let tags = hashes.map(
        |hash| json!({ "salt": hex(salt), "hash": hex(hash.0), "tag": hex(tag(&salt, &hash)) }),
    );
    let bodies = [&b""[..], b"doc", &[0xff; 200]]
        .map(|body| json!({ "body": hex(body), "body_hash": hex(body_hash(network, body).0) }));
    let ids: Vec<Hash> = world::freezes(network).iter().map(|(_, record)| record.id()).collect();
    let digest = |ids: &[Hash]| {
        json!({
            "ids": ids.iter().map(|id| hex(id.0)).collect::<Vec<_>>(),
            "digest": hex(freezes_digest(network, ids.to_vec()).0),
        })
    };
    json!({
        "checkpoint_tags": tags,
        "bodies": bodies,
        "freezes_digests": [digest(&[]), digest(&ids[..1]), digest(&ids)],
    })
}

fn sealing_of(network: &NetworkId) -> Value {
    let shared =
        |a: &str, b: &str| x25519_dalek::x25519(*sealing(a).to_bytes(), sealing(b).public().0);
    let agreements = [("payer", "bank_1"), ("payer", "payee"), ("payee", "bank_1")]
        .map(|(a, b)| json!({ "secret": a, "public": b, "shared": hex(shared(a, b)) }));
    let bodies: Vec<Value> = world::entries(network)
        .iter()
        .filter_map(|named| Some((named, named.plaintext.as_ref()?)))
        .map(|(named, plaintext)| {
            let (header, body) = (named.entry.header(), named.entry.body());
            let wrapped = header.kind != Kind::GRANT_REQUEST;
            let text_at = if wrapped { 65 } else { 32 };
            json!({
                "name": named.name,
                "kind": header.kind.0,
                "head": hex(header.head()),
                "plaintext_fields": json::plaintext(plaintext),
                "plaintext": hex(plaintext.encode()),
                "content_key": hex(world::bank_content_key(network, header).to_bytes()),
                "iv": hex(&body[..32]),
                "view_tag": wrapped.then(|| body[32]),
                "wrapped_key": wrapped.then(|| hex(&body[33..65])),
                "sealed": hex(&body[text_at..]),
                "body": hex(body),
            })
        })
        .collect();
    let entry = &world::entries(network)[1].entry;
    let statements = world::statements(entry.id());
    let receipts: Vec<Value> = receipts(network)
        .iter()
        .zip(statements)
        .map(|(item, statement)| {
            let mut value = record("receipt", item);
            value["statement_fields"] = json::statement(&statement);
            value["statement"] = hex(hundi_ledger::codec::encode(&statement)).into();
            value["content_key"] =
                hex(world::bank_content_key(network, entry.header()).to_bytes()).into();
            value
        })
        .collect();
    let refused: Vec<Value> = crafted::small_order_sealing_keys()
        .into_iter()
        .map(|(name, key)| json!({ "name": name, "public": hex(key.0) }))
        .collect();
    json!({
        "agreements": agreements,
        "bodies": bodies,
        "receipts": receipts,
        "refused_public_keys": refused,
        "refused_bodies": invalid::bodies(network),
    })
}

fn signatures() -> Value {
    let rows: Vec<Value> = crafted::rows()
        .iter()
        .map(|row| {
            json!({
                "name": row.name,
                "key": hex(row.key.0),
                "message": hex(row.message.0),
                "signature": hex(row.signature.0),
                "valid": row.valid,
            })
        })
        .collect();
    let keys: Vec<Value> = crafted::keys()
        .iter()
        .map(
            |(name, key, verdict)| json!({ "name": name, "key": hex(key.0), "enrolment": verdict }),
        )
        .collect();
    json!({ "signatures": rows, "keys": keys })
}
