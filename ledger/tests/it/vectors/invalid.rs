//! What must be refused, and why. Wherever possible the bytes are signed by whoever would be
//! entitled to sign them, so that the one named defect is all that is wrong with them.

use super::json::hex;
use super::world::{self, amount, author, draft, finish, position, sealing, signing};
use hundi_ledger::codec::{List, encode};
use hundi_ledger::id::{BankNumber, Hash, NetworkId, Serial, Signature};
use hundi_ledger::record::bulletin::Bulletin;
use hundi_ledger::record::certificate::{Certificate, Honour};
use hundi_ledger::record::checkpoint::{Checkpoint, Frontier};
use hundi_ledger::record::entry::{Header, Kind, body_hash};
use hundi_ledger::record::freeze::Freeze;
use hundi_ledger::record::grant::{FLAG_BEARER, Grant, Policy};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::{Definition, Network};
use hundi_ledger::record::receipt::Receipt;
use hundi_ledger::record::{Record, sign};
use hundi_ledger::seal;
use hundi_ledger::sign::SecretKey;
use serde_json::{Value, json};

/// A list of refused inputs under construction.
struct Refused {
    network: NetworkId,
    rows: Vec<Value>,
}

impl Refused {
    /// `error` is one of length, canonical, version, tag, rule (while decoding) and bank,
    /// certificate, role, time, signature (while verifying).
    fn row(&mut self, input: &str, name: &str, error: &str, bytes: &[u8]) {
        let step = match error {
            "length" | "canonical" | "version" | "tag" | "rule" => "decode",
            _ => "verify",
        };
        self.rows.push(json!({
            "input": input, "name": name, "step": step, "error": error, "bytes": hex(bytes),
        }));
    }

    fn item(&mut self, name: &str, error: &str, bytes: &[u8]) {
        self.row("item", name, error, bytes);
    }

    /// A record whose bytes before the signature are `covered`, signed all the same.
    fn signed<T: Record>(&mut self, name: &str, error: &str, covered: &[u8], key: &SecretKey) {
        let signature = key.sign(&hash_in(T::CONTEXT, &self.network, &[covered]));
        let bytes = [&[tag_of(T::CONTEXT)], covered, &signature.0].concat();
        self.item(name, error, &bytes);
    }

    fn entry(&mut self, name: &str, error: &str, header: Header, body: &[u8]) {
        let head = header.head();
        self.item(name, error, &raw_entry(&self.network, &head, body));
    }

    fn proof(&mut self, name: &str, error: &str, sides: [&Header; 2]) {
        self.item(name, error, &raw_proof(&self.network, sides));
    }
}

fn tag_of(context: &str) -> u8 {
    let names = ["certificate", "grant", "checkpoint", "freeze", "bulletin", "", "", "receipt"];
    let at = names.iter().position(|name| context.ends_with(&format!(" {name}"))).unwrap();
    u8::try_from(at).unwrap() + 1
}

fn hash_in(context: &str, network: &NetworkId, parts: &[&[u8]]) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(&network.0);
    for part in parts {
        hasher.update(part);
    }
    Hash(*hasher.finalize().as_bytes())
}

fn sign_header(network: &NetworkId, head: &[u8], body_hash: &Hash) -> Signature {
    let id = hash_in("hundi v1 entry header", network, &[head, &body_hash.0]);
    signing("payer").sign(&id)
}

fn raw_entry(network: &NetworkId, head: &[u8], body: &[u8]) -> Vec<u8> {
    let signature = sign_header(network, head, &body_hash(network, body));
    [&[7], head, &signature.0, body].concat()
}

fn raw_proof(network: &NetworkId, sides: [&Header; 2]) -> Vec<u8> {
    let mut bytes = vec![6, 1];
    bytes.extend(sides[0].author.to_bytes());
    for header in sides {
        let head = header.head();
        bytes.push(head[1]);
        bytes.extend(&head[36..]);
        bytes.extend(header.body_hash.0);
        bytes.extend(sign_header(network, &head, &header.body_hash).0);
    }
    bytes
}

fn patched(bytes: &[u8], at: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

/// Everything that is refused.
pub(crate) fn build(network: &Network) -> Value {
    let mut refused = Refused { network: network.id(), rows: Vec::new() };
    networks(&mut refused);
    frames(&mut refused);
    bank_records(&mut refused);
    grants(&mut refused);
    checkpoints(&mut refused);
    entries(&mut refused);
    proofs(&mut refused);
    plaintexts(&mut refused);
    signers(&mut refused);
    Value::Array(refused.rows)
}

fn networks(refused: &mut Refused) {
    let good = world::network().encode();
    let mut row = |name: &str, error: &str, bytes: &[u8]| {
        refused.row("network", name, error, bytes);
    };
    row("empty", "canonical", &[]);
    row("version 0", "version", &patched(&good, 0, &[0]));
    row("version 2", "version", &patched(&good, 0, &[2]));
    row("cut", "canonical", &good[..good.len() - 1]);
    row("followed by a byte", "canonical", &[&good[..], &[0]].concat());
    let mut banks = world::definition().banks.into_inner();
    let with = |banks| encode(&Definition { banks, ..world::definition() });
    row("no bank", "rule", &with(List::default()));
    banks.reverse();
    row("banks out of order", "rule", &with(List::new(banks.clone()).unwrap()));
    banks[1].number = banks[0].number;
    row("one bank number twice", "rule", &with(List::new(banks).unwrap()));
    let epoch = encode(&Definition { epoch_seconds: 0, ..world::definition() });
    row("an epoch of no length", "rule", &epoch);
    row("control character in the name", "canonical", &patched(&good, 2, b"\n"));
    row("name not UTF-8", "canonical", &patched(&good, 2, &[0xff]));
    let turned = [&good[..1], &[3], "\u{202e}".as_bytes(), &good[9..]].concat();
    row("name turns the direction of text", "canonical", &turned);
    let long = [&good[..1], &[65], &[b'x'; 65], &good[9..]].concat();
    row("name of 65 bytes", "canonical", &long);
}

fn frames(refused: &mut Refused) {
    let items = super::build::items(&refused.network);
    refused.item("empty", "canonical", &[]);
    refused.item("tag 0", "tag", &patched(&items[0].1.encode(), 0, &[0]));
    refused.item("tag 9", "tag", &patched(&items[0].1.encode(), 0, &[9]));
    refused.item("longer than any item", "length", &[7; 16_385]);
    let mut seen = Vec::new();
    for (_, item) in &items {
        let bytes = item.encode();
        let (kind, _) = super::json::item(item);
        if seen.contains(&bytes[0]) {
            continue;
        }
        seen.push(bytes[0]);
        refused.item(&format!("{kind}: tag alone"), "canonical", &bytes[..1]);
        refused.item(&format!("{kind}: version 0"), "version", &patched(&bytes, 1, &[0]));
        refused.item(&format!("{kind}: version 2"), "version", &patched(&bytes, 1, &[2]));
        if bytes[0] == 7 {
            // What follows the signature is the body, so a cut or added byte changes that.
            refused.item("entry: cut in the signature", "canonical", &bytes[..154]);
            let longer = [&bytes[..], &[0]].concat();
            refused.item("entry: followed by a byte", "signature", &longer);
            continue;
        }
        let cut = &bytes[..bytes.len() - 1];
        refused.item(&format!("{kind}: cut"), "canonical", cut);
        let longer = [&bytes[..], &[0]].concat();
        let error = if bytes[0] == 6 { "length" } else { "canonical" };
        refused.item(&format!("{kind}: followed by a byte"), error, &longer);
    }
}

fn bank_records(refused: &mut Refused) {
    let network = refused.network;
    let root = signing("root_1");
    let good: Certificate = (**world::certificates(&network)[2].1).clone();
    let cert = |refused: &mut Refused, name: &str, record: Certificate| {
        refused.signed::<Certificate>(name, "rule", &encode(&record), &root);
    };
    cert(refused, "certificate numbered 0", Certificate { number: 0, ..good.clone() });
    cert(refused, "certificate without a role", Certificate { roles: 0, ..good.clone() });
    cert(refused, "certificate of an unknown role", Certificate { roles: 5, ..good.clone() });
    let bounds = |numbers: &[u16]| {
        let bound = |&certificate| Honour { certificate, epoch_last: 9 };
        List::new(numbers.iter().map(bound).collect()).unwrap()
    };
    let with = |numbers| Certificate { honours: bounds(numbers), ..good.clone() };
    cert(refused, "bounds out of order", with(&[2, 1]));
    cert(refused, "one certificate bounded twice", with(&[1, 1]));
    cert(refused, "a certificate bounds itself", with(&[3]));
    let many = patched(&encode(&with(&[1])), 38, &[65, 0]);
    let many = [&many[..40], &[0; 65 * 6]].concat();
    refused.signed::<Certificate>("65 bounds", "canonical", &many, &root);

    let freeze = encode::<Freeze>(&world::freezes(&network)[0].1);
    for reason in [0, 4] {
        let name = format!("freeze for reason {reason}");
        let bytes = patched(&freeze, 41, &[reason]);
        refused.signed::<Freeze>(&name, "canonical", &bytes, &signing("issue_1"));
    }
    let early = Bulletin { time: world::bulletin().time + 1, ..world::bulletin() };
    let key = signing("settle_1");
    refused.signed::<Bulletin>("bulletin ahead of its epoch", "time", &encode(&early), &key);
}

fn grants(refused: &mut Refused) {
    let key = signing("issue_1");
    let mut rule = |name: &str, change: fn(&mut Grant)| {
        let mut grant = world::grant();
        change(&mut grant);
        refused.signed::<Grant>(name, "rule", &encode(&grant), &key);
    };
    rule("grant with an unknown flag", |g| g.flags = 2);
    rule("expiry before the start", |g| g.expiry = g.not_before - 1);
    rule("claims end before expiry", |g| g.claim_until = g.expiry - 1);
    rule("cap above the limit", |g| g.cap = amount(1_000_001));
    rule("penalty above 100 percent", |g| g.penalty_percent = 101);
    rule("floor above 100 percent", |g| g.penalty_floor_percent = 101);
    rule("carried beyond the window", |g| g.carry_to = 65);
    rule("enrolment with a limit", |g| g.serial = Serial::ENROLMENT);
    rule("bearer with a guarantee", |g| g.flags = FLAG_BEARER);
    rule("policy with payees out of order", |g| {
        let mut payees = vec![world::payee(), author(1, "payee")];
        payees.sort();
        payees.reverse();
        let payees = List::new(payees).unwrap();
        g.policy = Some(Policy { payees, categories: List::default() });
    });
    rule("policy with one category twice", |g| {
        let categories = List::new(vec![7, 7]).unwrap();
        g.policy = Some(Policy { payees: List::default(), categories });
    });
    let good = encode(&world::grant());
    let mut raw = |name: &str, bytes: &[u8]| {
        refused.signed::<Grant>(name, "canonical", bytes, &key);
    };
    raw("currency in lower case", &patched(&good, 107, b"inr"));
    raw("policy flag 2", &patched(&good, 152, &[2]));
    raw("display name flag 255", &patched(&good, 153, &[255]));
    raw("control character in the name", &[&good[..153], &[1, 1, 0x1b]].concat());
    raw("17 categories", &[&good[..152], &[1, 0, 0, 17, 0], &[1; 17], &[0]].concat());
}

fn checkpoints(refused: &mut Refused) {
    let network = refused.network;
    let good: Checkpoint = (**world::checkpoints(&network)[1].1).clone();
    let key = signing("settle_1");
    let rule = |refused: &mut Refused, name: &str, record: Checkpoint| {
        refused.signed::<Checkpoint>(name, "rule", &encode(&record), &key);
    };
    rule(refused, "checkpoint numbered 0", Checkpoint { number: 0, ..good.clone() });
    rule(refused, "carried 65 beyond the frontier", Checkpoint { carry_to: 68, ..good.clone() });
    let none = Checkpoint { carry_to: 64, frontier: None, ..good.clone() };
    rule(refused, "65 carried without a frontier", none);
    let (mut live, mut names) = (good.live.to_vec(), good.names.to_vec());
    live.reverse();
    let reversed = Checkpoint { live: List::new(live.clone()).unwrap(), ..good.clone() };
    rule(refused, "live grants out of order", reversed);
    live[1] = live[0];
    let twice = Checkpoint { live: List::new(live).unwrap(), ..good.clone() };
    rule(refused, "one live grant twice", twice);
    names.swap(0, 1);
    let swapped = Checkpoint { names: List::new(names.clone()).unwrap(), ..good.clone() };
    rule(refused, "names out of order", swapped);
    names.swap(0, 1);
    let mut other = names[0];
    other.outcome = names[1].outcome;
    names.insert(1, other);
    let two = Checkpoint { names: List::new(names).unwrap(), ..good.clone() };
    rule(refused, "two outcomes of one entry", two);
    let frontier = Some(Frontier { sequence: 3, hash: Hash([0; 32]) });
    let plain = Checkpoint { frontier, live: List::default(), ..good };
    let bytes = encode(&plain);
    // 102 bytes to the live list, 2 each for the lengths; the last byte of the first name.
    let outcome = patched(&bytes, 106 + 20, &[3]);
    refused.signed::<Checkpoint>("unknown outcome", "canonical", &outcome, &key);
    let flag = patched(&bytes, 65, &[2]);
    refused.signed::<Checkpoint>("frontier flag 2", "canonical", &flag, &key);
    let many = [&bytes[..102], &[18, 0], &[0; 18 * 14], &[0, 0]].concat();
    refused.signed::<Checkpoint>("18 live grants", "canonical", &many, &key);
    let many = [&bytes[..104], &[1, 2], &[0; 513 * 21]].concat();
    refused.signed::<Checkpoint>("513 names", "canonical", &many, &key);
}

fn entries(refused: &mut Refused) {
    let network = refused.network;
    let previous = Hash([0x77; 32]);
    let at = position(4, previous);
    let pay = |spends, total| draft(Kind::PAYMENT, at, 1, spends, total);
    refused.entry("amount above the total", "rule", pay(6, 5), b"");
    refused.entry("payment of 0", "rule", pay(0, 5), b"");
    let first = draft(Kind::PAYMENT, position(0, previous), 1, 5, 6);
    refused.entry("first interval above 0", "rule", first, b"");
    let enrolment = draft(Kind::PAYMENT, at, 0, 5, 5);
    refused.entry("spends under the enrolment grant", "rule", enrolment, b"");
    refused.entry("document that spends", "rule", draft(Kind(0x81), at, 1, 5, 5), b"");
    refused.entry("document with a total", "rule", draft(Kind(0xf0), at, 1, 0, 5), b"");
    for (name, kind) in [
        ("grant request that spends", Kind::GRANT_REQUEST),
        ("close that spends", Kind::CLOSE),
        ("approval that spends", Kind::APPROVAL),
    ] {
        refused.entry(name, "rule", draft(kind, at, 1, 1, 5), b"");
    }
    refused.entry("close with a body", "rule", draft(Kind::CLOSE, at, 1, 0, 5), b"x");
    let head = pay(5, 9).head();
    let no_previous = patched(&head, 40, &[0; 32]);
    let raw = |head: &[u8]| raw_entry(&network, head, b"");
    refused.item("previous zero above sequence 0", "canonical", &raw(&no_previous));
    let zeroth = patched(&head, 36, &[0; 4]);
    refused.item("previous not zero at sequence 0", "canonical", &raw(&zeroth));
    let long = raw_entry(&network, &head, &[0; 4_097]);
    refused.item("body of 4,097 bytes", "length", &long);
}

fn proofs(refused: &mut Refused) {
    let pay = Kind::PAYMENT;
    let network = refused.network;
    let elsewhere = Hash([0x77; 32]);
    let base = draft(pay, position(4, elsewhere), 2, 10, 20);
    let after = position(5, base.id(&network));
    refused.proof("proof of one header twice", "rule", [&base, &base]);
    let follows = draft(pay, after, 2, 5, 25);
    refused.proof("proof of two that follow", "rule", [&base, &follows]);
    let renewed = draft(pay, after, 3, 5, 5);
    refused.proof("proof of a new serial from 0", "rule", [&base, &renewed]);
    let later = draft(pay, position(9, elsewhere), 2, 5, 25);
    refused.proof("proof of a later interval that touches", "rule", [&base, &later]);
    let later = draft(pay, position(9, elsewhere), 3, 1, 9);
    refused.proof("proof of a later serial", "rule", [&base, &later]);
    let document = draft(Kind::DOCUMENT, position(4, elsewhere), 2, 0, 0);
    let mut both = [&base, &document];
    both.sort_by_key(|header| header.id(&network));
    refused.proof("proof across the classes", "rule", both);
    let close = draft(Kind::CLOSE, position(4, elsewhere), 2, 0, 20);
    let next = draft(pay, position(5, close.id(&network)), 3, 5, 5);
    refused.proof("proof of a new serial after a close", "rule", [&close, &next]);
    let other = draft(pay, position(4, elsewhere), 2, 11, 21);
    let mut both = [&base, &other];
    both.sort_by_key(|header| header.id(&network));
    refused.proof("proof in descending order of hash", "rule", [both[1], both[0]]);
    let overlap = draft(pay, position(9, elsewhere), 2, 11, 30);
    refused.proof("proof in descending order of sequence", "rule", [&overlap, &base]);
    let broken = draft(pay, position(9, elsewhere), 2, 0, 5);
    refused.proof("proof with a payment of 0", "rule", [&base, &broken]);
    let good = raw_proof(&network, [&base, &overlap]);
    let second_signature = good.len() - 64;
    let flipped = patched(&good, second_signature, &[good[second_signature] ^ 1]);
    refused.item("proof with a forged second header", "signature", &flipped);
    let first_signature = 1 + 35 + 151 - 64;
    let flipped = patched(&good, first_signature, &[good[first_signature] ^ 1]);
    refused.item("proof with a forged first header", "signature", &flipped);
}

fn plaintexts(refused: &mut Refused) {
    let good = world::payment_plaintext("memo").encode();
    let mut row = |input: &str, name: &str, bytes: &[u8]| {
        refused.row(input, name, "canonical", bytes);
    };
    row("payment plaintext", "empty", &[]);
    row("payment plaintext", "cut", &good[..good.len() - 1]);
    row("payment plaintext", "followed by a byte", &[&good[..], &[0]].concat());
    row("payment plaintext", "place flag 2", &patched(&good, good.len() - 2, &[2]));
    row("payment plaintext", "control character in the memo", &patched(&good, 43, &[0x7f]));
    row("payment plaintext", "memo not UTF-8", &patched(&good, 43, &[0xc0, 0x80]));
    row("refund plaintext", "a payment", &good);
    row("grant request plaintext", "7 bytes", &[0; 7]);
    let entry = world::entries(&world::network().id())[1].entry.id();
    let statement = encode(&world::statements(entry)[0]);
    row("statement", "cut", &statement[..40]);
    row("statement", "unknown verdict", &patched(&statement, 32, &[8]));
}

fn signers(refused: &mut Refused) {
    let (here, there) = (refused.network, world::other_network().id());
    for (name, item) in super::build::items(&there) {
        // Everything of the other network carries over but the signature. Its proofs and chains
        // hold hashes of that network, so proofs would already fail as contradictions.
        if matches!(
            name,
            "issue" | "spending" | "nothing decided" | "lost" | "document" | "accepted"
        ) {
            let (kind, _) = super::json::item(&item);
            let name = format!("{kind} of the other network");
            refused.item(&name, "signature", &item.encode());
        }
    }
    let bulletin = world::by_bank(&there, world::bulletin());
    refused.item(
        "bulletin of the other network",
        "signature",
        &Item::Bulletin(bulletin.into_inner()).encode(),
    );
    let grant = |grant: Grant| encode(&grant);
    let key = signing("issue_1");
    let unknown_bank = Grant { author: author(2, "payer"), ..world::grant() };
    refused.signed::<Grant>("grant of an unknown bank", "bank", &grant(unknown_bank), &key);
    let unheld = Grant { certificate: 9, ..world::grant() };
    refused.signed::<Grant>("grant under no certificate", "certificate", &grant(unheld), &key);
    let settle = Grant { certificate: 2, ..world::grant() };
    refused.signed::<Grant>(
        "grant by a settling key",
        "role",
        &grant(settle),
        &signing("settle_1"),
    );
    let other = signing("online_7");
    refused.signed::<Grant>("grant by another bank", "signature", &grant(world::grant()), &other);
    let taken = Grant { author: author(7, "payer"), ..world::grant() };
    refused.signed::<Grant>("grant to another bank's author", "signature", &grant(taken), &key);

    let entry = finish(&here, draft(Kind::PAYMENT, position(1, Hash([8; 32])), 1, 5, 5), vec![1]);
    let bytes = Item::Entry(entry.into_inner()).encode();
    refused.item("entry with another body", "signature", &patched(&bytes, 155, &[2]));
    refused.item("entry without its body", "signature", &bytes[..155]);
    let amount_at = 1 + 78;
    refused.item("entry with another amount", "signature", &patched(&bytes, amount_at, &[4]));
    let elsewhere = patched(&bytes, 3, &BankNumber(7).0.to_le_bytes());
    refused.item("entry moved to another bank", "signature", &elsewhere);
    let receipt = super::build::receipts(&here).swap_remove(0);
    let Item::Receipt(receipt) = receipt else { unreachable!() };
    let mut forged: Receipt = (*receipt).clone();
    forged.sealed[0] ^= 1;
    let bytes = [&[8], &encode(&forged)[..], &receipt.signature().0].concat();
    refused.item("receipt with another statement", "signature", &bytes);
    let unsigned = sign(&here, (*receipt).clone(), &signing("payer")).unwrap();
    let bytes = Item::Receipt(unsigned.into_inner()).encode();
    refused.item("receipt signed by another", "signature", &bytes);
}

/// Sealed bodies that do not open, and why. The header of each is that of the payment with a memo
/// of 16 bytes.
pub(crate) fn bodies(network: &NetworkId) -> Value {
    let named = world::entries(network).swap_remove(1);
    let (header, body) = (named.entry.header(), named.entry.body());
    let key = world::bank_content_key(network, header);
    let row = |name: &str, reader: &str, error: &str, body: &[u8]| {
        json!({
            "name": name, "reader": reader, "error": error,
            "head": hex(header.head()), "body": hex(body),
        })
    };
    let flip = |at: usize| patched(body, at, &[body[at] ^ 0x80]);
    let stranger = sealing("payer").agree(&sealing("stranger").public()).unwrap();
    let plaintext = named.plaintext.unwrap();
    let wrapped = seal::seal(network, &header.head(), &key, Some(&stranger), &plaintext);
    // Under the view tag of the payee, so that only the commitment can refuse it.
    let wrong = [&body[..33], &wrapped[33..]].concat();
    vec![
        row("iv changed", "bank", "commitment", &flip(0)),
        row("text changed", "bank", "commitment", &flip(65)),
        row("payee changed", "bank", "commitment", &flip(67)),
        row("memo changed", "bank", "commitment", &flip(65 + 43)),
        row("cut", "bank", "commitment", &body[..body.len() - 1]),
        row("followed by a byte", "bank", "commitment", &[body, &[0]].concat()),
        row("no room for the wrapped key", "bank", "malformed", &body[..64]),
        row("no room for the iv", "bank", "malformed", &body[..31]),
        row("view tag changed", "payee", "not for reader", &flip(32)),
        row("wrapped key changed", "payee", "commitment", &flip(33)),
        row("another key wrapped", "payee", "commitment", &wrong),
        row("read by a stranger", "stranger", "not for reader", body),
    ]
    .into()
}
