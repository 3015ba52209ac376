//! Paying: what is asked for is checked, drafted, sealed, signed, and made durable with the log in
//! one persist before a byte leaves; then it is offered until its payee has answered.

use super::record::{LOG_KEY, Party, PaymentState, Purpose, Record};
use super::{PayError, SignError, Unable, Wallet};
use crate::engine::Engine;
use crate::input::{LinkId, LinkKind};
use crate::limits::OFFERS_PER_LINK_MAX;
use crate::message::Message;
use crate::output::{Event, Payload};
use crate::relay::Source;
use crate::step::Step;
use alloc::vec::Vec;
use hundi_ledger::body::{self, Plaintext};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, Hash, Serial};
use hundi_ledger::limits::MEMO_BYTES_MAX;
use hundi_ledger::log::DraftError;
use hundi_ledger::money::Amount;
use hundi_ledger::offer::Offer;
use hundi_ledger::record::entry::{Entry, Header, Kind, body_hash};
use hundi_ledger::record::grant::Grant;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::receipt::Receipt;
use hundi_ledger::record::{Signed, Verified};
use hundi_ledger::replica::{Key, Shelf};
use hundi_ledger::request::PaymentRequest;
use hundi_ledger::seal;
use hundi_ledger::trust::VerifiedItem;
use hundi_ledger::verdict::payee::NotNow;
use hundi_ledger::verdict::payer;

/// What is to be signed.
pub(super) struct Draft<'a> {
    pub(super) kind: Kind,
    pub(super) grant: &'a Grant,
    /// What the entry spends of its grant.
    pub(super) amount: Amount,
    /// What moves.
    pub(super) sum: Amount,
    pub(super) party: Option<Party>,
    /// None has an empty body.
    pub(super) plaintext: Option<Plaintext>,
    pub(super) purpose: Purpose,
    pub(super) memo: Text<MEMO_BYTES_MAX>,
}

impl Engine {
    pub(crate) fn pay(
        &mut self,
        step: &mut Step<'_>,
        request: &PaymentRequest,
        amount: Option<Amount>,
        memo: Option<Text<MEMO_BYTES_MAX>>,
        category: u8,
        again: bool,
    ) -> Result<Hash, PayError> {
        let wallet = self.wallet.as_ref().ok_or(SignError::Unable(Unable::NoKeys))?;
        let me = wallet.keys.author;
        if request.network != self.network {
            return Err(PayError::Network);
        }
        if request.payee == me {
            return Err(PayError::Own);
        }
        if let Some(made) = wallet.payment_for(request).filter(|_| !again) {
            self.offer_everywhere(step, &made);
            return Ok(made);
        }
        let amount = asked_amount(request.amount, amount)?;
        if step.now().max(self.replica.bank_time(me.bank)) > request.expires {
            return Err(PayError::Expired);
        }
        if wallet.log.is_stopped() {
            return Err(SignError::Stopped.into());
        }
        let grant = payer::grant_for(&self.replica, step, &wallet.log, amount, step.now())?;
        if grant.currency != request.currency {
            let (asked, granted) = (request.currency, grant.currency);
            return Err(PayError::Currency { asked, granted });
        }
        if let Some(policy) = &grant.policy {
            let payee = policy.payees.is_empty() || policy.payees.contains(&request.payee);
            let kind = policy.categories.is_empty() || policy.categories.contains(&category);
            if !payee || !kind {
                return Err(PayError::Policy);
            }
        }
        let grant: Grant = (***grant).clone();
        let memo = memo.unwrap_or_else(|| request.memo.clone());
        let plaintext = body::Payment {
            payee: request.payee,
            request: request.request,
            memo: memo.clone(),
            category,
            place: None,
            group: None,
        };
        let draft = Draft {
            kind: Kind::PAYMENT,
            grant: &grant,
            amount,
            sum: amount,
            party: Some(Party { author: request.payee, sealing: request.payee_sealing }),
            plaintext: Some(Plaintext::Payment(plaintext)),
            purpose: Purpose::Payment { request: request.request, category },
            memo,
        };
        let id = self.sign(step, draft)?;
        self.offer_everywhere(step, &id);
        Ok(id)
    }

    /// Signs what is drafted and takes it: entry, log and record go into one persist.
    pub(super) fn sign(
        &mut self,
        step: &mut Step<'_>,
        draft: Draft<'_>,
    ) -> Result<Hash, SignError> {
        let network = self.network;
        let now = step.now();
        let wallet = self.wallet.as_mut().ok_or(Unable::NoKeys)?;
        let grant = draft.grant;
        let mut header = wallet.log.draft(draft.kind, grant.serial, draft.amount, now)?;
        let mut content = None;
        let sealed = match &draft.plaintext {
            None => Vec::new(),
            Some(plaintext) => {
                let sealing = |_| SignError::SealingKey;
                let secret = &wallet.keys.sealing;
                let bank = wallet.shared.agree(secret, &grant.bank_sealing).map_err(sealing)?;
                let payee = draft.party.map(|party| wallet.shared.agree(secret, &party.sealing));
                let payee = payee.transpose().map_err(sealing)?;
                let head = header.head();
                let key = seal::content_key(&network, &bank, &head);
                let sealed = seal::seal(&network, &head, &key, payee.as_ref(), plaintext);
                content = Some(key);
                sealed
            }
        };
        header.body_hash = body_hash(&network, &sealed);
        // Every rule of an entry follows from the draft; nothing is signed if one does not.
        let entry = Entry::sign(&network, header, sealed, &wallet.keys.signing)
            .map_err(|_| SignError::Full)?;
        let id = entry.id();
        assert!(wallet.log.append(entry.claim()), "a drafted entry follows its log");
        let record = Record {
            id,
            outgoing: true,
            signed: entry.signed_header(),
            previous: None,
            party: draft.party,
            bank_sealing: grant.bank_sealing,
            currency: grant.currency,
            sum: draft.sum,
            purpose: draft.purpose,
            memo: draft.memo,
            claim_until: grant.claim_until,
            state: PaymentState::Signed,
            verdict: None,
            not_now: None,
            unsure: false,
            outcome: None,
            receipt: None,
            refund: None,
            returned: Amount::ZERO,
            carriers: Vec::new(),
            first_at: now,
            verdict_at: None,
            outcome_at: None,
            ended: false,
        };
        step.put_state(LOG_KEY.to_vec(), &wallet.log);
        record.store(step);
        wallet.content.extend(content.map(|key| (id, key)));
        wallet.index(record);
        step.event(Event::PaymentChanged { id, state: PaymentState::Signed });
        // What pays somebody is offered on every link, with what it takes to judge it.
        let source = if draft.party.is_some() { Source::Offered } else { Source::Local };
        let (status, _) = self.apply(step, VerifiedItem::Entry(entry.clone()), source);
        if !status.is_new() {
            let key = Key::entry(entry.header().author, id);
            step.keep_item(key, Item::Entry((*entry).clone()).encode());
            self.forward(step, key, source);
        }
        Ok(id)
    }

    /// A grant under which this author may sign an entry that spends nothing: the lowest, because
    /// the first header of a higher serial closes the lower ones.
    pub(super) fn grant_for_nothing(
        &self,
        step: &Step<'_>,
        in_force: bool,
    ) -> Result<Grant, SignError> {
        let now = step.now();
        let wallet = self.wallet.as_ref().ok_or(Unable::NoKeys)?;
        if wallet.log.is_stopped() {
            return Err(SignError::Stopped);
        }
        let bank_time = self.replica.bank_time(wallet.keys.author.bank);
        let clock = now.max(bank_time);
        let author = self.replica.author(&wallet.keys.author, step).ok_or(SignError::NoGrant)?;
        let serials: Vec<Serial> = author.grants().map(|grant| grant.serial).collect();
        let mut grants = serials
            .into_iter()
            .filter_map(|serial| author.grant_in_effect(self.replica.trust(), bank_time, serial));
        let usable = |grant: &Grant| {
            let drafted = wallet.log.draft(Kind::CLOSE, grant.serial, Amount::ZERO, now);
            drafted.is_ok_and(|header| header.sequence() >= grant.first_sequence)
                && !grant.is_bearer()
                && (!in_force || (grant.not_before..=grant.expiry).contains(&clock))
        };
        grants.find(|grant| usable(grant)).map(|grant| (***grant).clone()).ok_or(SignError::NoGrant)
    }

    pub(crate) fn close(&mut self, step: &mut Step<'_>) -> Result<Hash, SignError> {
        let wallet = self.wallet.as_ref().ok_or(Unable::NoKeys)?;
        let me = wallet.keys.author;
        let bank_time = self.replica.bank_time(me.bank);
        let author = self.replica.author(&me, step).ok_or(SignError::NoGrant)?;
        let mut grant = None;
        for held in author.grants().rev().filter(|held| held.serial != Serial::ENROLMENT) {
            let serial = held.serial;
            let effect = author.grant_in_effect(self.replica.trust(), bank_time, serial);
            match wallet.log.draft(Kind::CLOSE, serial, Amount::ZERO, step.now()) {
                Ok(header) if header.sequence() >= held.first_sequence && effect.is_some() => {
                    grant = effect;
                }
                Ok(_) | Err(DraftError::Closed(_)) => continue,
                Err(error) => return Err(error.into()),
            }
            break;
        }
        let grant: Grant = (***grant.ok_or(SignError::NoGrant)?).clone();
        self.sign(step, Draft::unpaid(Kind::CLOSE, &grant, Purpose::Close, None))
    }

    pub(crate) fn request_grant(
        &mut self,
        step: &mut Step<'_>,
        limit: Amount,
    ) -> Result<Hash, SignError> {
        let grant = self.grant_for_nothing(step, false)?;
        let held = self.replica.author(&grant.author, step).and_then(|author| {
            let highest = author.grants().next_back();
            highest.map(|grant| grant.serial.0)
        });
        let serial = held.and_then(|serial| serial.checked_add(1)).ok_or(SignError::Full)?;
        let plaintext = body::GrantRequest { serial: Serial(serial), limit };
        let plaintext = Some(Plaintext::GrantRequest(plaintext));
        let purpose = Purpose::GrantRequest { limit };
        self.sign(step, Draft::unpaid(Kind::GRANT_REQUEST, &grant, purpose, plaintext))
    }

    /// The message that offers a payment of this device to its payee, while that has not answered:
    /// the first one on a [`LinkKind::Payment`]. It may leave when everything given out before is
    /// durable. `shelf` as in [`Engine::handle`].
    pub fn offer_of(&self, id: &Hash, shelf: &dyn Shelf) -> Option<Vec<u8>> {
        self.offer_message(&self.view(shelf), id)
    }

    /// An offer of an own payment, with all that its payee needs to judge it; none once it is
    /// answered.
    fn offer_message(&self, shelf: &dyn Shelf, id: &Hash) -> Option<Vec<u8>> {
        let wallet = self.wallet.as_ref()?;
        let record = wallet.records.get(id).filter(|record| record.is_unanswered())?;
        let me = record.author();
        let entry = shelf.item(&Key::entry(me, *id))?;
        let author = self.replica.author(&me, shelf)?;
        let trust = self.replica.trust();
        let mut certificates = alloc::collections::BTreeSet::new();
        let mut records: Vec<Item> = Vec::new();
        let grants = [Serial::ENROLMENT, record.signed.header.serial];
        for grant in author.grants().filter(|grant| grants.contains(&grant.serial)) {
            certificates.insert(grant.certificate);
            records.push(Item::Grant((**grant).clone()));
        }
        if let Some(checkpoint) = author.checkpoint_in_effect(trust) {
            certificates.insert(checkpoint.certificate);
            records.push(Item::Checkpoint((**checkpoint).clone()));
        }
        if let Some(bulletin) = self.replica.bulletin(me.bank) {
            certificates.insert(bulletin.certificate);
            records.push(Item::Bulletin((**bulletin).clone()));
        }
        let named = trust.of(me.bank).filter(|held| certificates.contains(&held.number));
        let mut items: Vec<Item> = named.map(|held| Item::Certificate((**held).clone())).collect();
        items.extend(records);
        let records = items.iter().map(|item| List::new(item.encode()).ok());
        let before = record.sequence().checked_sub(1).and_then(|before| wallet.own.get(&before));
        let previous = before.and_then(|id| wallet.records.get(id));
        let offer = Offer {
            records: List::new(records.collect::<Option<Vec<_>>>()?).ok()?,
            previous: previous.map(|record| record.signed.clone()),
            entry: List::new(entry).ok()?,
        };
        Some(Message::Offer(offer).encode())
    }

    pub(super) fn offer_everywhere(&mut self, step: &mut Step<'_>, id: &Hash) {
        let meshed = self.links.iter().filter(|(_, link)| link.kind != LinkKind::Payment);
        let links: Vec<LinkId> = meshed.map(|(id, _)| *id).collect();
        for link in links {
            self.offer(step, link, id);
        }
    }

    fn offer(&mut self, step: &mut Step<'_>, link: LinkId, id: &Hash) {
        if let Some(message) = self.offer_message(step, id) {
            step.send(link, Payload::Message(message));
        }
    }

    /// Offers what is unanswered on a link that has come up.
    pub(crate) fn offer_again(&mut self, step: &mut Step<'_>, link: LinkId) {
        let Some(wallet) = &self.wallet else { return };
        let unanswered = wallet.unanswered.values().copied();
        let ids: Vec<Hash> = unanswered.take(OFFERS_PER_LINK_MAX).collect();
        for id in ids {
            self.offer(step, link, &id);
        }
    }

    /// Whether a receipt of this signer may be about a payment of our own.
    pub(crate) fn awaits_receipt(&self, signer: &AuthorId) -> bool {
        self.wallet.as_ref().is_some_and(|wallet| wallet.awaiting(signer).next().is_some())
    }

    pub(crate) fn receipt_arrived(
        &mut self,
        step: &mut Step<'_>,
        receipt: &Verified<Signed<Receipt>>,
    ) {
        let Some(wallet) = &self.wallet else { return };
        let found = wallet.awaiting(&receipt.signer).find_map(|record| {
            let (payee, key) = (&record.party.as_ref()?.author, wallet.content.get(&record.id)?);
            let said = payer::read_receipt(&self.replica, receipt, payee, &record.id, key)?;
            Some((record.clone(), said))
        });
        let Some((mut record, statement)) = found else { return };
        // A signed refusal wins, whatever the order in which the two arrive.
        if record.is_refused() || record.verdict == Some(statement.verdict) {
            return;
        }
        record.verdict = Some(statement.verdict);
        record.verdict_at = Some(step.now());
        record.not_now = None;
        let item = Item::Receipt((**receipt).clone());
        record.receipt = Some((receipt.id(), item.encode()));
        step.put_item(Key::of(&item), item.encode());
        self.record_changed(step, record);
    }

    /// An unsigned answer: the offer has reached somebody who opened it.
    pub(crate) fn not_now_arrived(&mut self, step: &mut Step<'_>, entry: &Hash, reason: NotNow) {
        let Some(wallet) = &self.wallet else { return };
        let Some(record) = wallet.records.get(entry) else { return };
        if record.is_unanswered() && record.not_now != Some(reason) {
            let record = Record { not_now: Some(reason), ..record.clone() };
            self.record_changed(step, record);
        }
    }
}

impl<'a> Draft<'a> {
    /// Of a kind that pays nobody.
    fn unpaid(
        kind: Kind,
        grant: &'a Grant,
        purpose: Purpose,
        plaintext: Option<Plaintext>,
    ) -> Self {
        let (amount, sum, memo) = (Amount::ZERO, Amount::ZERO, Text::default());
        Self { kind, grant, amount, sum, party: None, plaintext, purpose, memo }
    }
}

impl Wallet {
    /// The newest payment made for a request of its payee.
    fn payment_for(&self, request: &PaymentRequest) -> Option<Hash> {
        let of_request = |record: &&Record| {
            let payment = matches!(
                record.purpose,
                Purpose::Payment { request: id, .. } if id == request.request
            );
            payment && record.party.is_some_and(|party| party.author == request.payee)
        };
        let own = self.own.values().rev().filter_map(|id| self.records.get(id));
        own.clone().find(of_request).map(|record| record.id)
    }

    /// Open payments and refunds of our own to this payee, on which it may still say something.
    fn awaiting(&self, payee: &AuthorId) -> impl Iterator<Item = &Record> {
        let open = self.open.iter().filter_map(|id| self.records.get(id));
        open.filter(move |record| {
            record.outgoing && record.party.is_some_and(|party| party.author == *payee)
        })
    }

    /// The key under which an own entry is sealed, from its header.
    pub(crate) fn own_content_key(
        &mut self,
        network: &hundi_ledger::id::NetworkId,
        header: &Header,
        bank_sealing: &hundi_ledger::id::SealingKey,
    ) -> Option<seal::ContentKey> {
        let bank = self.shared.agree(&self.keys.sealing, bank_sealing).ok()?;
        Some(seal::content_key(network, &bank, &header.head()))
    }
}

fn asked_amount(asked: Option<Amount>, given: Option<Amount>) -> Result<Amount, PayError> {
    let amount = match (asked, given) {
        (None, None) => return Err(PayError::AmountMissing),
        (Some(asked), Some(given)) if asked != given => {
            return Err(PayError::AmountDiffers { asked });
        }
        (Some(amount), _) | (None, Some(amount)) => amount,
    };
    if amount.is_zero() { Err(PayError::ZeroAmount) } else { Ok(amount) }
}
