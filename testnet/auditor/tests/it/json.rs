//! What the auditor read, in the shape of the vectors.

use data_encoding::HEXLOWER;
use hundi_auditor::records::{Author, Header, Item, Network, Record, Statement};
use hundi_auditor::sealing::Plaintext;
use serde_json::{Value, json};

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

fn author(author: &Author) -> Value {
    json!({ "bank": author.bank, "key": hex(author.key) })
}

pub(crate) fn network(of: &Network) -> Value {
    let banks = of
        .banks
        .iter()
        .map(|bank| json!({ "number": bank.number, "root": hex(bank.root), "name": bank.name }));
    json!({
        "version": 1, "name": of.name, "start": of.start, "epoch_seconds": of.epoch_seconds,
        "banks": banks.collect::<Vec<_>>(),
    })
}

fn header(of: &Header) -> Value {
    let previous = (of.sequence > 0).then(|| hex(of.previous));
    json!({
        "version": 1, "kind": of.kind, "author": author(&of.author), "sequence": of.sequence,
        "previous": previous, "time": of.time, "serial": of.serial, "amount": of.amount,
        "spent_total": of.spent_total, "body_hash": hex(of.body_hash),
    })
}

/// The name and fields of a record.
pub(crate) fn item(item: &Item) -> (&'static str, Value) {
    match &item.record {
        Record::Certificate(of) => {
            let bound = |bound: &hundi_auditor::records::Honour| json!({ "certificate": bound.certificate, "epoch_last": bound.epoch_last });
            let fields = json!({
                "version": 1, "bank": of.bank, "number": of.number, "key": hex(of.key),
                "roles": of.roles, "honours": of.honours.iter().map(bound).collect::<Vec<_>>(),
            });
            ("certificate", fields)
        }
        Record::Grant(of) => {
            let policy = of.policy.as_ref().map(|policy| {
                json!({
                    "payees": policy.payees.iter().map(author).collect::<Vec<_>>(),
                    "categories": policy.categories,
                })
            });
            let fields = json!({
                "version": 1, "author": author(&of.author), "certificate": of.certificate,
                "epoch": of.epoch, "author_sealing": hex(of.author_sealing),
                "bank_sealing": hex(of.bank_sealing), "serial": of.serial,
                "currency": of.currency, "flags": of.flags, "limit": of.limit, "cap": of.cap,
                "guarantee": of.guarantee, "not_before": of.not_before, "expiry": of.expiry,
                "claim_until": of.claim_until, "first_sequence": of.first_sequence,
                "carry_to": of.carry_to, "unsettled_max": of.unsettled_max,
                "penalty_percent": of.penalty_percent,
                "penalty_floor_percent": of.penalty_floor_percent, "policy": policy,
                "display_name": of.display_name,
            });
            ("grant", fields)
        }
        Record::Checkpoint(of) => {
            let frontier = of.frontier.map(
                |frontier| json!({ "sequence": frontier.sequence, "hash": hex(frontier.hash) }),
            );
            let live = of.live.iter().map(|live| {
                json!({ "serial": live.serial, "total": live.total, "settled": live.settled })
            });
            let names = of.names.iter().map(|name| {
                json!({ "sequence": name.sequence, "tag": hex(name.tag), "outcome": name.outcome })
            });
            let fields = json!({
                "version": 1, "author": author(&of.author), "certificate": of.certificate,
                "number": of.number, "epoch": of.epoch, "carry_to": of.carry_to,
                "salt": hex(of.salt), "frontier": frontier,
                "live": live.collect::<Vec<_>>(), "names": names.collect::<Vec<_>>(),
            });
            ("checkpoint", fields)
        }
        Record::Freeze(of) => {
            let fields = json!({
                "version": 1, "author": author(&of.author), "certificate": of.certificate,
                "epoch": of.epoch, "reason": of.reason,
            });
            ("freeze", fields)
        }
        Record::Bulletin(of) => {
            let fields = json!({
                "version": 1, "bank": of.bank, "certificate": of.certificate, "epoch": of.epoch,
                "time": of.time, "freezes": of.freezes,
                "freezes_digest": hex(of.freezes_digest), "journal_head": hex(of.journal_head),
            });
            ("bulletin", fields)
        }
        Record::Proof(of) => {
            let sides = of.headers.each_ref().map(|side| {
                let mut fields = header(&side.header);
                fields["signature"] = hex(side.signature).into();
                fields
            });
            let ids = of.headers.each_ref().map(|side| hex(side.id));
            ("proof", json!({ "headers": sides, "header_ids": ids }))
        }
        Record::Entry(of) => {
            let mut fields = header(&of.header);
            fields["signature"] = hex(item.signature.unwrap()).into();
            fields["body"] = hex(&of.body).into();
            ("entry", fields)
        }
        Record::Receipt(of) => {
            let fields = json!({
                "version": 1, "signer": author(&of.signer),
                "signer_sealing": hex(of.signer_sealing), "payer_bank": of.payer_bank,
                "iv": hex(of.iv), "wrapped_key": hex(of.wrapped_key), "sealed": hex(of.sealed),
            });
            ("receipt", fields)
        }
    }
}

pub(crate) fn statement(of: &Statement) -> Value {
    json!({
        "entry": hex(of.entry), "verdict": of.verdict, "freezes_epoch": of.freezes_epoch,
        "checkpoint": of.checkpoint,
    })
}

pub(crate) fn plaintext(of: &Plaintext) -> Value {
    match of {
        Plaintext::Payment { payee, request, memo, category, place, group } => {
            let place = place.map(|(latitude, longitude)| {
                json!({ "latitude_centi": latitude, "longitude_centi": longitude })
            });
            json!({
                "payee": author(payee), "request": hex(request), "memo": memo,
                "category": category, "place": place, "group": group.map(hex),
            })
        }
        Plaintext::Refund { payee, original, sum, memo } => json!({
            "payee": author(payee), "original": hex(original), "sum": sum, "memo": memo,
        }),
        Plaintext::GrantRequest { serial, limit } => json!({ "serial": serial, "limit": limit }),
    }
}
