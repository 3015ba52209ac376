//! Generators of well-formed records that reach every variant and every bound.

use super::world::{self, signing};
use hundi_ledger::body::{GrantRequest, Payment, Place, Plaintext, Refund};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, BankNumber, Hash, PublicKey, RequestId, SealingKey, Serial};
use hundi_ledger::limits::{
    BANKS_MAX, CARRY_WINDOW, HONOURS_MAX, LIVE_SERIALS_MAX, NAMES_MAX, POLICY_LIST_MAX,
};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::bulletin::Bulletin;
use hundi_ledger::record::certificate::{Certificate, Honour};
use hundi_ledger::record::checkpoint::{Checkpoint, Frontier, Live, Name, Outcome};
use hundi_ledger::record::entry::{Class, Header, Kind, Position};
use hundi_ledger::record::freeze::{Freeze, FreezeReason};
use hundi_ledger::record::grant::{FLAG_BEARER, Grant, Policy};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::{Bank, Definition};
use hundi_ledger::record::proof::Proof;
use hundi_ledger::record::receipt::{PayeeVerdict, Receipt, Statement};
use hundi_ledger::record::{VERSION, sign};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;

/// A record before it is signed.
#[derive(Clone, Debug)]
pub(crate) enum Draft {
    Certificate(Certificate),
    Grant(Grant),
    Checkpoint(Checkpoint),
    Freeze(Freeze),
    Bulletin(Bulletin),
    Proof(Header, Header),
    Entry(Header, Vec<u8>),
    Receipt(Receipt),
}

impl Draft {
    /// The item, signed by some key.
    pub(crate) fn sign(self) -> Item {
        let network = world::network().id();
        let key = signing("payer");
        match self {
            Draft::Certificate(record) => {
                Item::Certificate(sign(&network, record, &key).unwrap().into_inner())
            }
            Draft::Grant(record) => Item::Grant(sign(&network, record, &key).unwrap().into_inner()),
            Draft::Checkpoint(record) => {
                Item::Checkpoint(sign(&network, record, &key).unwrap().into_inner())
            }
            Draft::Freeze(record) => {
                Item::Freeze(sign(&network, record, &key).unwrap().into_inner())
            }
            Draft::Bulletin(record) => {
                Item::Bulletin(sign(&network, record, &key).unwrap().into_inner())
            }
            Draft::Receipt(record) => {
                Item::Receipt(sign(&network, record, &key).unwrap().into_inner())
            }
            Draft::Entry(header, body) => {
                Item::Entry(world::finish(&network, header, body).into_inner())
            }
            Draft::Proof(a, b) => {
                let [a, b] =
                    [a, b].map(|header| world::finish(&network, header, vec![]).verified_header());
                Item::Proof(Proof::new(&network, &a, &b).unwrap().into_inner())
            }
        }
    }

    /// What of the record's variety this draft shows.
    pub(crate) fn features(&self) -> Vec<String> {
        let some = |what: &str, is: bool| format!("{what} {}", if is { "some" } else { "none" });
        let full = |what: &str, length: usize, max: usize| {
            let how = if length == 0 {
                "empty"
            } else if length == max {
                "full"
            } else {
                "part"
            };
            format!("{what} {how}")
        };
        match self {
            Draft::Certificate(record) => vec![
                format!("roles {}", record.roles),
                full("honours", record.honours.len(), HONOURS_MAX),
            ],
            Draft::Grant(record) => {
                let mut features = vec![
                    some("policy", record.policy.is_some()),
                    some("name", record.display_name.is_some()),
                    format!("flags {}", record.flags),
                    format!("enrolment {}", record.serial == Serial::ENROLMENT),
                ];
                if let Some(policy) = &record.policy {
                    features.push(full("payees", policy.payees.len(), POLICY_LIST_MAX));
                    features.push(full("categories", policy.categories.len(), POLICY_LIST_MAX));
                }
                features
            }
            Draft::Checkpoint(record) => {
                let mut features = vec![
                    some("frontier", record.frontier.is_some()),
                    full("live", record.live.len(), LIVE_SERIALS_MAX),
                    full("names", record.names.len(), NAMES_MAX),
                ];
                features.extend(record.names.iter().map(|name| format!("{:?}", name.outcome)));
                features
            }
            Draft::Freeze(record) => vec![format!("{:?}", record.reason)],
            Draft::Bulletin(_) => vec!["bulletin".into()],
            Draft::Proof(a, b) => {
                let same = a.sequence() == b.sequence();
                vec![format!("proof {:?} {}", a.kind.class(), if same { "same" } else { "apart" })]
            }
            Draft::Entry(header, body) => {
                let position = if header.position == Position::First { "first" } else { "after" };
                vec![
                    match header.kind.0 {
                        known @ (1..=5 | 0x81) => format!("kind {known:#04x}"),
                        _ => format!("kind unknown {:?}", header.kind.class()),
                    },
                    format!("{:?}", header.kind.class()),
                    format!("position {position}"),
                    some("body", !body.is_empty()),
                ]
            }
            Draft::Receipt(_) => vec!["receipt".into()],
        }
    }
}

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn author() -> impl Strategy<Value = AuthorId> {
    (any::<u16>(), any::<[u8; 32]>())
        .prop_map(|(bank, key)| AuthorId { bank: BankNumber(bank), key: PublicKey(key) })
}

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![Just(0), Just(1), Just(Amount::MAX.minor()), 0..=Amount::MAX.minor()]
        .prop_map(world::amount)
}

/// Text of up to `MAX` bytes of any printable character.
fn text<const MAX: usize>() -> impl Strategy<Value = Text<MAX>> {
    prop::collection::vec(any::<char>(), 0..MAX + 2).prop_map(|chars| {
        let mut text = String::new();
        for c in chars {
            if text.len() + c.len_utf8() <= MAX && Text::<8>::new(c).is_ok() {
                text.push(c);
            }
        }
        Text::new(text).unwrap()
    })
}

/// 0, some, or as many as fit.
fn count(max: usize) -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), 0..=max, Just(max)]
}

pub(crate) fn definition() -> impl Strategy<Value = Definition> {
    let banks = prop_oneof![4 => 1..20usize, 1 => Just(BANKS_MAX)];
    (text::<64>(), any::<u32>(), 1u32.., banks, any::<[u8; 32]>(), text::<64>()).prop_map(
        |(name, start, epoch_seconds, banks, root, bank_name)| {
            let bank = |number: usize| Bank {
                number: BankNumber(u16::try_from(number * 3).unwrap()),
                root: PublicKey(root),
                name: bank_name.clone(),
            };
            let banks = List::new((0..banks).map(bank).collect()).unwrap();
            Definition { version: VERSION, name, start, epoch_seconds, banks }
        },
    )
}

fn certificate() -> impl Strategy<Value = Certificate> {
    (any::<u16>(), 65u16.., any::<[u8; 32]>(), 1u8..=3, count(HONOURS_MAX), any::<u32>()).prop_map(
        |(bank, number, key, roles, honours, epoch_last)| {
            let bound = |at: usize| Honour { certificate: u16::try_from(at).unwrap(), epoch_last };
            Certificate {
                version: VERSION,
                bank: BankNumber(bank),
                number,
                key: PublicKey(key),
                roles,
                honours: List::new((0..honours).map(bound).collect()).unwrap(),
            }
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    (author(), count(POLICY_LIST_MAX), count(POLICY_LIST_MAX)).prop_map(
        |(author, payees, categories)| {
            let payee =
                |at: usize| AuthorId { bank: BankNumber(u16::try_from(at).unwrap()), ..author };
            let category = |at: usize| u8::try_from(at * 15).unwrap();
            Policy {
                payees: List::new((0..payees).map(payee).collect()).unwrap(),
                categories: List::new((0..categories).map(category).collect()).unwrap(),
            }
        },
    )
}

fn grant() -> impl Strategy<Value = Grant> {
    let who = (author(), any::<u16>(), any::<u32>(), any::<[u8; 32]>(), any::<[u8; 32]>());
    let money = (prop_oneof![Just(0), 1u16..], amount(), amount(), amount(), any::<bool>());
    let times =
        (any::<[u32; 3]>(), any::<u32>(), 0..CARRY_WINDOW, any::<u8>(), 0u8..=100, 0u8..=100);
    let options = ("[A-Z]{3}", prop::option::of(policy()), prop::option::of(text::<64>()));
    (who, money, times, options).prop_map(|(who, money, times, options)| {
        let (serial, limit, cap, guarantee, bearer) = money;
        let enrolment = serial == 0;
        let limit = if enrolment { Amount::ZERO } else { limit };
        let mut moments = times.0;
        moments.sort_unstable();
        Grant {
            version: VERSION,
            author: who.0,
            certificate: who.1,
            epoch: who.2,
            author_sealing: SealingKey(who.3),
            bank_sealing: SealingKey(who.4),
            serial: Serial(serial),
            currency: Currency::new(&options.0).unwrap(),
            flags: if bearer { FLAG_BEARER } else { 0 },
            limit,
            cap: cap.min(limit),
            guarantee: if bearer || enrolment { Amount::ZERO } else { guarantee },
            not_before: moments[0],
            expiry: moments[1],
            claim_until: moments[2],
            first_sequence: times.1,
            carry_to: times.1.saturating_add(times.2),
            unsettled_max: times.3,
            penalty_percent: times.4,
            penalty_floor_percent: times.5,
            policy: options.1,
            display_name: options.2,
        }
    })
}

const OUTCOMES: [Outcome; 10] = [
    Outcome::Settled,
    Outcome::Contested,
    Outcome::Returned,
    Outcome::RejectedUncovered,
    Outcome::RejectedLate,
    Outcome::RejectedFrozen,
    Outcome::RejectedUnopened,
    Outcome::RejectedRefund,
    Outcome::RejectedRefused,
    Outcome::RejectedKind,
];

fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    let frontier = prop::option::of((any::<u32>(), hash()));
    let name = (any::<u32>(), any::<[u8; 16]>(), select(&OUTCOMES[..]));
    let names = prop_oneof![Just(0usize).boxed(), (0..80usize).boxed(), Just(NAMES_MAX).boxed()]
        .prop_flat_map(move |count| prop::collection::vec(name.clone(), count));
    let live = (count(LIVE_SERIALS_MAX), any::<u16>(), amount(), amount());
    let head = (author(), any::<u16>(), 1u32.., any::<u32>(), 0..CARRY_WINDOW, any::<[u8; 16]>());
    (head, frontier, live, names).prop_map(|(head, frontier, live, names)| {
        let frontier = frontier.map(|(sequence, hash)| Frontier { sequence, hash });
        let from = frontier.map_or(0, |frontier| frontier.sequence.saturating_add(1));
        let serial = |at: usize| Serial(live.1 / 2 + u16::try_from(at).unwrap());
        let live = (0..live.0)
            .map(|at| Live { serial: serial(at), total: live.2, settled: live.3 })
            .collect();
        let names: BTreeMap<_, _> = names.into_iter().map(|(s, t, o)| ((s, t), o)).collect();
        let names = names
            .into_iter()
            .map(|((sequence, tag), outcome)| Name { sequence, tag, outcome })
            .collect();
        Checkpoint {
            version: VERSION,
            author: head.0,
            certificate: head.1,
            number: head.2,
            epoch: head.3,
            carry_to: from.saturating_add(head.4),
            salt: head.5,
            frontier,
            live: List::new(live).unwrap(),
            names: List::new(names).unwrap(),
        }
    })
}

fn freeze() -> impl Strategy<Value = Freeze> {
    let reasons = [FreezeReason::Contradiction, FreezeReason::Lost, FreezeReason::Decision];
    (author(), any::<u16>(), any::<u32>(), select(reasons.to_vec())).prop_map(
        |(author, certificate, epoch, reason)| Freeze {
            version: VERSION,
            author,
            certificate,
            epoch,
            reason,
        },
    )
}

fn bulletin() -> impl Strategy<Value = Bulletin> {
    (any::<[u16; 2]>(), any::<[u32; 3]>(), hash(), hash()).prop_map(
        |([bank, certificate], [epoch, time, freezes], freezes_digest, journal_head)| Bulletin {
            version: VERSION,
            bank: BankNumber(bank),
            certificate,
            epoch,
            time,
            freezes,
            freezes_digest,
            journal_head,
        },
    )
}

fn kind() -> impl Strategy<Value = Kind> {
    let known = [
        Kind::PAYMENT,
        Kind::REFUND,
        Kind::GRANT_REQUEST,
        Kind::CLOSE,
        Kind::APPROVAL,
        Kind::DOCUMENT,
    ];
    prop_oneof![3 => select(known.to_vec()), 1 => any::<u8>().prop_map(Kind)]
}

fn header() -> impl Strategy<Value = Header> {
    let place = prop_oneof![Just(0), Just(1), Just(u32::MAX), any::<u32>()];
    (kind(), place, any::<[u8; 32]>(), any::<u32>(), any::<u16>(), amount(), amount()).prop_map(
        |(kind, sequence, mut previous, time, serial, spends, before)| {
            previous[0] |= 1;
            let spends = match kind {
                Kind::PAYMENT => spends.max(world::amount(1)),
                Kind::GRANT_REQUEST | Kind::CLOSE | Kind::APPROVAL => Amount::ZERO,
                _ => spends,
            };
            let none = kind != Kind::PAYMENT && serial == 0 || kind.class() == Class::Document;
            let serial = serial.max(u16::from(!none));
            let spends = if none { Amount::ZERO } else { spends };
            let before = if none || sequence == 0 { Amount::ZERO } else { before };
            Header {
                version: VERSION,
                kind,
                author: world::payer(),
                position: world::position(sequence, Hash(previous)),
                time,
                serial: Serial(serial),
                amount: spends,
                spent_total: before.add(spends).unwrap_or(spends),
                body_hash: Hash([0; 32]),
            }
        },
    )
}

fn entry() -> impl Strategy<Value = (Header, Vec<u8>)> {
    let body = prop_oneof![Just(0usize).boxed(), (1..300usize).boxed(), Just(4_096usize).boxed()]
        .prop_flat_map(|length| prop::collection::vec(any::<u8>(), length));
    (header(), body).prop_map(|(header, body)| {
        let body = if header.kind == Kind::CLOSE { vec![] } else { body };
        (header, body)
    })
}

/// Two headers that contradict each other: at one number, or apart with the serial going back.
fn proof() -> impl Strategy<Value = (Header, Header)> {
    (header(), header(), any::<bool>()).prop_map(|(a, mut b, apart)| {
        if apart && a.kind.class() == Class::Money && a.sequence() < u32::MAX {
            // Same serial, and a total that went back to nothing.
            b.kind = Kind::GRANT_REQUEST;
            (b.amount, b.spent_total) = (Amount::ZERO, Amount::ZERO);
            b.position = world::position(a.sequence() + 1, Hash([0x77; 32]));
            b.serial = a.serial;
            return (a, b);
        }
        let mut b = a.clone();
        b.time ^= 1;
        (a, b)
    })
}

pub(crate) fn statement() -> impl Strategy<Value = Statement> {
    let verdicts = [
        PayeeVerdict::Accepted,
        PayeeVerdict::RefusedContradiction,
        PayeeVerdict::RefusedFrozen,
        PayeeVerdict::RefusedRequest,
        PayeeVerdict::RefusedMismatch,
        PayeeVerdict::RefusedLimit,
        PayeeVerdict::RefusedTerms,
        PayeeVerdict::RefusedDeclined,
    ];
    (hash(), select(verdicts.to_vec()), any::<[u32; 2]>()).prop_map(
        |(entry, verdict, [freezes_epoch, checkpoint])| Statement {
            entry,
            verdict,
            freezes_epoch,
            checkpoint,
        },
    )
}

fn receipt() -> impl Strategy<Value = Receipt> {
    let bytes = (any::<[u8; 32]>(), any::<[u8; 32]>(), prop::array::uniform32(any::<u8>()));
    (author(), any::<u16>(), bytes, prop::collection::vec(any::<u8>(), 41)).prop_map(
        |(signer, bank, (sealing, iv, wrapped_key), sealed)| Receipt {
            version: VERSION,
            signer,
            signer_sealing: SealingKey(sealing),
            payer_bank: BankNumber(bank),
            iv: Hash(iv),
            wrapped_key,
            sealed: sealed.try_into().unwrap(),
        },
    )
}

pub(crate) fn plaintext() -> impl Strategy<Value = Plaintext> {
    let place = any::<[i16; 2]>()
        .prop_map(|[latitude_centi, longitude_centi]| Place { latitude_centi, longitude_centi });
    let options = (prop::option::of(place), prop::option::of(any::<[u8; 8]>()));
    let payment = (author(), any::<[u8; 8]>(), text::<255>(), any::<u8>(), options).prop_map(
        |(payee, request, memo, category, (place, group))| {
            let request = RequestId(request);
            Plaintext::Payment(Payment { payee, request, memo, category, place, group })
        },
    );
    let refund =
        (author(), hash(), amount(), text::<255>()).prop_map(|(payee, original, sum, memo)| {
            Plaintext::Refund(Refund { payee, original, sum, memo })
        });
    let request = (any::<u16>(), amount()).prop_map(|(serial, limit)| {
        Plaintext::GrantRequest(GrantRequest { serial: Serial(serial), limit })
    });
    prop_oneof![payment.boxed(), refund.boxed(), request.boxed()]
}

/// The kind of entry that carries this plaintext.
pub(crate) fn kind_of(plaintext: &Plaintext) -> Kind {
    match plaintext {
        Plaintext::Payment(_) => Kind::PAYMENT,
        Plaintext::Refund(_) => Kind::REFUND,
        Plaintext::GrantRequest(_) => Kind::GRANT_REQUEST,
    }
}

/// Any record.
pub(crate) fn item() -> impl Strategy<Value = Draft> {
    prop_oneof![
        certificate().prop_map(Draft::Certificate).boxed(),
        grant().prop_map(Draft::Grant).boxed(),
        checkpoint().prop_map(Draft::Checkpoint).boxed(),
        freeze().prop_map(Draft::Freeze).boxed(),
        bulletin().prop_map(Draft::Bulletin).boxed(),
        proof().prop_map(|(a, b)| Draft::Proof(a, b)).boxed(),
        entry().prop_map(|(header, body)| Draft::Entry(header, body)).boxed(),
        receipt().prop_map(Draft::Receipt).boxed(),
    ]
}
