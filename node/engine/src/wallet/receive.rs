//! Being paid: requests, and the one verdict on every entry that pays this device. A final verdict
//! is durable before it is sent and repeated for ever; what may pass is answered unsigned, and
//! judged again when something new arrives.

use super::record::{OpenRequest, Party, PaymentState, Purpose, Record};
use super::{RequestError, Unable, Waiting};
use crate::engine::Engine;
use crate::input::LinkId;
use crate::limits::{REQUEST_KEPT_S, REQUESTS_MAX, UNDECIDED_PER_PAYER_MAX, WAITING_MAX};
use crate::message::{Message, Reply};
use crate::output::{Event, Payload};
use crate::relay::{Offered, Source};
use crate::step::Step;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use hundi_ledger::body::Plaintext;
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, Hash, RequestId};
use hundi_ledger::limits::MEMO_BYTES_MAX;
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::Verified;
use hundi_ledger::record::entry::{Entry, Kind, SignedHeader};
use hundi_ledger::record::grant::Grant;
use hundi_ledger::record::item::{Item, Subject};
use hundi_ledger::record::receipt::{PayeeVerdict, Statement};
use hundi_ledger::record::sign;
use hundi_ledger::replica::{Key, Shelf};
use hundi_ledger::request::{HINT_BYTES_MAX, HINTS_MAX, PaymentRequest, REQUEST_VERSION};
use hundi_ledger::seal::{self, Opened};
use hundi_ledger::trust::VerifiedItem;
use hundi_ledger::verdict::payee::{self, Case, Expected, Judgement, NotNow};

impl Engine {
    #[allow(clippy::too_many_arguments)] // The fields of one command.
    pub(crate) fn request(
        &mut self,
        step: &mut Step<'_>,
        currency: Option<Currency>,
        amount: Option<Amount>,
        memo: Text<MEMO_BYTES_MAX>,
        expires_s: u32,
        standing: bool,
        hints: List<Text<HINT_BYTES_MAX>, HINTS_MAX>,
    ) -> Result<PaymentRequest, RequestError> {
        let now = step.now();
        let granted = self.own_currency(step).map_err(RequestError::from)?;
        let granted = granted.ok_or(RequestError::NotEnrolled)?;
        if currency.is_some_and(|currency| currency != granted) {
            return Err(RequestError::Currency(granted));
        }
        if amount.is_some_and(Amount::is_zero) {
            return Err(RequestError::ZeroAmount);
        }
        let expires = now.checked_add(expires_s).filter(|expires| *expires > now);
        let expires = expires.ok_or(RequestError::Expires)?;
        self.drop_old_requests(step);
        let random = step.draw();
        let wallet = self.wallet.as_mut().ok_or(Unable::NoKeys)?;
        if wallet.requests.len() >= REQUESTS_MAX {
            return Err(RequestError::TooMany);
        }
        let id = RequestId(core::array::from_fn(|at| random[at]));
        let open = OpenRequest {
            id,
            currency: granted,
            amount,
            expires,
            standing,
            memo: memo.clone(),
            answered: None,
        };
        step.put_state(open.state_key(), &open);
        wallet.requests.insert(id, open);
        Ok(PaymentRequest {
            version: REQUEST_VERSION,
            network: self.network,
            payee: wallet.keys.author,
            payee_sealing: wallet.keys.sealing.public(),
            request: id,
            currency: granted,
            amount,
            expires,
            memo,
            hints,
        })
    }

    /// The one currency of this device's author, once a grant says it.
    pub(super) fn own_currency(&self, shelf: &dyn Shelf) -> Result<Option<Currency>, Unable> {
        let wallet = self.wallet.as_ref().ok_or(Unable::NoKeys)?;
        let author = self.replica.author(&wallet.keys.author, shelf);
        Ok(author.and_then(|author| author.grants().next()).map(|grant| grant.currency))
    }

    fn drop_old_requests(&mut self, step: &mut Step<'_>) {
        let now = step.now();
        let Some(wallet) = &mut self.wallet else { return };
        let old = |request: &&OpenRequest| request.expires.saturating_add(REQUEST_KEPT_S) < now;
        let old: Vec<OpenRequest> = wallet.requests.values().filter(old).cloned().collect();
        for request in old {
            wallet.requests.remove(&request.id);
            step.delete_state(request.state_key());
        }
    }

    /// Opens an entry as its payee; none when it does not pay this device.
    pub(crate) fn open_entry(&mut self, entry: &Entry, shelf: &dyn Shelf) -> Option<Opened> {
        let wallet = self.wallet.as_mut()?;
        let header = entry.header();
        let spends = matches!(header.kind, Kind::PAYMENT | Kind::REFUND);
        if !spends || header.author == wallet.keys.author {
            return None;
        }
        let bank_time = self.replica.bank_time(header.author.bank);
        let author = self.replica.author(&header.author, shelf)?;
        let grant = author.grant_in_effect(self.replica.trust(), bank_time, header.serial)?;
        let secret = &wallet.keys.sealing;
        let shared = wallet.shared.agree(secret, &grant.author_sealing).ok()?;
        let opened = seal::open_as_payee(&self.network, header, entry.body(), &shared).ok()?;
        (opened.plaintext.payee() == Some(wallet.keys.author)).then_some(opened)
    }

    /// Takes a verified entry that pays this device.
    pub(crate) fn receive(
        &mut self,
        step: &mut Step<'_>,
        entry: Verified<Entry>,
        opened: Opened,
        how: Offered,
        link: Option<LinkId>,
    ) {
        let id = entry.id();
        let mut verified =
            |header: SignedHeader| header.verify_with(&self.network, &mut self.verifier);
        let previous = how.previous.and_then(|header| verified(header).ok());
        if let Some(previous) = &previous {
            self.check_header(step, previous);
        }
        let link = link.filter(|_| how.offered);
        let Some(wallet) = &mut self.wallet else { return };
        if let Some(record) = wallet.records.get(&id) {
            if !record.is_waiting() {
                return;
            }
            let Opened { plaintext, key } = opened;
            let fresh = Waiting { entry, plaintext, key, previous: None, link: None };
            let waiting = wallet.waiting.entry(id).or_insert(fresh);
            waiting.link = link.or(waiting.link);
            if let Some(previous) = previous {
                waiting.previous = Some(previous);
                let mut record = record.clone();
                record.previous = waiting.previous.as_ref().map(|held| (**held).clone());
                record.store(step);
                wallet.index(record);
            }
            return self.judge(step, &id, link);
        }
        let author = entry.header().author;
        let undecided = wallet.open.iter().filter_map(|id| wallet.records.get(id));
        let of_payer =
            undecided.filter(|record| record.author() == author && record.is_undecided()).count();
        if of_payer >= UNDECIDED_PER_PAYER_MAX {
            return self.reply_not_now(step, link, id, NotNow::BeyondWindow);
        }
        if wallet.waiting.len() >= WAITING_MAX {
            self.drop_waiting(step);
        }
        let Some(record) = self.received_record(step, &entry, &opened, previous.as_ref()) else {
            return;
        };
        record.store(step);
        step.event(Event::PaymentChanged { id, state: record.state });
        let key = Key::entry(author, id);
        if !self.holds(&key, step) {
            step.keep_item(key, Item::Entry((*entry).clone()).encode());
        }
        let Opened { plaintext, key } = opened;
        let waiting = Waiting { entry, plaintext, key, previous, link };
        if let Some(wallet) = &mut self.wallet {
            wallet.index(record);
            wallet.waiting.insert(id, waiting);
        }
        self.update(step, Subject::Author(author));
        self.judge(step, &id, link);
    }

    /// Makes room: whoever has most waiting loses the oldest. It is judged again if it is offered
    /// again.
    fn drop_waiting(&mut self, step: &mut Step<'_>) {
        let Some(wallet) = &mut self.wallet else { return };
        let mut by_author: BTreeMap<AuthorId, (usize, Reverse<(u32, Hash)>)> = BTreeMap::new();
        for (id, waiting) in &wallet.waiting {
            let at = wallet.records.get(id).map_or(0, |record| record.first_at);
            let oldest = Reverse((at, *id));
            let held = by_author.entry(waiting.entry.header().author).or_insert((0, oldest));
            *held = (held.0 + 1, held.1.max(oldest));
        }
        let Some((author, (_, Reverse((_, id))))) = by_author.into_iter().max_by_key(|(_, at)| *at)
        else {
            return;
        };
        wallet.waiting.remove(&id);
        wallet.open.remove(&id);
        wallet.records.remove(&id);
        step.delete_state(super::record::state_key(&id));
        let key = Key::entry(author, id);
        if !self.holds(&key, step) {
            step.delete_item(key);
        }
    }

    /// Answers an entry offered again with the verdict given before; false where there is none.
    pub(crate) fn repeat_answer(
        &mut self,
        step: &mut Step<'_>,
        id: &Hash,
        link: Option<LinkId>,
    ) -> bool {
        let record = self.wallet.as_ref().and_then(|wallet| wallet.records.get(id));
        let Some(record) = record.filter(|record| !record.outgoing) else { return false };
        let Some((_, receipt)) = &record.receipt else { return false };
        self.reply_receipt(step, link, receipt.clone());
        true
    }

    fn received_record(
        &self,
        step: &Step<'_>,
        entry: &Verified<Entry>,
        opened: &Opened,
        previous: Option<&Verified<hundi_ledger::record::entry::SignedHeader>>,
    ) -> Option<Record> {
        let header = entry.header();
        let now = step.now();
        let author = self.replica.author(&header.author, step)?;
        let grant: &Grant = author.grant(header.serial)?;
        let (sum, purpose, memo) = match &opened.plaintext {
            Plaintext::Payment(body) => {
                let purpose = Purpose::Payment { request: body.request, category: body.category };
                (header.amount, purpose, body.memo.clone())
            }
            Plaintext::Refund(body) => {
                (body.sum, Purpose::Refund { original: body.original }, body.memo.clone())
            }
            Plaintext::GrantRequest(_) => return None,
        };
        Some(Record {
            id: entry.id(),
            outgoing: false,
            signed: entry.signed_header(),
            previous: previous.map(|held| (**held).clone()),
            party: Some(Party { author: header.author, sealing: grant.author_sealing }),
            bank_sealing: grant.bank_sealing,
            currency: grant.currency,
            sum,
            purpose,
            memo,
            claim_until: grant.claim_until,
            state: PaymentState::Delivered,
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
        })
    }

    /// What this device expects under the name that an entry gives.
    fn expected(&self, id: &Hash, author: &AuthorId, plaintext: &Plaintext) -> Expected {
        let Some(wallet) = &self.wallet else { return Expected::Unknown };
        match plaintext {
            Plaintext::Payment(body) => {
                let request = wallet.requests.get(&body.request);
                let request = request
                    .filter(|request| request.answered.is_none_or(|answered| answered == *id));
                request.map_or(Expected::Unknown, |request| Expected::Request {
                    currency: request.currency,
                    amount: request.amount,
                    expires: request.expires,
                })
            }
            Plaintext::Refund(body) => {
                let original = wallet.records.get(&body.original).filter(|original| {
                    let paid = matches!(original.purpose, Purpose::Payment { .. });
                    let payee = original.party.is_some_and(|party| party.author == *author);
                    original.outgoing && paid && payee && !original.is_refused()
                });
                original.map_or(Expected::Unknown, |original| Expected::Original {
                    currency: original.currency,
                    // At most one refund of a payment stands.
                    unreturned: match original.refund {
                        Some(refund) if refund != *id => Amount::ZERO,
                        _ => original.sum,
                    },
                })
            }
            Plaintext::GrantRequest(_) => Expected::Unknown,
        }
    }

    /// Judges an entry that waits, and answers on `reply` what is not final.
    fn judge(&mut self, step: &mut Step<'_>, id: &Hash, reply: Option<LinkId>) {
        let Some(wallet) = &self.wallet else { return };
        let Some(waiting) = wallet.waiting.get(id).filter(|_| !wallet.log.is_stopped()) else {
            return;
        };
        let author = waiting.entry.header().author;
        let judgement = payee::judge(&Case {
            replica: &self.replica,
            shelf: step,
            entry: &waiting.entry,
            plaintext: &waiting.plaintext,
            previous: waiting.previous.as_ref(),
            payee: wallet.keys.author,
            expected: self.expected(id, &author, &waiting.plaintext),
            now: step.now(),
        });
        let statement = |verdict, freezes_epoch, checkpoint| Statement {
            entry: *id,
            verdict,
            freezes_epoch,
            checkpoint,
        };
        match judgement {
            Judgement::Accept { freezes_epoch, checkpoint, unsure } => {
                let statement = statement(PayeeVerdict::Accepted, freezes_epoch, checkpoint);
                self.conclude(step, statement, unsure);
            }
            Judgement::Refuse(verdict) => {
                let held = self.replica.author(&author, step);
                let checkpoint =
                    held.and_then(|held| held.checkpoint_in_effect(self.replica.trust()));
                let checkpoint = checkpoint.map_or(0, |held| held.number);
                let freezes_epoch = self.replica.freezes_epoch(author.bank);
                self.conclude(step, statement(verdict, freezes_epoch, checkpoint), false);
            }
            Judgement::NotNow(reason) => {
                let held = wallet.records.get(id).filter(|held| held.not_now != Some(reason));
                if let Some(held) = held {
                    let record = Record { not_now: Some(reason), ..held.clone() };
                    let state = record.state;
                    self.record_changed(step, record);
                    step.event(Event::PaymentChanged { id: *id, state });
                }
                self.reply_not_now(step, reply, *id, reason);
            }
        }
    }

    /// Signs the one verdict on an entry, and sends it wherever its payer may be.
    fn conclude(&mut self, step: &mut Step<'_>, statement: Statement, unsure: bool) {
        let (id, now) = (statement.entry, step.now());
        let Some(wallet) = &mut self.wallet else { return };
        let (Some(waiting), Some(record)) = (wallet.waiting.get(&id), wallet.records.get(&id))
        else {
            return;
        };
        let secret = &wallet.keys.sealing;
        // A bank whose sealing key nobody can seal to gets no verdicts.
        let Ok(bank) = wallet.shared.agree(secret, &record.bank_sealing) else { return };
        let me = wallet.keys.author;
        let signer = seal::receipt::Signer { author: me, sealing: secret.public() };
        let payer = record.author();
        let key = &waiting.key;
        let draft = seal::receipt::seal(&self.network, &signer, payer.bank, &bank, key, &statement);
        let Ok(receipt) = sign(&self.network, draft, &wallet.keys.signing) else { return };
        let item = Item::Receipt((*receipt).clone());
        let (receipt_key, bytes) = (Key::of(&item), item.encode());
        let link = waiting.link;
        let mut record = record.clone();
        record.verdict = Some(statement.verdict);
        record.verdict_at = Some(now);
        record.not_now = None;
        record.unsure = unsure;
        record.receipt = Some((receipt.id(), bytes.clone()));
        if let Purpose::Payment { request, .. } = record.purpose
            && statement.verdict == PayeeVerdict::Accepted
            && let Some(request) = wallet.requests.get_mut(&request).filter(|held| !held.standing)
        {
            request.answered = Some(id);
            step.put_state(request.state_key(), request);
        }
        wallet.waiting.remove(&id);
        self.record_changed(step, record);
        self.reply_receipt(step, link, bytes.clone());
        let source = link.map_or(Source::Local, Source::Link);
        let (status, _) = self.apply(step, VerifiedItem::Receipt(receipt), source);
        if !status.is_new() {
            step.keep_item(receipt_key, bytes);
            self.forward(step, receipt_key, source);
        }
        let entry = Key::entry(payer, id);
        if !self.is_core(&entry, step) {
            self.forward(step, entry, Source::Local);
        }
    }

    fn reply_receipt(&self, step: &mut Step<'_>, link: Option<LinkId>, receipt: Vec<u8>) {
        let Some(link) = link.filter(|link| self.links.contains_key(link)) else { return };
        if let Ok(receipt) = List::new(receipt) {
            let message = Message::Reply(Reply::Receipt(receipt)).encode();
            step.send(link, Payload::Message(message));
        }
    }

    fn reply_not_now(
        &self,
        step: &mut Step<'_>,
        link: Option<LinkId>,
        entry: Hash,
        reason: NotNow,
    ) {
        if let Some(link) = link.filter(|link| self.links.contains_key(link)) {
            let message = Message::Reply(Reply::NotNow { entry, reason }).encode();
            step.send(link, Payload::Message(message));
        }
    }

    /// Judges again what waits and is about `subject`, or everything.
    pub(crate) fn judge_waiting(&mut self, step: &mut Step<'_>, subject: Option<Subject>) {
        let Some(wallet) = &self.wallet else { return };
        let concerned = |waiting: &Waiting| {
            let author = waiting.entry.header().author;
            match subject {
                None => true,
                Some(Subject::Author(about)) => author == about,
                Some(Subject::Bank(about)) => author.bank == about,
            }
        };
        let ids: Vec<Hash> = wallet
            .waiting
            .iter()
            .filter(|(_, waiting)| concerned(waiting))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.judge(step, &id, None);
        }
    }

    pub(crate) fn has_waiting(&self) -> bool {
        self.wallet.as_ref().is_some_and(|wallet| !wallet.waiting.is_empty())
    }

    /// The waiting entry of a stored record, opened anew.
    pub(crate) fn reopen(&mut self, record: &Record, shelf: &dyn Shelf) -> Option<Waiting> {
        let bytes = shelf.item(&Key::entry(record.author(), record.id))?;
        let Ok(Item::Entry(entry)) = Item::decode(&self.network, &bytes) else { return None };
        let opened = self.open_entry(&entry, shelf)?;
        let entry = entry.verify_with(&mut self.verifier).ok()?;
        let mut verified =
            |header: SignedHeader| header.verify_with(&self.network, &mut self.verifier);
        let previous = record.previous.clone().and_then(|held| verified(held).ok());
        let Opened { plaintext, key } = opened;
        Some(Waiting { entry, plaintext, key, previous, link: None })
    }

    /// A header of our own key that this device did not sign stops it, wherever it is met.
    fn check_header(&mut self, step: &mut Step<'_>, signed: &Verified<SignedHeader>) {
        let header = &signed.header;
        let claim = hundi_ledger::record::proof::Claim::of(header, header.id(&self.network));
        if self.is_foreign(&header.author, &claim) {
            self.stop(step);
        }
    }
}
