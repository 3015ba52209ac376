//! Contradictions, and the proof that holds one.
//!
//! Every entry publicly claims an interval of its grant, so spending beyond a grant takes two
//! headers that cannot both be honest. Two such headers with their signatures are a proof that
//! anybody can check with nothing but the network id.

use super::entry::{Class, Entry, Header, Kind, Position, SignedHeader};
use super::{VERSION, Verified, check_version, rule};
use crate::codec::{self, DecodeError};
use crate::id::{AuthorId, Hash, NetworkId, Serial, Signature, hash_in};
use crate::money::Amount;
use crate::sign::{SignatureError, Verifier};
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

const CONTEXT: &str = "hundi v1 proof";
/// Bytes of a proof: version and author once, and twice what differs.
pub const PROOF_BYTES: usize = 1 + 34 + 2 * (1 + 36 + 4 + 2 + 6 + 6 + 32 + 64);

/// What of a header decides whether it contradicts another: small enough to keep for every entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Claim {
    /// The header's hash.
    pub id: Hash,
    /// The header's kind.
    pub kind: Kind,
    /// Its place in the log.
    pub position: Position,
    /// The grant.
    pub serial: Serial,
    /// Where its interval starts.
    pub start: Amount,
    /// Where its interval ends.
    pub spent_total: Amount,
}

impl Claim {
    /// What `header`, whose hash is `id`, claims.
    pub fn of(header: &Header, id: Hash) -> Self {
        Self {
            id,
            kind: header.kind,
            position: header.position,
            serial: header.serial,
            start: header.start(),
            spent_total: header.spent_total,
        }
    }

    /// The sequence number.
    pub fn sequence(&self) -> u32 {
        self.position.sequence()
    }

    /// Whether two claims of one author cannot both be honest (DESIGN §3).
    pub fn contradicts(&self, other: &Claim) -> bool {
        if self.kind.class() != other.kind.class() {
            return false;
        }
        let (a, b) =
            if self.sequence() <= other.sequence() { (self, other) } else { (other, self) };
        if a.sequence() == b.sequence() {
            return a.id != b.id;
        }
        let same_serial = a.serial == b.serial;
        let disordered = a.serial > b.serial
            || same_serial && (a.spent_total > b.start || a.kind == Kind::CLOSE);
        let adjacent = a.sequence().checked_add(1) == Some(b.sequence());
        let start = if same_serial { a.spent_total } else { Amount::ZERO };
        let misfit = adjacent && (b.position.previous() != Some(a.id) || b.start != start);
        disordered || misfit
    }
}

/// One of the two headers of a proof: what differs, and the signature.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Side {
    kind: Kind,
    position: Position,
    time: u32,
    serial: Serial,
    amount: Amount,
    spent_total: Amount,
    body_hash: Hash,
    signature: Signature,
}

impl Side {
    fn of(signed: &SignedHeader) -> Self {
        let header = &signed.header;
        Self {
            kind: header.kind,
            position: header.position,
            time: header.time,
            serial: header.serial,
            amount: header.amount,
            spent_total: header.spent_total,
            body_hash: header.body_hash,
            signature: signed.signature,
        }
    }

    fn signed_header(&self, author: AuthorId) -> SignedHeader {
        SignedHeader {
            header: Header {
                version: VERSION,
                kind: self.kind,
                author,
                position: self.position,
                time: self.time,
                serial: self.serial,
                amount: self.amount,
                spent_total: self.spent_total,
                body_hash: self.body_hash,
            },
            signature: self.signature,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Wire {
    version: u8,
    author: AuthorId,
    sides: [Side; 2],
}

/// Two headers of one author that contradict each other, in ascending order of (sequence, hash).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    wire: Wire,
    claims: [Claim; 2],
    id: Hash,
}

impl Proof {
    /// The proof that two verified headers make, if they contradict each other.
    pub fn new(
        network: &NetworkId,
        a: &Verified<SignedHeader>,
        b: &Verified<SignedHeader>,
    ) -> Option<Verified<Self>> {
        let author = a.header.author;
        let rank = |signed: &SignedHeader| {
            (signed.header.kind.class(), signed.header.sequence(), signed.header.id(network))
        };
        let (first, second) = if rank(a) <= rank(b) { (a, b) } else { (b, a) };
        let wire = Wire { version: VERSION, author, sides: [Side::of(first), Side::of(second)] };
        let same_author = author == b.header.author;
        Self::from_wire(network, wire).ok().filter(|_| same_author).map(Verified)
    }

    /// Decodes a proof; its signatures are not yet verified.
    ///
    /// # Errors
    /// When the bytes are not the one encoding of two headers that contradict each other.
    pub fn decode(network: &NetworkId, bytes: &[u8]) -> Result<Self, DecodeError> {
        check_version(bytes)?;
        Self::from_wire(network, codec::decode(bytes, PROOF_BYTES)?)
    }

    fn from_wire(network: &NetworkId, wire: Wire) -> Result<Self, DecodeError> {
        let claims = [0, 1].map(|at| {
            let header = wire.sides[at].signed_header(wire.author).header;
            Claim::of(&header, header.id(network))
        });
        for side in &wire.sides {
            side.signed_header(wire.author).header.check()?;
        }
        let rank = |claim: &Claim| (claim.sequence(), claim.id);
        rule(rank(&claims[0]) < rank(&claims[1]), "headers of a proof in ascending order")?;
        rule(claims[0].contradicts(&claims[1]), "headers of a proof contradict each other")?;
        // The id covers what is proven and not the signatures, of which there may be many.
        let parts = claims.map(|claim| claim.id);
        let id = hash_in(CONTEXT, network, &[&parts[0].0, &parts[1].0]);
        Ok(Self { wire, claims, id })
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&self.wire)
    }

    /// Verifies both signatures.
    ///
    /// # Errors
    /// When the author did not sign both headers in this network.
    pub fn verify(self) -> Result<Verified<Self>, SignatureError> {
        self.verify_with(&mut Verifier::default())
    }

    /// [`Proof::verify`] with a verifier that is used for many: the verdict is the same.
    ///
    /// # Errors
    /// When the author did not sign both headers in this network.
    pub fn verify_with(self, verifier: &mut Verifier) -> Result<Verified<Self>, SignatureError> {
        for (side, claim) in self.wire.sides.iter().zip(&self.claims) {
            verifier.verify(&self.wire.author.key, &claim.id, &side.signature)?;
        }
        Ok(Verified(self))
    }

    /// The hash of what is proven.
    pub fn id(&self) -> Hash {
        self.id
    }

    /// Who contradicted itself.
    pub fn author(&self) -> AuthorId {
        self.wire.author
    }

    /// The class of the log in which it did.
    pub fn class(&self) -> Class {
        self.claims[0].kind.class()
    }

    /// What the two headers claim.
    pub fn claims(&self) -> &[Claim; 2] {
        &self.claims
    }

    /// The two headers with their signatures.
    pub fn headers(&self) -> [SignedHeader; 2] {
        [0, 1].map(|at| self.wire.sides[at].signed_header(self.wire.author))
    }
}

impl Verified<Proof> {
    /// The two headers, verified because the proof is.
    pub fn verified_headers(&self) -> [Verified<SignedHeader>; 2] {
        self.headers().map(Verified)
    }
}

impl Verified<Entry> {
    /// The header of a verified entry, verified without its body.
    pub fn verified_header(&self) -> Verified<SignedHeader> {
        Verified(self.signed_header())
    }

    /// What the entry claims.
    pub fn claim(&self) -> Claim {
        Claim::of(self.header(), self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(
        id: u8,
        kind: Kind,
        sequence: u32,
        previous: u8,
        serial: u16,
        from_to: (u64, u64),
    ) -> Claim {
        let position = match sequence {
            0 => Position::First,
            _ => Position::After { sequence, previous: Hash([previous; 32]) },
        };
        Claim {
            id: Hash([id; 32]),
            kind,
            position,
            serial: Serial(serial),
            start: Amount::new(from_to.0).unwrap(),
            spent_total: Amount::new(from_to.1).unwrap(),
        }
    }

    #[test]
    fn every_form_of_contradiction() {
        let pay = Kind::PAYMENT;
        let base = claim(1, pay, 4, 9, 2, (10, 20));
        let table = [
            ("itself", base, false),
            ("same sequence", claim(2, pay, 4, 9, 2, (10, 20)), true),
            ("follows", claim(2, pay, 5, 1, 2, (20, 30)), false),
            ("wrong previous", claim(2, pay, 5, 7, 2, (20, 30)), true),
            ("adjacent overlap", claim(2, pay, 5, 1, 2, (19, 30)), true),
            ("adjacent skip", claim(2, pay, 5, 1, 2, (21, 30)), true),
            ("new serial from 0", claim(2, pay, 5, 1, 3, (0, 30)), false),
            ("new serial above 0", claim(2, pay, 5, 1, 3, (1, 30)), true),
            ("far, in order", claim(2, pay, 9, 7, 2, (25, 30)), false),
            ("far, overlaps", claim(2, pay, 9, 7, 2, (19, 30)), true),
            ("far, serial back", claim(2, pay, 9, 7, 1, (90, 95)), true),
            ("far, new serial", claim(2, pay, 9, 7, 3, (5, 6)), false),
            ("document at the same number", claim(2, Kind::DOCUMENT, 4, 9, 2, (0, 0)), false),
        ];
        for (name, other, expected) in table {
            assert_eq!(base.contradicts(&other), expected, "{name}");
            assert_eq!(other.contradicts(&base), expected, "{name}, reversed");
        }
        let close = claim(1, Kind::CLOSE, 4, 9, 2, (20, 20));
        assert!(close.contradicts(&claim(2, pay, 8, 7, 2, (20, 30))), "after a close");
        assert!(!close.contradicts(&claim(2, pay, 5, 1, 3, (0, 30))), "next serial after a close");
        assert!(!close.contradicts(&claim(2, pay, 2, 7, 2, (10, 20))), "before a close");
    }
}
