//! Making records, by the tables of the protocol: keys, encodings, signatures and sealed bodies.

use ed25519_zebra::SigningKey;
use hundi_auditor::hashes::{body_hash, hash};
use hundi_auditor::records::Author;
use hundi_auditor::sealing::{agree, content_key};

/// The keys of an author, made from one byte.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) author: Author,
    pub(crate) sealing: [u8; 32],
    signing: SigningKey,
}

impl Keys {
    pub(crate) fn new(bank: u16, seed: [u8; 32]) -> Self {
        let signing = SigningKey::from(seed);
        let key = signing.verification_key().into();
        let sealing = *blake3::hash(&seed).as_bytes();
        Self { author: Author { bank, key }, sealing, signing }
    }

    pub(crate) fn sealing_public(&self) -> [u8; 32] {
        public(&self.sealing)
    }

    pub(crate) fn sign(&self, id: &[u8; 32]) -> [u8; 64] {
        self.signing.sign(id).into()
    }
}

pub(crate) fn public(secret: &[u8; 32]) -> [u8; 32] {
    x25519_dalek::x25519(*secret, x25519_dalek::X25519_BASEPOINT_BYTES)
}

fn amount(value: u64) -> [u8; 6] {
    value.to_le_bytes()[..6].try_into().unwrap()
}

/// The item of a record that a bank or payee signs: tag, record, signature over its id.
fn signed(network: &[u8; 32], tag: u8, context: &str, record: &[u8], by: &Keys) -> Vec<u8> {
    let id = hash(context, network, &[record]);
    [&[tag], record, &by.sign(&id)].concat()
}

/// A certificate for both roles, with bounds on earlier ones: certificate and last epoch.
pub(crate) fn certificate(
    network: &[u8; 32],
    root: &Keys,
    number: u16,
    online: &Keys,
    honours: &[(u16, u32)],
) -> Vec<u8> {
    let mut record = vec![1];
    record.extend(root.author.bank.to_le_bytes());
    record.extend(number.to_le_bytes());
    record.extend(online.author.key);
    record.push(3);
    record.extend((honours.len() as u16).to_le_bytes());
    for (certificate, epoch_last) in honours {
        record.extend(certificate.to_le_bytes());
        record.extend(epoch_last.to_le_bytes());
    }
    signed(network, 1, "hundi v1 certificate", &record, root)
}

pub(crate) fn bulletin(network: &[u8; 32], online: &Keys, epoch: u32, time: u32) -> Vec<u8> {
    let mut record = vec![1];
    record.extend(online.author.bank.to_le_bytes());
    record.extend(1u16.to_le_bytes());
    record.extend(epoch.to_le_bytes());
    record.extend(time.to_le_bytes());
    record.extend([0; 68]);
    signed(network, 5, "hundi v1 bulletin", &record, online)
}

/// The terms of a grant that worlds differ in.
#[derive(Clone)]
pub(crate) struct Terms {
    pub(crate) serial: u16,
    pub(crate) flags: u8,
    pub(crate) limit: u64,
    pub(crate) guarantee: u64,
    pub(crate) claim_until: u32,
    pub(crate) first_sequence: u32,
    /// Whether there is a policy; it allows everything.
    pub(crate) policy: bool,
}

pub(crate) fn grant(
    network: &[u8; 32],
    online: &Keys,
    to: &Keys,
    bank_sealing: &[u8; 32],
    terms: &Terms,
) -> Vec<u8> {
    let mut record = vec![1];
    record.extend(to.author.to_bytes());
    record.extend(1u16.to_le_bytes());
    record.extend(1u32.to_le_bytes());
    record.extend(to.sealing_public());
    record.extend(bank_sealing);
    record.extend(terms.serial.to_le_bytes());
    record.extend(b"INR");
    record.push(terms.flags);
    record.extend(amount(terms.limit));
    record.extend(amount(terms.limit));
    record.extend(amount(terms.guarantee));
    record.extend(0u32.to_le_bytes());
    record.extend(terms.claim_until.to_le_bytes());
    record.extend(terms.claim_until.to_le_bytes());
    record.extend(terms.first_sequence.to_le_bytes());
    record.extend((terms.first_sequence + 63).to_le_bytes());
    record.extend([10, 10, 30]);
    record.extend(if terms.policy { &[1, 0, 0, 0, 0][..] } else { &[0] });
    record.push(0);
    signed(network, 2, "hundi v1 grant", &record, online)
}

/// What a checkpoint says of an author besides what is the same in all of them.
pub(crate) struct Said<'a> {
    pub(crate) number: u32,
    pub(crate) frontier: Option<(u32, [u8; 32])>,
    pub(crate) live: &'a [(u16, u64, u64)],
    pub(crate) names: &'a [(u32, [u8; 32], u8)],
}

pub(crate) fn checkpoint(
    network: &[u8; 32],
    online: &Keys,
    of: Author,
    said: &Said<'_>,
) -> Vec<u8> {
    let salt = [7; 16];
    let mut record = vec![1];
    record.extend(of.to_bytes());
    record.extend(1u16.to_le_bytes());
    record.extend(said.number.to_le_bytes());
    record.extend(1u32.to_le_bytes());
    record.extend(63u32.to_le_bytes());
    record.extend(salt);
    match said.frontier {
        None => record.push(0),
        Some((sequence, id)) => {
            record.push(1);
            record.extend(sequence.to_le_bytes());
            record.extend(id);
        }
    }
    record.extend((said.live.len() as u16).to_le_bytes());
    for (serial, total, settled) in said.live {
        record.extend(serial.to_le_bytes());
        record.extend(amount(*total));
        record.extend(amount(*settled));
    }
    record.extend((said.names.len() as u16).to_le_bytes());
    for (sequence, id, outcome) in said.names {
        record.extend(sequence.to_le_bytes());
        record.extend(hundi_auditor::hashes::checkpoint_tag(&salt, id));
        record.push(*outcome);
    }
    signed(network, 3, "hundi v1 checkpoint", &record, online)
}

pub(crate) fn freeze(network: &[u8; 32], online: &Keys, of: Author, epoch: u32) -> Vec<u8> {
    let mut record = vec![1];
    record.extend(of.to_bytes());
    record.extend(1u16.to_le_bytes());
    record.extend(epoch.to_le_bytes());
    record.push(1);
    signed(network, 4, "hundi v1 freeze", &record, online)
}

/// The public part of an entry before it is signed.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) kind: u8,
    pub(crate) sequence: u32,
    pub(crate) previous: [u8; 32],
    pub(crate) serial: u16,
    pub(crate) amount: u64,
    pub(crate) spent_total: u64,
}

impl Draft {
    fn head(&self, author: Author) -> Vec<u8> {
        let mut head = vec![1, self.kind];
        head.extend(author.to_bytes());
        head.extend(self.sequence.to_le_bytes());
        head.extend(self.previous);
        head.extend(9u32.to_le_bytes());
        head.extend(self.serial.to_le_bytes());
        head.extend(amount(self.amount));
        head.extend(amount(self.spent_total));
        head
    }
}

/// An entry as it is sent.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) id: [u8; 32],
    pub(crate) bytes: Vec<u8>,
    pub(crate) content_key: [u8; 32],
}

/// The plaintext of a payment.
pub(crate) fn payment(payee: Author) -> Vec<u8> {
    [&payee.to_bytes()[..], &[5; 8], &[0, 0, 0, 0]].concat()
}

/// The plaintext of a refund.
pub(crate) fn refund(payee: Author, original: &[u8; 32], sum: u64) -> Vec<u8> {
    [&payee.to_bytes()[..], original, &amount(sum), &[0]].concat()
}

fn mac(context: &str, network: &[u8; 32], key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    *blake3::keyed_hash(&hash(context, network, &[key]), &parts.concat()).as_bytes()
}

fn stream(key: [u8; 32], text: &[u8]) -> Vec<u8> {
    use chacha20::cipher::{KeyIvInit, StreamCipher};
    let mut text = text.to_vec();
    chacha20::ChaCha20::new(&key.into(), &[0; 12].into()).apply_keystream(&mut text);
    text
}

/// Signs an entry whose body says `plaintext`, sealed to the bank with that key; or, where `other` names
/// one, under a content key that the bank does not derive.
pub(crate) fn entry(
    network: &[u8; 32],
    by: &Keys,
    bank_sealing: &[u8; 32],
    draft: &Draft,
    plaintext: &[u8],
    other: Option<[u8; 32]>,
) -> Made {
    let head = draft.head(by.author);
    let shared = agree(&by.sealing, bank_sealing).unwrap();
    let key = other.unwrap_or_else(|| content_key(network, &shared, &head));
    let mut body = Vec::new();
    if !plaintext.is_empty() {
        let iv = mac("hundi v1 body iv", network, &key, &[&head, &plaintext[..34], plaintext]);
        body.extend(iv);
        // Nobody in these worlds reads as the payee.
        body.extend([0; 33]);
        let stream_key = hash("hundi v1 body stream", network, &[&key, &iv]);
        body.extend(stream(stream_key, plaintext));
    }
    let id = hash("hundi v1 entry header", network, &[&head, &body_hash(network, &body)]);
    let bytes = [&[7], &head[..], &by.sign(&id), &body].concat();
    Made { id, bytes, content_key: key }
}

/// The proof of two entries without a grant between: each as its item.
pub(crate) fn proof(network: &[u8; 32], of: Author, entries: [&Made; 2]) -> Vec<u8> {
    let side = |made: &Made| {
        let record = &made.bytes[1..];
        let body = body_hash(network, &record[154..]);
        [&record[1..2], &record[36..90], &body, &record[90..154]].concat()
    };
    let mut sides: Vec<(u32, [u8; 32], Vec<u8>)> = entries
        .iter()
        .map(|made| {
            let sequence = u32::from_le_bytes(made.bytes[37..41].try_into().unwrap());
            (sequence, made.id, side(made))
        })
        .collect();
    sides.sort();
    [&[6, 1], &of.to_bytes()[..], &sides[0].2, &sides[1].2].concat()
}

/// What a payee tells the payer's bank of an entry.
pub(crate) fn receipt(
    network: &[u8; 32],
    by: &Keys,
    bank_sealing: &[u8; 32],
    made: &Made,
    verdict: u8,
    freezes_epoch: u32,
) -> Vec<u8> {
    let key = &made.content_key;
    let statement =
        [&made.id[..], &[verdict], &freezes_epoch.to_le_bytes(), &0u32.to_le_bytes()].concat();
    let signer = [&by.author.to_bytes()[..], &by.sealing_public(), &1u16.to_le_bytes()].concat();
    let iv = mac("hundi v1 receipt iv", network, key, &[&signer, &statement]);
    let shared = agree(&by.sealing, bank_sealing).unwrap();
    let wrap = hash("hundi v1 receipt wrap", network, &[&shared, &iv]);
    let wrapped: Vec<u8> = key.iter().zip(wrap).map(|(a, b)| a ^ b).collect();
    let sealed = stream(hash("hundi v1 receipt stream", network, &[key, &iv]), &statement);
    let record = [&[1], &signer[..], &iv, &wrapped, &sealed].concat();
    signed(network, 8, "hundi v1 receipt", &record, by)
}
