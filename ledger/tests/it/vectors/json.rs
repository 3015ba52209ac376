//! Records as JSON: the fields by their names in `docs/protocol.md`, byte strings in lowercase
//! hexadecimal, amounts and numbers as integers.

use hundi_ledger::body::Plaintext;
use hundi_ledger::id::AuthorId;
use hundi_ledger::record::bulletin::Bulletin;
use hundi_ledger::record::certificate::Certificate;
use hundi_ledger::record::checkpoint::Checkpoint;
use hundi_ledger::record::entry::{Entry, Header};
use hundi_ledger::record::freeze::Freeze;
use hundi_ledger::record::grant::Grant;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::Definition;
use hundi_ledger::record::proof::Proof;
use hundi_ledger::record::receipt::{Receipt, Statement};
use serde_json::{Value, json};
use std::ops::Deref;

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    data_encoding::HEXLOWER.encode(bytes.as_ref())
}

pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn author(author: &AuthorId) -> Value {
    json!({ "bank": author.bank.0, "key": hex(author.key.0) })
}

pub(crate) fn definition(of: &Definition) -> Value {
    let banks = of.banks.iter().map(|bank| {
        json!({ "number": bank.number.0, "root": hex(bank.root.0), "name": bank.name.deref() })
    });
    json!({
        "version": of.version,
        "name": of.name.deref(),
        "start": of.start,
        "epoch_seconds": of.epoch_seconds,
        "banks": banks.collect::<Vec<_>>(),
    })
}

/// The kind's name and fields of any item.
pub(crate) fn item(item: &Item) -> (&'static str, Value) {
    match item {
        Item::Certificate(record) => ("certificate", certificate(record)),
        Item::Grant(record) => ("grant", grant(record)),
        Item::Checkpoint(record) => ("checkpoint", checkpoint(record)),
        Item::Freeze(record) => ("freeze", freeze(record)),
        Item::Bulletin(record) => ("bulletin", bulletin(record)),
        Item::Proof(record) => ("proof", proof(record)),
        Item::Entry(record) => ("entry", entry(record)),
        Item::Receipt(record) => ("receipt", receipt(record)),
    }
}

fn certificate(of: &Certificate) -> Value {
    let honours = of
        .honours
        .iter()
        .map(|bound| json!({ "certificate": bound.certificate, "epoch_last": bound.epoch_last }));
    json!({
        "version": of.version,
        "bank": of.bank.0,
        "number": of.number,
        "key": hex(of.key.0),
        "roles": of.roles,
        "honours": honours.collect::<Vec<_>>(),
    })
}

fn grant(of: &Grant) -> Value {
    let policy = of.policy.as_ref().map(|policy| {
        json!({
            "payees": policy.payees.iter().map(author).collect::<Vec<_>>(),
            "categories": policy.categories.to_vec(),
        })
    });
    json!({
        "version": of.version,
        "author": author(&of.author),
        "certificate": of.certificate,
        "epoch": of.epoch,
        "author_sealing": hex(of.author_sealing.0),
        "bank_sealing": hex(of.bank_sealing.0),
        "serial": of.serial.0,
        "currency": of.currency.code(),
        "flags": of.flags,
        "limit": of.limit.minor(),
        "cap": of.cap.minor(),
        "guarantee": of.guarantee.minor(),
        "not_before": of.not_before,
        "expiry": of.expiry,
        "claim_until": of.claim_until,
        "first_sequence": of.first_sequence,
        "carry_to": of.carry_to,
        "unsettled_max": of.unsettled_max,
        "penalty_percent": of.penalty_percent,
        "penalty_floor_percent": of.penalty_floor_percent,
        "policy": policy,
        "display_name": of.display_name.as_deref(),
    })
}

fn checkpoint(of: &Checkpoint) -> Value {
    let frontier = of
        .frontier
        .map(|frontier| json!({ "sequence": frontier.sequence, "hash": hex(frontier.hash.0) }));
    let live = of.live.iter().map(|live| {
        json!({
            "serial": live.serial.0,
            "total": live.total.minor(),
            "settled": live.settled.minor(),
        })
    });
    let names = of.names.iter().map(|name| {
        json!({ "sequence": name.sequence, "tag": hex(name.tag), "outcome": name.outcome as u8 })
    });
    json!({
        "version": of.version,
        "author": author(&of.author),
        "certificate": of.certificate,
        "number": of.number,
        "epoch": of.epoch,
        "carry_to": of.carry_to,
        "salt": hex(of.salt),
        "frontier": frontier,
        "live": live.collect::<Vec<_>>(),
        "names": names.collect::<Vec<_>>(),
    })
}

fn freeze(of: &Freeze) -> Value {
    json!({
        "version": of.version,
        "author": author(&of.author),
        "certificate": of.certificate,
        "epoch": of.epoch,
        "reason": of.reason as u8,
    })
}

fn bulletin(of: &Bulletin) -> Value {
    json!({
        "version": of.version,
        "bank": of.bank.0,
        "certificate": of.certificate,
        "epoch": of.epoch,
        "time": of.time,
        "freezes": of.freezes,
        "freezes_digest": hex(of.freezes_digest.0),
        "journal_head": hex(of.journal_head.0),
    })
}

fn receipt(of: &Receipt) -> Value {
    json!({
        "version": of.version,
        "signer": author(&of.signer),
        "signer_sealing": hex(of.signer_sealing.0),
        "payer_bank": of.payer_bank.0,
        "iv": hex(of.iv.0),
        "wrapped_key": hex(of.wrapped_key),
        "sealed": hex(of.sealed),
    })
}

/// The fields of a header.
pub(crate) fn header(of: &Header) -> Value {
    let previous = of.position.previous().map(|previous| hex(previous.0));
    json!({
        "version": of.version,
        "kind": of.kind.0,
        "author": author(&of.author),
        "sequence": of.sequence(),
        "previous": previous,
        "time": of.time,
        "serial": of.serial.0,
        "amount": of.amount.minor(),
        "spent_total": of.spent_total.minor(),
        "body_hash": hex(of.body_hash.0),
    })
}

fn entry(of: &Entry) -> Value {
    let mut fields = header(of.header());
    fields["signature"] = hex(of.signature().0).into();
    fields["body"] = hex(of.body()).into();
    fields
}

fn proof(of: &Proof) -> Value {
    let sides = of.headers().map(|signed| {
        let mut fields = header(&signed.header);
        fields["signature"] = hex(signed.signature.0).into();
        fields
    });
    let ids = of.claims().map(|claim| hex(claim.id.0));
    json!({ "headers": sides, "header_ids": ids })
}

/// The fields of a receipt's statement.
pub(crate) fn statement(of: &Statement) -> Value {
    json!({
        "entry": hex(of.entry.0),
        "verdict": of.verdict as u8,
        "freezes_epoch": of.freezes_epoch,
        "checkpoint": of.checkpoint,
    })
}

/// The fields of a plaintext.
pub(crate) fn plaintext(of: &Plaintext) -> Value {
    match of {
        Plaintext::Payment(body) => json!({
            "payee": author(&body.payee),
            "request": hex(body.request.0),
            "memo": body.memo.deref(),
            "category": body.category,
            "place": body.place.map(|place| json!({
                "latitude_centi": place.latitude_centi,
                "longitude_centi": place.longitude_centi,
            })),
            "group": body.group.map(hex),
        }),
        Plaintext::Refund(body) => json!({
            "payee": author(&body.payee),
            "original": hex(body.original.0),
            "sum": body.sum.minor(),
            "memo": body.memo.deref(),
        }),
        Plaintext::GrantRequest(body) => {
            json!({ "serial": body.serial.0, "limit": body.limit.minor() })
        }
    }
}
