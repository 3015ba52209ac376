//! The small world that the test vectors describe: a network of two banks, a payer, a payee and
//! one record of every kind. Every key comes from a fixed seed, and nothing from a clock.

use hundi_ledger::body::{GrantRequest, Payment, Place, Plaintext, Refund};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, BankNumber, Hash, NetworkId, RequestId, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::bulletin::{Bulletin, freezes_digest};
use hundi_ledger::record::certificate::{Certificate, Honour, ROLE_ISSUE, ROLE_SETTLE};
use hundi_ledger::record::checkpoint::{Checkpoint, Frontier, Live, Name, Outcome, tag};
use hundi_ledger::record::entry::{Entry, Header, Kind, Position, body_hash};
use hundi_ledger::record::freeze::{Freeze, FreezeReason};
use hundi_ledger::record::grant::{FLAG_BEARER, Grant, Policy};
use hundi_ledger::record::network::{Bank, Definition, Network};
use hundi_ledger::record::proof::Proof;
use hundi_ledger::record::receipt::{PayeeVerdict, Statement};
use hundi_ledger::record::{BankRecord, Record, Signed, VERSION, Verified, sign};
use hundi_ledger::seal::{self, ContentKey, SealingSecret};
use hundi_ledger::sign::SecretKey;

/// Signing keys: name, and the byte that fills the seed.
pub(crate) const SIGNING: [(&str, u8); 8] = [
    ("root_1", 1),
    ("root_7", 2),
    ("issue_1", 3),
    ("settle_1", 4),
    ("online_7", 5),
    ("payer", 6),
    ("payee", 7),
    ("bearer", 8),
];

/// Sealing keys: name, and the byte that fills the secret.
pub(crate) const SEALING: [(&str, u8); 5] =
    [("bank_1", 0x21), ("bank_7", 0x22), ("payer", 0x23), ("payee", 0x24), ("stranger", 0x25)];

/// The signing key of that name.
pub(crate) fn signing(name: &str) -> SecretKey {
    let (_, byte) = SIGNING.iter().find(|(known, _)| *known == name).unwrap();
    SecretKey::from_seed(&[*byte; 32])
}

/// The sealing secret of that name.
pub(crate) fn sealing(name: &str) -> SealingSecret {
    let (_, byte) = SEALING.iter().find(|(known, _)| *known == name).unwrap();
    SealingSecret::from_bytes(&[*byte; 32])
}

pub(crate) fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap()
}

pub(crate) fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).unwrap()
}

pub(crate) fn author(bank: u16, name: &str) -> AuthorId {
    AuthorId { bank: BankNumber(bank), key: signing(name).public() }
}

/// The author of most entries.
pub(crate) fn payer() -> AuthorId {
    author(1, "payer")
}

/// Whom it pays; banks elsewhere.
pub(crate) fn payee() -> AuthorId {
    author(7, "payee")
}

pub(crate) fn definition() -> Definition {
    let bank = |number, name: &str, root| Bank {
        number: BankNumber(number),
        root: signing(root).public(),
        name: text(name),
    };
    Definition {
        version: VERSION,
        name: text("Vectors"),
        start: 1_700_000_000,
        epoch_seconds: 3_600,
        banks: List::new(vec![
            bank(1, "Bank of the First Village", "root_1"),
            bank(7, "दूसरा बैंक", "root_7"),
        ])
        .unwrap(),
    }
}

pub(crate) fn network() -> Network {
    Network::new(definition()).unwrap()
}

/// The same banks, started one second later: another network.
pub(crate) fn other_network() -> Network {
    Network::new(Definition { start: 1_700_000_001, ..definition() }).unwrap()
}

pub(crate) fn certificates(
    network: &NetworkId,
) -> Vec<(&'static str, Verified<Signed<Certificate>>)> {
    let make = |bank, number, key: &str, roles, honours| Certificate {
        version: VERSION,
        bank: BankNumber(bank),
        number,
        key: signing(key).public(),
        roles,
        honours: List::new(honours).unwrap(),
    };
    let bounds = vec![
        Honour { certificate: 1, epoch_last: 50 },
        Honour { certificate: 2, epoch_last: u32::MAX },
    ];
    let root = signing("root_1");
    let signed = |record, key: &SecretKey| sign(network, record, key).unwrap();
    vec![
        ("issue", signed(make(1, 1, "issue_1", ROLE_ISSUE, vec![]), &root)),
        ("settle", signed(make(1, 2, "settle_1", ROLE_SETTLE, vec![]), &root)),
        (
            "both roles, bounds two earlier ones",
            signed(make(1, 3, "issue_1", ROLE_ISSUE | ROLE_SETTLE, bounds), &root),
        ),
        (
            "of the other bank",
            signed(make(7, 1, "online_7", ROLE_ISSUE | ROLE_SETTLE, vec![]), &signing("root_7")),
        ),
    ]
}

/// The payer's first spending grant.
pub(crate) fn grant() -> Grant {
    Grant {
        version: VERSION,
        author: payer(),
        certificate: 1,
        epoch: 3,
        author_sealing: sealing("payer").public(),
        bank_sealing: sealing("bank_1").public(),
        serial: Serial(1),
        currency: Currency::new("INR").unwrap(),
        flags: 0,
        limit: amount(1_000_000),
        cap: amount(250_000),
        guarantee: amount(40_000),
        not_before: 1_700_003_600,
        expiry: 1_700_090_000,
        claim_until: 1_700_694_800,
        first_sequence: 1,
        carry_to: 41,
        unsettled_max: 10,
        penalty_percent: 10,
        penalty_floor_percent: 30,
        policy: None,
        display_name: None,
    }
}

fn grants() -> Vec<(&'static str, Grant)> {
    let nothing = amount(0);
    let mut payees = vec![payee(), author(1, "payee")];
    payees.sort();
    let policy = Policy {
        payees: List::new(payees).unwrap(),
        categories: List::new(vec![3, 9, 255]).unwrap(),
    };
    let empty = Policy { payees: List::default(), categories: List::default() };
    vec![
        (
            "enrolment",
            Grant {
                serial: Serial::ENROLMENT,
                limit: nothing,
                cap: nothing,
                guarantee: nothing,
                expiry: u32::MAX,
                claim_until: u32::MAX,
                first_sequence: 0,
                carry_to: 63,
                display_name: Some(text("आशा Devi")),
                ..grant()
            },
        ),
        ("spending", grant()),
        (
            "with a policy",
            Grant { serial: Serial(2), policy: Some(policy), first_sequence: 9, ..grant() },
        ),
        (
            "bearer, with an empty policy",
            Grant {
                author: author(1, "bearer"),
                flags: FLAG_BEARER,
                guarantee: nothing,
                limit: Amount::MAX,
                cap: Amount::MAX,
                policy: Some(empty),
                ..grant()
            },
        ),
    ]
}

/// One position of the payer's money log; sequence 0 has no previous.
pub(crate) fn position(sequence: u32, previous: Hash) -> Position {
    match sequence {
        0 => Position::First,
        _ => Position::After { sequence, previous },
    }
}

/// A drafted header of the payer, its body hash not yet set.
pub(crate) fn draft(kind: Kind, at: Position, serial: u16, spends: u64, total: u64) -> Header {
    Header {
        version: VERSION,
        kind,
        author: payer(),
        position: at,
        time: 1_700_010_000 + at.sequence(),
        serial: Serial(serial),
        amount: amount(spends),
        spent_total: amount(total),
        body_hash: Hash([0; 32]),
    }
}

/// Signs a drafted header over `body`.
pub(crate) fn finish(network: &NetworkId, mut header: Header, body: Vec<u8>) -> Verified<Entry> {
    header.body_hash = body_hash(network, &body);
    Entry::sign(network, header, body, &signing("payer")).unwrap()
}

pub(crate) fn payment_plaintext(memo: &str) -> Plaintext {
    Plaintext::Payment(Payment {
        payee: payee(),
        request: RequestId([0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8]),
        memo: text(memo),
        category: 3,
        place: None,
        group: None,
    })
}

/// A body sealed as the payer seals it.
pub(crate) fn sealed(network: &NetworkId, header: &Header, plaintext: &Plaintext) -> Vec<u8> {
    let head = header.head();
    let secret = sealing("payer");
    let key = bank_content_key(network, header);
    let payee = plaintext.payee().map(|_| secret.agree(&sealing("payee").public()).unwrap());
    seal::seal(network, &head, &key, payee.as_ref(), plaintext)
}

/// The content key as the payer's bank derives it.
pub(crate) fn bank_content_key(network: &NetworkId, header: &Header) -> ContentKey {
    let shared = sealing("bank_1").agree(&sealing("payer").public()).unwrap();
    seal::content_key(network, &shared, &header.head())
}

/// One entry of every kind, with its plaintext where it has one.
pub(crate) struct NamedEntry {
    pub(crate) name: &'static str,
    pub(crate) entry: Verified<Entry>,
    pub(crate) plaintext: Option<Plaintext>,
}

/// Name, kind, serial, amount, total, plaintext, and the body of kinds that seal nothing.
type Step<'a> = (&'static str, Kind, u16, u64, u64, Option<Plaintext>, &'a [u8]);

/// The payer's two logs: every kind, chained.
pub(crate) fn entries(network: &NetworkId) -> Vec<NamedEntry> {
    let long = "क".repeat(85);
    let everything = Plaintext::Payment(Payment {
        payee: payee(),
        request: RequestId([0; 8]),
        memo: text(&long),
        category: 255,
        place: Some(Place { latitude_centi: 1907, longitude_centi: -7288 }),
        group: Some([9; 8]),
    });
    let refund = |sum| {
        Plaintext::Refund(Refund {
            payee: payee(),
            original: Hash([0x5a; 32]),
            sum: amount(sum),
            memo: text("sorry"),
        })
    };
    let request = Plaintext::GrantRequest(GrantRequest { serial: Serial(2), limit: amount(500) });
    let kinds: [Step; 8] = [
        ("grant request", Kind::GRANT_REQUEST, 0, 0, 0, Some(request), b""),
        (
            "payment with a memo of 16 bytes",
            Kind::PAYMENT,
            1,
            2_500,
            2_500,
            Some(payment_plaintext("16 bytes of memo")),
            b"",
        ),
        ("payment with everything", Kind::PAYMENT, 1, 97_500, 100_000, Some(everything), b""),
        ("refund that spends", Kind::REFUND, 1, 700, 100_700, Some(refund(700)), b""),
        ("refund of what was received", Kind::REFUND, 1, 0, 100_700, Some(refund(1)), b""),
        ("approval", Kind::APPROVAL, 1, 0, 100_700, None, b"opaque"),
        ("unknown kind of money", Kind(0x2a), 1, 100, 100_800, None, b"opaque"),
        ("close", Kind::CLOSE, 1, 0, 100_800, None, b""),
    ];
    let mut entries = Vec::new();
    let mut previous = Hash([0; 32]);
    for (sequence, (name, kind, serial, spends, total, plaintext, opaque)) in (0..).zip(kinds) {
        let header = draft(kind, position(sequence, previous), serial, spends, total);
        let body = match &plaintext {
            Some(plaintext) => sealed(network, &header, plaintext),
            None => opaque.to_vec(),
        };
        let entry = finish(network, header, body);
        previous = entry.id();
        entries.push(NamedEntry { name, entry, plaintext });
    }
    let first = finish(network, draft(Kind::DOCUMENT, Position::First, 1, 0, 0), b"doc".to_vec());
    let second = draft(Kind(0xff), position(1, first.id()), 1, 0, 0);
    let second = finish(network, second, vec![]);
    entries.push(NamedEntry { name: "document", entry: first, plaintext: None });
    entries.push(NamedEntry { name: "unknown kind of document", entry: second, plaintext: None });
    entries
}

/// One proof of every form of contradiction.
pub(crate) fn proofs(network: &NetworkId) -> Vec<(&'static str, Verified<Proof>)> {
    let pay = Kind::PAYMENT;
    let elsewhere = Hash([0x77; 32]);
    let base = finish(network, draft(pay, position(4, elsewhere), 2, 10, 20), vec![]);
    let close = finish(network, draft(Kind::CLOSE, position(4, elsewhere), 2, 0, 20), vec![]);
    let document = draft(Kind::DOCUMENT, position(4, elsewhere), 2, 0, 0);
    let document = finish(network, document, vec![]);
    let after = base.id();
    let table = [
        ("same sequence", &base, draft(pay, position(4, elsewhere), 2, 11, 21)),
        ("same sequence, other body", &base, draft(pay, position(4, elsewhere), 2, 10, 20)),
        ("previous is another", &base, draft(pay, position(5, elsewhere), 2, 5, 25)),
        ("next interval overlaps", &base, draft(pay, position(5, after), 2, 6, 25)),
        ("next interval skips", &base, draft(pay, position(5, after), 2, 4, 25)),
        ("new serial above 0", &base, draft(pay, position(5, after), 3, 5, 6)),
        ("later interval overlaps", &base, draft(pay, position(9, elsewhere), 2, 11, 30)),
        ("serial goes back", &base, draft(pay, position(9, elsewhere), 1, 5, 95)),
        ("after a close", &close, draft(pay, position(9, elsewhere), 2, 5, 25)),
        ("close below a later total", &base, draft(Kind::CLOSE, position(6, elsewhere), 2, 0, 19)),
        ("two documents", &document, draft(Kind(0xff), position(4, elsewhere), 2, 0, 0)),
    ];
    let proof = |(name, first, header): (&'static str, &Verified<Entry>, Header)| {
        let body = if header.kind == Kind::CLOSE { vec![] } else { vec![1] };
        let second = finish(network, header, body);
        let (a, b) = (first.verified_header(), second.verified_header());
        (name, Proof::new(network, &a, &b).unwrap())
    };
    table.map(proof).into()
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        version: VERSION,
        author: payer(),
        certificate: 2,
        number: 1,
        epoch: 3,
        carry_to: 63,
        salt: [0x0f; 16],
        frontier: None,
        live: List::default(),
        names: List::default(),
    }
}

/// Two checkpoints of the payer: nothing decided yet, and one with everything.
pub(crate) fn checkpoints(
    network: &NetworkId,
) -> Vec<(&'static str, Verified<Signed<Checkpoint>>)> {
    let entries = entries(network);
    let outcomes = [
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
    let salt = [0x1f; 16];
    let mut names: Vec<Name> = (0u32..)
        .zip(outcomes)
        .map(|(at, outcome)| {
            let entry =
                entries.get(at as usize).filter(|named| named.entry.header().sequence() == at);
            let id = entry.map_or(Hash([0x66; 32]), |named| named.entry.id());
            Name { sequence: at, tag: tag(&salt, &id), outcome }
        })
        .collect();
    names.push(Name { sequence: 6, tag: tag(&salt, &Hash([0x67; 32])), outcome: Outcome::Settled });
    names.sort();
    let full = Checkpoint {
        number: 2,
        epoch: 4,
        carry_to: 67,
        salt,
        frontier: Some(Frontier { sequence: 3, hash: entries[3].entry.id() }),
        live: List::new(vec![
            Live { serial: Serial(0), total: amount(0), settled: amount(0) },
            Live { serial: Serial(1), total: amount(100_700), settled: amount(100_800) },
        ])
        .unwrap(),
        names: List::new(names).unwrap(),
        ..checkpoint()
    };
    let key = signing("settle_1");
    vec![
        ("nothing decided", sign(network, checkpoint(), &key).unwrap()),
        ("decided, named, carried on", sign(network, full, &key).unwrap()),
    ]
}

pub(crate) fn freezes(network: &NetworkId) -> Vec<(&'static str, Verified<Signed<Freeze>>)> {
    [
        ("contradiction", "payer", FreezeReason::Contradiction),
        ("lost", "payee", FreezeReason::Lost),
        ("decision", "bearer", FreezeReason::Decision),
    ]
    .map(|(name, who, reason)| {
        let freeze =
            Freeze { version: VERSION, author: author(1, who), certificate: 1, epoch: 4, reason };
        (name, sign(network, freeze, &signing("issue_1")).unwrap())
    })
    .into()
}

/// A bulletin whose time is exactly the latest that its epoch allows.
pub(crate) fn bulletin() -> Bulletin {
    Bulletin {
        version: VERSION,
        bank: BankNumber(1),
        certificate: 2,
        epoch: 4,
        time: 1_700_000_000 + 4 * 3_600,
        freezes: 3,
        freezes_digest: freezes_digest(
            &network().id(),
            freezes(&network().id()).iter().map(|(_, freeze)| freeze.id()).collect(),
        ),
        journal_head: Hash([0xbe; 32]),
    }
}

/// What the payee states about the payment, one statement per verdict.
pub(crate) fn statements(entry: Hash) -> Vec<Statement> {
    [
        PayeeVerdict::Accepted,
        PayeeVerdict::RefusedContradiction,
        PayeeVerdict::RefusedFrozen,
        PayeeVerdict::RefusedRequest,
        PayeeVerdict::RefusedMismatch,
        PayeeVerdict::RefusedLimit,
        PayeeVerdict::RefusedTerms,
        PayeeVerdict::RefusedDeclined,
    ]
    .map(|verdict| Statement { entry, verdict, freezes_epoch: 4, checkpoint: 2 })
    .into()
}

/// Signs a record of bank 1 with the key that its role needs.
pub(crate) fn by_bank<T: BankRecord + Record>(
    network: &NetworkId,
    record: T,
) -> Verified<Signed<T>> {
    let key = if T::ROLE == ROLE_ISSUE { "issue_1" } else { "settle_1" };
    sign(network, record, &signing(key)).unwrap()
}

/// Every grant, signed.
pub(crate) fn signed_grants(network: &NetworkId) -> Vec<(&'static str, Verified<Signed<Grant>>)> {
    grants().into_iter().map(|(name, grant)| (name, by_bank(network, grant))).collect()
}

/// The payee as a maker of receipts.
pub(crate) fn signer() -> seal::receipt::Signer {
    seal::receipt::Signer { author: payee(), sealing: sealing("payee").public() }
}
