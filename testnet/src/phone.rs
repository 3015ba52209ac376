//! A phone without a daemon: keys and a log in this process, which signs payments as an honest
//! device does. For load on a bank that must know every entry before it is handed in.

use anyhow::{Context, Result, anyhow, ensure};
use hundi_ledger::body::{Payment, Plaintext};
use hundi_ledger::codec::Text;
use hundi_ledger::id::{AuthorId, BankNumber, Hash, NetworkId, RequestId, SealingKey, Serial};
use hundi_ledger::log::Log;
use hundi_ledger::money::Amount;
use hundi_ledger::record::entry::{Class, Entry, Kind, body_hash};
use hundi_ledger::record::item::Item;
use hundi_ledger::seal::{SealingSecret, Shared, content_key, seal};
use hundi_ledger::sign::SecretKey;

/// The one bank of these networks.
pub const BANK: BankNumber = BankNumber(1);

/// A phone that signs.
pub struct Phone {
    /// Its author.
    pub author: AuthorId,
    sealing: SealingSecret,
    secret: SecretKey,
    network: NetworkId,
    bank: SealingKey,
    /// What it shares with the bank, from its first payment on.
    shared: Option<Shared>,
    log: Log,
}

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Phone").field("author", &self.author).finish_non_exhaustive()
    }
}

/// Whom a phone pays: what a payer has to know of the other phone.
#[derive(Clone, Copy, Debug)]
pub struct Payee {
    /// The author that is paid.
    pub author: AuthorId,
    /// The key that the payment is sealed to, besides the bank's.
    pub sealing: SealingKey,
}

/// An entry that it signed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The entry's id.
    pub id: Hash,
    /// The encoded item.
    pub item: Vec<u8>,
}

impl Phone {
    /// A phone whose keys follow from `seed`, at the bank with that sealing key.
    pub fn new(network: NetworkId, bank: SealingKey, seed: [u8; 32]) -> Self {
        let secret = SecretKey::from_seed(&seed);
        let author = AuthorId { bank: BANK, key: secret.public() };
        let log = Log::new(author, Class::Money);
        let sealing = SealingSecret::from_bytes(&seed);
        Self { author, sealing, secret, network, bank, shared: None, log }
    }

    /// What others have to know to pay it.
    pub fn payee(&self) -> Payee {
        Payee { author: self.author, sealing: self.sealing_key() }
    }

    /// Its sealing key.
    pub fn sealing_key(&self) -> SealingKey {
        self.sealing.public()
    }

    /// Signs a payment under its first grant.
    ///
    /// # Errors
    /// When the grant has nothing left, or a rule of the ledger is broken.
    pub fn pay(&mut self, payee: &Self, minor: u64, time: u32) -> Result<Signed> {
        self.pay_to(&payee.payee(), minor, time)
    }

    /// As [`Phone::pay`], for whoever does not have the other phone at hand.
    ///
    /// # Errors
    /// See [`Phone::pay`].
    pub fn pay_to(&mut self, payee: &Payee, minor: u64, time: u32) -> Result<Signed> {
        let amount = Amount::new(minor).context("an amount")?;
        let draft = self.log.draft(Kind::PAYMENT, Serial(1), amount, time);
        let mut header = draft.map_err(|error| anyhow!("the log takes no payment: {error:?}"))?;
        let head = header.head();
        let agreed = |key| self.sealing.agree(key).map_err(|error| anyhow!("{error:?}"));
        let with_bank = match &self.shared {
            Some(shared) => shared.clone(),
            None => agreed(&self.bank)?,
        };
        let key = content_key(&self.network, &with_bank, &head);
        let shared = agreed(&payee.sealing)?;
        let plaintext = Plaintext::Payment(Payment {
            payee: payee.author,
            request: RequestId([1; 8]),
            memo: Text::new("tea").context("a memo")?,
            category: 0,
            place: None,
            group: None,
        });
        let body = seal(&self.network, &head, &key, Some(&shared), &plaintext);
        header.body_hash = body_hash(&self.network, &body);
        let entry = Entry::sign(&self.network, header, body, &self.secret)?;
        ensure!(self.log.append(entry.claim()), "the log contradicts itself");
        self.shared = Some(with_bank);
        let entry = entry.into_inner();
        Ok(Signed { id: entry.id(), item: Item::Entry(entry).encode() })
    }
}
