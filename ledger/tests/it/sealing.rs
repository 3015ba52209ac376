//! Sealing against people who do not keep to it: the wrong reader, a payer who wraps another key,
//! bodies moved between entries, and attempts to make one ciphertext open in two ways.

use crate::vectors::crafted;
use crate::vectors::world::{self, draft, position, sealing};
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use hundi_ledger::body::Plaintext;
use hundi_ledger::id::{BankNumber, Hash, NetworkId};
use hundi_ledger::record::entry::{Header, Kind, body_hash};
use hundi_ledger::record::receipt::{PayeeVerdict, Statement};
use hundi_ledger::seal::{self, ContentKey, OpenError, SealingSecret, Shared};

fn network() -> NetworkId {
    world::network().id()
}

/// The header of a payment at that place in the log.
fn header(sequence: u32) -> Header {
    draft(Kind::PAYMENT, position(sequence, Hash([0x77; 32])), 1, 5, 25)
}

fn with_payee() -> Shared {
    sealing("payer").agree(&sealing("payee").public()).unwrap()
}

fn as_payee() -> Shared {
    sealing("payee").agree(&sealing("payer").public()).unwrap()
}

/// The sealing of `docs/protocol.md` written a second time, to make what the code would not.
mod by_hand {
    use super::*;

    pub(crate) fn derive(context: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(&network().0);
        parts.iter().for_each(|part| {
            hasher.update(part);
        });
        *hasher.finalize().as_bytes()
    }

    pub(crate) fn iv(key: &[u8; 32], header: &Header, payee: &[u8; 34], text: &[u8]) -> [u8; 32] {
        let key = derive("hundi v1 body iv", &[key]);
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(&header.head()).update(payee).update(text);
        *hasher.finalize().as_bytes()
    }

    pub(crate) fn stream(key: &[u8; 32], iv: &[u8; 32], text: &[u8]) -> Vec<u8> {
        let key = derive("hundi v1 body stream", &[key, iv]);
        let mut text = text.to_vec();
        ChaCha20::new((&key).into(), &[0; 12].into()).apply_keystream(&mut text);
        text
    }

    /// A body that commits to `payee` and `text` and wraps nothing readable.
    pub(crate) fn body(key: &[u8; 32], header: &Header, payee: &[u8; 34], text: &[u8]) -> Vec<u8> {
        let iv = iv(key, header, payee, text);
        [&iv[..], &[0; 33], &stream(key, &iv, text)].concat()
    }
}

#[test]
fn two_readers_open_and_nobody_else() {
    let (network, header) = (network(), header(4));
    let plaintext = world::payment_plaintext("16 bytes of memo");
    let body = world::sealed(&network, &header, &plaintext);
    let bank = world::bank_content_key(&network, &header);
    let opened = seal::open(&network, &header, &body, &bank).unwrap();
    assert_eq!(opened.plaintext, plaintext);
    assert_eq!(seal::open_as_payee(&network, &header, &body, &as_payee()).unwrap(), opened);
    // A stranger passes the view tag one time in 256; then the commitment refuses.
    let mut past_the_tag = 0;
    for n in 0..2_000u16 {
        let mut secret = [0x55; 32];
        secret[1..3].copy_from_slice(&n.to_le_bytes());
        let shared = SealingSecret::from_bytes(&secret).agree(&sealing("payer").public()).unwrap();
        match seal::open_as_payee(&network, &header, &body, &shared) {
            Err(OpenError::NotForReader) => {}
            Err(OpenError::Commitment) => past_the_tag += 1,
            other => panic!("{other:?}"),
        }
    }
    println!("{past_the_tag} of 2000 strangers passed the view tag and were refused");
    assert!((1..40).contains(&past_the_tag));
    let other_bank = sealing("bank_7").agree(&sealing("payer").public()).unwrap();
    let key = seal::content_key(&network, &other_bank, &header.head());
    assert_eq!(seal::open(&network, &header, &body, &key), Err(OpenError::Commitment));
}

#[test]
fn another_key_wrapped_for_the_payee_is_settled_by_disclosure() {
    let (network, header) = (network(), header(4));
    let plaintext = world::payment_plaintext("16 bytes of memo");
    // A key that the bank does not derive: only the payee can read this.
    let odd = ContentKey::from_bytes([0x42; 32]);
    let body = seal::seal(&network, &header.head(), &odd, Some(&with_payee()), &plaintext);
    let bank = world::bank_content_key(&network, &header);
    assert_eq!(seal::open(&network, &header, &body, &bank), Err(OpenError::Commitment));
    let opened = seal::open_as_payee(&network, &header, &body, &as_payee()).unwrap();
    // The payee cannot tell, and answers as always; the receipt carries the key.
    let statement = Statement {
        entry: header.id(&network),
        verdict: PayeeVerdict::Accepted,
        freezes_epoch: 0,
        checkpoint: 0,
    };
    let shared = sealing("payee").agree(&sealing("bank_1").public()).unwrap();
    let signer = world::signer();
    let payer_bank = world::payer().bank;
    let receipt =
        seal::receipt::seal(&network, &signer, payer_bank, &shared, &opened.key, &statement);
    let at_bank = sealing("bank_1").agree(&sealing("payee").public()).unwrap();
    let (stated, key) = seal::receipt::open_as_bank(&network, &receipt, &at_bank).unwrap();
    assert_eq!((stated, key.to_bytes()), (statement, odd.to_bytes()));
    assert_eq!(seal::open(&network, &header, &body, &key).unwrap().plaintext, plaintext);
}

#[test]
fn a_body_is_bound_to_its_head() {
    let network = network();
    let plaintext = world::payment_plaintext("same words");
    let (first, second) = (header(4), header(5));
    let body = world::sealed(&network, &first, &plaintext);
    assert_ne!(body, world::sealed(&network, &second, &plaintext));
    let key = world::bank_content_key(&network, &first);
    let other = world::bank_content_key(&network, &second);
    assert_ne!(key.to_bytes(), other.to_bytes());
    for key in [&key, &other] {
        assert_eq!(seal::open(&network, &second, &body, key), Err(OpenError::Commitment));
    }
    let read = seal::open_as_payee(&network, &second, &body, &as_payee());
    assert!(read.is_err());
    let changes: [fn(&mut Header); 5] = [
        |h| h.author.bank = BankNumber(7),
        |h| h.amount = world::amount(6),
        |h| h.spent_total = world::amount(26),
        |h| h.time += 1,
        |h| h.serial.0 += 1,
    ];
    for change in changes {
        let mut changed = first.clone();
        change(&mut changed);
        assert_eq!(seal::open(&network, &changed, &body, &key), Err(OpenError::Commitment));
    }
    // The body hash is not part of the head: the body is.
    let mut named = first.clone();
    named.body_hash = body_hash(&network, &body);
    assert!(seal::open(&network, &named, &body, &key).is_ok());
}

#[test]
fn every_changed_byte_of_a_body_is_noticed() {
    let (network, header) = (network(), header(4));
    let plaintext = world::payment_plaintext("16 bytes of memo");
    let body = world::sealed(&network, &header, &plaintext);
    let bank = world::bank_content_key(&network, &header);
    for at in 0..body.len() {
        for mask in [1, 0x80, 0xff] {
            let mut changed = body.clone();
            changed[at] ^= mask;
            let by_bank = seal::open(&network, &header, &changed, &bank);
            let by_payee = seal::open_as_payee(&network, &header, &changed, &as_payee());
            if (32..65).contains(&at) {
                assert!(by_bank.is_ok(), "what is wrapped concerns the payee alone");
            } else {
                assert_eq!(by_bank, Err(OpenError::Commitment), "byte {at}");
            }
            assert!(by_payee.is_err(), "byte {at}");
        }
    }
}

#[test]
fn one_ciphertext_opens_under_one_key_only() {
    let (network, header) = (network(), header(4));
    let plaintext = world::payment_plaintext("16 bytes of memo");
    let body = world::sealed(&network, &header, &plaintext);
    let right = world::bank_content_key(&network, &header).to_bytes();
    let mut keys: Vec<[u8; 32]> = (0..256)
        .map(|bit| {
            let mut key = right;
            key[bit / 8] ^= 1 << (bit % 8);
            key
        })
        .collect();
    keys.extend((0..4_000u16).map(|n| by_hand::derive("other keys", &[&n.to_le_bytes()])));
    keys.push(right);
    let opens: Vec<[u8; 32]> = keys
        .into_iter()
        .filter(|key| seal::open(&network, &header, &body, &ContentKey::from_bytes(*key)).is_ok())
        .collect();
    assert_eq!(opens, [right]);
}

/// With a short check a payer could search for a body that fits two keys; here the search succeeds
/// against 16 bits, and the whole check refuses what it found.
#[test]
fn a_search_that_breaks_a_short_check_fails_at_the_whole_one() {
    let (network, header) = (network(), header(4));
    let (for_bank, for_payee) = ([0x41; 32], [0x42; 32]);
    let payee = world::payee().to_bytes();
    let mut found = 0;
    for n in 0..400_000u32 {
        let text = world::payment_plaintext(&format!("memo {n:08}")).encode();
        let iv = by_hand::iv(&for_bank, &header, &payee, &text);
        let sealed = by_hand::stream(&for_bank, &iv, &text);
        let under_other = by_hand::stream(&for_payee, &iv, &sealed);
        let other_iv = by_hand::iv(&for_payee, &header, &[0; 34], &under_other);
        if iv[..2] != other_iv[..2] {
            continue;
        }
        found += 1;
        let body = [&iv[..], &[0; 33], &sealed].concat();
        let open = |key| seal::open(&network, &header, &body, &ContentKey::from_bytes(key));
        assert!(open(for_bank).is_ok(), "the search seals as the code does");
        assert_eq!(open(for_payee), Err(OpenError::Commitment));
        if found == 2 {
            break;
        }
    }
    assert_eq!(found, 2, "the search must succeed against the short check to show anything");
}

#[test]
fn what_opens_to_nonsense_is_final_and_what_does_not_open_is_not() {
    let (network, header) = (network(), header(4));
    let key = world::bank_content_key(&network, &header);
    let payee = world::payee().to_bytes();
    let nonsense = by_hand::body(&key.to_bytes(), &header, &[0; 34], b"no plaintext at all");
    let opened = seal::open(&network, &header, &nonsense, &key);
    assert!(matches!(opened, Err(OpenError::Plaintext(_))), "{opened:?}");
    // Committed to a payee who cannot be read out of it: as good as not committed.
    let nonsense = by_hand::body(&key.to_bytes(), &header, &payee, b"no plaintext at all");
    assert_eq!(seal::open(&network, &header, &nonsense, &key), Err(OpenError::Commitment));
    // A good plaintext committed to somebody else than it names.
    let text = world::payment_plaintext("memo").encode();
    let other = world::author(1, "payee").to_bytes();
    for wrong in [other, [0; 34]] {
        let body = by_hand::body(&key.to_bytes(), &header, &wrong, &text);
        assert_eq!(seal::open(&network, &header, &body, &key), Err(OpenError::Commitment));
    }
    let body = by_hand::body(&key.to_bytes(), &header, &payee, &text);
    assert!(seal::open(&network, &header, &body, &key).is_ok());
}

#[test]
fn a_grant_request_is_for_the_bank_alone() {
    let network = network();
    let entries = world::entries(&network);
    let (header, body) = (entries[0].entry.header(), entries[0].entry.body());
    assert_eq!(header.kind, Kind::GRANT_REQUEST);
    let key = world::bank_content_key(&network, header);
    let opened = seal::open(&network, header, body, &key).unwrap();
    assert!(matches!(opened.plaintext, Plaintext::GrantRequest(_)));
    let read = seal::open_as_payee(&network, header, body, &as_payee());
    assert_eq!(read, Err(OpenError::NotForReader));
    // Kinds without a sealed body open for nobody.
    for kind in [Kind::CLOSE, Kind::APPROVAL, Kind::DOCUMENT, Kind(0x2a)] {
        let header = Header { kind, ..header.clone() };
        assert_eq!(seal::open(&network, &header, body, &key), Err(OpenError::Malformed));
    }
}

#[test]
fn a_secret_that_everybody_knows_is_refused() {
    for (name, key) in crafted::small_order_sealing_keys() {
        for who in ["payer", "bank_1"] {
            assert!(sealing(who).agree(&key).is_err(), "{name}");
        }
    }
}

#[test]
fn a_receipt_speaks_for_its_signer_its_bank_and_its_entry_only() {
    let network = network();
    let key = ContentKey::from_bytes([0x43; 32]);
    let shared = || sealing("payee").agree(&sealing("bank_1").public()).unwrap();
    let signer = world::signer();
    let statement = world::statements(Hash([0x5a; 32]))[0];
    let receipt =
        seal::receipt::seal(&network, &signer, BankNumber(1), &shared(), &key, &statement);
    assert_eq!(seal::receipt::open(&network, &receipt, &key), Some(statement));
    let mut changed = vec![receipt.clone(); 6];
    changed[0].signer = world::payer();
    changed[1].signer_sealing = sealing("stranger").public();
    changed[2].payer_bank = BankNumber(7);
    changed[3].iv.0[31] ^= 1;
    changed[4].sealed[40] ^= 1;
    for changed in &changed[..5] {
        assert_eq!(seal::receipt::open(&network, changed, &key), None);
        assert!(seal::receipt::open_as_bank(&network, changed, &shared()).is_none());
    }
    // The wrapped key concerns the bank alone; the payer knows the key already.
    changed[5].wrapped_key[0] ^= 1;
    assert_eq!(seal::receipt::open(&network, &changed[5], &key), Some(statement));
    assert!(seal::receipt::open_as_bank(&network, &changed[5], &shared()).is_none());
    let other_key = ContentKey::from_bytes([0x44; 32]);
    assert_eq!(seal::receipt::open(&network, &receipt, &other_key), None);
    let other_bank = sealing("bank_7").agree(&sealing("payee").public()).unwrap();
    assert!(seal::receipt::open_as_bank(&network, &receipt, &other_bank).is_none());
    let other_network = world::other_network().id();
    assert_eq!(seal::receipt::open(&other_network, &receipt, &key), None);
}
