//! Receipts and signed refusals of payees: the keys they disclose, what they show that the payee
//! knew, and the rule that a signed refusal always wins, whatever its arrival order.

use crate::account::Account;
use crate::bank::Work;
use crate::event::Change;
use crate::limits::{WAITING_RECEIPTS_PER_ENTRY_MAX, WAITING_RECEIPTS_PER_SIGNER_MAX};
use crate::output::{Later, Rejected, Verdict};
use crate::prepare::Checked;
use crate::state::{EntryState, Opened, Standing, WaitingReceipt};
use crate::transaction::{Key, Transaction};
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use hundi_ledger::id::Hash;
use hundi_ledger::money::Amount;
use hundi_ledger::record::Signed;
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::receipt::{PayeeVerdict, Receipt, Statement};
use hundi_ledger::seal::ContentKey;
use hundi_ledger::seal::receipt::open_as_bank;

impl Work<'_> {
    /// Takes a receipt. `arriving` are the entries of the same submission.
    pub(crate) fn take_receipt(
        &mut self,
        receipt: Checked<Signed<Receipt>>,
        arriving: &BTreeSet<Hash>,
    ) -> Verdict {
        let id = match &receipt {
            Checked::Unverified(receipt) => receipt.id(),
            Checked::Verified(receipt) => receipt.id(),
            Checked::Forged(id) => *id,
        };
        if self.state().receipts.contains(&id) {
            return Verdict::Taken { id, duplicate: true };
        }
        let receipt = match receipt {
            Checked::Verified(receipt) => receipt,
            Checked::Forged(_) => return Verdict::Rejected(Rejected::Signature),
            // Only those for this bank are verified.
            Checked::Unverified(_) => return Verdict::Later(Later::OtherBank),
        };
        let Some((statement, key)) = self.read_receipt(&receipt) else {
            return Verdict::Rejected(Rejected::Unreadable);
        };
        let held = self.state().entries.get(&statement.entry);
        let held = held.filter(|entry| entry.standing != Standing::HeaderOnly);
        let Some((opened, standing)) = held.map(|entry| (entry.opened, entry.standing)) else {
            return self.let_wait(&receipt, statement.entry, arriving);
        };
        match opened {
            Some(opened) if opened.payee() == receipt.signer => {}
            None if standing == Standing::Unopened => {
                let opened = self.open_with(&statement.entry, &key);
                match opened.filter(|plaintext| plaintext.payee() == Some(receipt.signer)) {
                    Some(plaintext) => self.record_opened(statement.entry, &plaintext),
                    None => return Verdict::Rejected(Rejected::NotPayee),
                }
            }
            _ => return Verdict::Rejected(Rejected::NotPayee),
        }
        self.record_receipt(&statement, id, receipt.encode());
        self.after_receipt(statement.entry);
        Verdict::Taken { id, duplicate: false }
    }

    /// Keeps a receipt that came before its entry, within bounds.
    fn let_wait(
        &mut self,
        receipt: &Signed<Receipt>,
        entry: Hash,
        arriving: &BTreeSet<Hash>,
    ) -> Verdict {
        let state = self.state();
        let signer = receipt.signer;
        // Anybody can make keys; what waits for longer than this call is bounded by customers.
        let enrolled = signer.bank == state.bank && state.authors.contains_key(&signer.key);
        if !enrolled && !arriving.contains(&entry) {
            return Verdict::Later(Later::EntryUnknown);
        }
        let of_signer = state.waiting_per_signer.get(&signer).copied().unwrap_or(0) as usize;
        let of_entry = state.waiting_receipts.get(&entry).map_or(0, Vec::len);
        if of_signer >= WAITING_RECEIPTS_PER_SIGNER_MAX
            || of_entry >= WAITING_RECEIPTS_PER_ENTRY_MAX
        {
            return Verdict::Later(Later::Capacity { proof: None });
        }
        let id = receipt.id();
        let change = Change::ReceiptWaiting { entry, record: receipt.encode(), id, signer };
        self.record(change, Vec::new());
        Verdict::Taken { id, duplicate: false }
    }

    /// What a receipt says to this bank, and the content key that it discloses.
    fn read_receipt(&mut self, receipt: &Receipt) -> Option<(Statement, ContentKey)> {
        let network = self.bank.network.id();
        self.keys.sealing.iter().find_map(|secret| {
            let shared = self.bank.shared.agree(secret, &receipt.signer_sealing).ok()?;
            open_as_bank(&network, receipt, &shared)
        })
    }

    pub(crate) fn read_receipt_record(&mut self, record: &[u8]) -> Option<(Statement, ContentKey)> {
        let receipt: Signed<Receipt> = Signed::decode(&self.bank.network.id(), record).ok()?;
        self.read_receipt(&receipt)
    }

    /// Takes those receipts that waited for an entry which are its payee's.
    pub(crate) fn take_waited(&mut self, entry: Hash, waiting: &[WaitingReceipt]) {
        let opened = self.state().entries.get(&entry).and_then(|entry| entry.opened);
        let Some(payee) = opened.map(|opened| opened.payee()) else { return };
        for receipt in waiting.iter().filter(|receipt| receipt.signer == payee) {
            if let Some((statement, _)) = self.read_receipt_record(&receipt.record) {
                self.record_receipt(&statement, receipt.id, Vec::new());
            }
        }
    }

    fn record_receipt(&mut self, statement: &Statement, id: Hash, record: Vec<u8>) {
        let change = Change::ReceiptTaken {
            entry: statement.entry,
            id,
            refused: statement.verdict != PayeeVerdict::Accepted,
            freezes_epoch: statement.freezes_epoch,
            record,
        };
        self.record(change, Vec::new());
        self.take_back_from_who_accepted_both(&statement.entry);
    }

    /// What a receipt changes for an entry that is held.
    fn after_receipt(&mut self, id: Hash) {
        let Some(entry) = self.state().entries.get(&id).cloned() else { return };
        let knew = self.payee_knew(&id);
        let rejected =
            if entry.refused { Outcome::RejectedRefused } else { Outcome::RejectedFrozen };
        match entry.standing {
            Standing::Unopened | Standing::Waiting { .. } => self.pay(id),
            Standing::Contested if entry.refused || knew => self.decide_as(id, rejected),
            Standing::Provisional { .. } if entry.refused || knew => self.take_back(id, rejected),
            Standing::Decided(Outcome::Settled) if entry.refused => self.return_posted(id),
            _ => {}
        }
    }

    /// Returns a posted entry that its payee refused: once, out of the payee's balance, and as
    /// soon as that holds the sum; nobody else pays for it.
    pub(crate) fn return_posted(&mut self, id: Hash) {
        let Some(entry) = self.state().entries.get(&id).cloned() else { return };
        let settled = entry.standing == Standing::Decided(Outcome::Settled);
        let Some(opened) = entry.opened.filter(|_| settled && entry.refused) else { return };
        let key = entry.header.header.author.key;
        let Some(author) = self.state().authors.get(&key) else { return };
        let from = self.account_of(&opened.payee());
        let to = Account::Customer(author.customer);
        let currency = author.currency;
        let left = left_of(&entry);
        let Ok(transaction) = Transaction::transfer(Key::Return(id), currency, from, to, left)
        else {
            // All of it went back by a refund already.
            return;
        };
        if self.state().books.check(&transaction).is_ok() {
            let change =
                Change::Decided { entry: id, outcome: Outcome::Returned, paid: entry.paid };
            self.record(change, vec![transaction]);
            self.after_decision(id, left);
        } else if !entry.return_due {
            self.record(Change::ReturnDue { entry: id }, Vec::new());
        }
    }
}

/// What of a settled entry has not been refunded.
fn left_of(entry: &EntryState) -> Amount {
    let refunded = entry.refunded.map_or(Amount::ZERO, |(_, sum)| sum);
    let moved = match entry.opened {
        Some(Opened::Refund { sum, .. }) => sum,
        _ => entry.paid,
    };
    moved.sub(refunded).unwrap_or_default()
}
