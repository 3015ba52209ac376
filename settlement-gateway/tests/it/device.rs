//! A device in a test: keys and a log of its own, which a cheat can branch.

use hundi_ledger::body::{Payment, Plaintext};
use hundi_ledger::codec::Text;
use hundi_ledger::id::{AuthorId, BankNumber, Hash, NetworkId, RequestId, SealingKey, Serial};
use hundi_ledger::log::Log;
use hundi_ledger::money::Amount;
use hundi_ledger::record::entry::{Class, Entry, Kind, body_hash};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::receipt::{PayeeVerdict, Statement};
use hundi_ledger::record::sign;
use hundi_ledger::seal::{self, ContentKey, SealingSecret, content_key};
use hundi_ledger::sign::SecretKey;

pub struct Device {
    pub author: AuthorId,
    pub sealing: SealingSecret,
    secret: SecretKey,
    network: NetworkId,
    bank: SealingKey,
    pub log: Log,
}

/// An entry as a test keeps it.
#[derive(Clone)]
pub struct Made {
    pub id: Hash,
    pub item: Vec<u8>,
    key: ContentKey,
}

impl Device {
    pub fn new(network: NetworkId, bank: SealingKey, seed: u8) -> Self {
        let secret = SecretKey::from_seed(&[seed; 32]);
        let author = AuthorId { bank: BankNumber(1), key: secret.public() };
        let log = Log::new(author, Class::Money);
        Self { author, sealing: SealingSecret::from_bytes(&[seed; 32]), secret, network, bank, log }
    }

    /// Signs a payment as an honest device does.
    pub fn pay(&mut self, payee: &Device, minor: u64) -> Made {
        let amount = Amount::new(minor).unwrap();
        let mut header = self.log.draft(Kind::PAYMENT, Serial(1), amount, 7).unwrap();
        let head = header.head();
        let key = content_key(&self.network, &self.sealing.agree(&self.bank).unwrap(), &head);
        let shared = self.sealing.agree(&payee.sealing.public()).unwrap();
        let plaintext = Plaintext::Payment(Payment {
            payee: payee.author,
            request: RequestId([1; 8]),
            memo: Text::new("tea").unwrap(),
            category: 0,
            place: None,
            group: None,
        });
        let body = seal::seal(&self.network, &head, &key, Some(&shared), &plaintext);
        header.body_hash = body_hash(&self.network, &body);
        let entry = Entry::sign(&self.network, header, body, &self.secret).unwrap();
        assert!(self.log.append(entry.claim()));
        let entry = entry.into_inner();
        Made { id: entry.id(), item: Item::Entry(entry).encode(), key }
    }

    /// This payee's receipt for an entry.
    pub fn receipt(&self, made: &Made, verdict: PayeeVerdict) -> Vec<u8> {
        let statement = Statement { entry: made.id, verdict, freezes_epoch: 0, checkpoint: 0 };
        let sealing = self.sealing.public();
        let signer = seal::receipt::Signer { author: self.author, sealing };
        let shared = self.sealing.agree(&self.bank).unwrap();
        let to = BankNumber(1);
        let draft = seal::receipt::seal(&self.network, &signer, to, &shared, &made.key, &statement);
        Item::Receipt(sign(&self.network, draft, &self.secret).unwrap().into_inner()).encode()
    }
}
