//! The judgement at the end: what the loss rule gave, what people see in their histories, and what
//! the bank's books and accounts hold, each against the script.

use super::CURRENCY;
use super::phases::Run;
use super::report::PayeeLine;
use super::script::{BELOW_MINOR, CHEAT_LIMIT_MINOR, Counts};
use crate::answers::{Audit, Books, Case, Row};
use anyhow::Result;

impl Run<'_> {
    /// What each payee of the cheat got: below the contradiction always, of the two branches the
    /// one that was durable first, because the reserve cannot hold both.
    pub(super) fn loss_rule(&mut self, case: &Case) -> Result<()> {
        let name_of = |author: &Option<String>| {
            let held = author.as_ref().and_then(|author| {
                self.world.devices.iter().find(|device| device.identity.author == *author)
            });
            held.map_or_else(|| "unknown".to_owned(), |device| device.name.clone())
        };
        self.facts.equivocations.payees = case
            .payees
            .iter()
            .map(|payee| PayeeLine {
                name: name_of(&payee.payee),
                sequence: payee.sequence,
                amount_minor: payee.amount_minor,
                got_minor: payee.got_minor,
                outcome: payee.outcome.clone().unwrap_or_else(|| "undecided".to_owned()),
            })
            .collect();
        let payees = &self.facts.equivocations.payees;
        let below: Vec<_> = payees.iter().filter(|payee| payee.sequence == 0).collect();
        let below = below.iter().map(|payee| (payee.name.as_str(), payee.got_minor));
        let expected = vec![(self.script.people[self.script.below].name.as_str(), BELOW_MINOR)];
        let name = "loss rule: who was paid below the contradiction has it all";
        self.expect.equal(name, &expected, &below.collect());
        let mut branches: Vec<(&str, u64, bool)> = payees
            .iter()
            .filter(|payee| payee.sequence == 1)
            .map(|payee| {
                let whole = payee.got_minor == payee.amount_minor;
                (payee.name.as_str(), payee.amount_minor, whole)
            })
            .collect();
        branches.sort_by_key(|branch| branch.1);
        let paid = branches.iter().filter(|branch| branch.2).count();
        let got: u64 = payees.iter().map(|payee| payee.got_minor).sum();
        let cheated: Vec<&str> = self
            .script
            .villages
            .iter()
            .map(|village| self.script.people[village.cheated].name.as_str())
            .collect();
        let names: Vec<&str> = branches.iter().map(|branch| branch.0).collect();
        self.expect.equal("loss rule: the case names both payees", &cheated, &names);
        let name = "loss rule: one branch is paid whole, and no more than the reserve in all";
        self.expect.equal(name, &(1, true), &(paid, got <= CHEAT_LIMIT_MINOR));
        Ok(())
    }

    /// What people see in the end, payees' side and payers' side.
    pub(super) fn histories(&mut self) -> Result<()> {
        let Counts { accepted, refused, refunded, .. } = self.script.counts();
        let mut rows = Vec::new();
        for person in self.honest() {
            rows.extend(self.world.devices[person].history()?.payments);
        }
        let count = |direction: &str, kind: &str, states: &[&str]| {
            let fits = |row: &&Row| {
                row.direction == direction
                    && row.kind == kind
                    && states.contains(&row.state.as_str())
            };
            rows.iter().filter(fits).count() as u64
        };
        let refusals = ["refused", "rejected"];
        let payers = (count("out", "payment", &["settled"]), count("out", "payment", &refusals));
        self.expect.equal("payers see: settled, refused", &(accepted, refused), &payers);
        let payees = (
            count("in", "payment", &["settled"]),
            count("in", "payment", &refusals),
            count("in", "payment", &["contested"]),
        );
        let name = "payees see: settled, refused, contested";
        self.expect.equal(name, &(accepted + 2, refused, 1), &payees);
        let both = [count("out", "refund", &["settled"]), count("in", "refund", &["settled"])];
        self.expect.equal("refunds settled, both sides", &[refunded; 2], &both);
        Ok(())
    }

    pub(super) fn books(&mut self) -> Result<()> {
        let gateway = &self.world.gateway;
        let mut wealth = self.script.wealth_minor();
        for payee in &self.facts.equivocations.payees {
            let person = self.script.people.iter().position(|one| one.name == payee.name);
            if let Some(person) = person {
                wealth[person] += payee.got_minor;
            }
        }
        let held = self.accounts.iter().take(wealth.len()).map(|account| {
            let account = gateway.account(account)?;
            Ok(account.balance_minor + account.reserved_minor + account.pending_minor)
        });
        let held = held.collect::<Result<Vec<u64>>>()?;
        let name = "every account, with its reserve, holds what the script says";
        self.expect.equal(name, &wealth, &held);
        let books: Books = gateway.client().get("/v1/books")?;
        let audit: Audit = gateway.client().get("/v1/audit")?;
        self.facts.audited = Some(audit.ok);
        let findings = audit.findings;
        self.expect.equal(
            "the bank's audit finds nothing",
            &(true, Vec::new()),
            &(audit.ok, findings),
        );
        // What was settled before its payee's refusal arrived went back to its payer.
        let intake = gateway.intake()?;
        let settled = intake.settled + intake.returned;
        self.expect.equal("and recounts what was settled", &settled, &audit.settled);
        let sums: Vec<(&str, i64, bool)> = books
            .currencies
            .iter()
            .map(|(currency, book)| (currency.as_str(), book.sum, book.balanced))
            .collect();
        self.expect.equal("the books balance in every currency", &vec![(CURRENCY, 0, true)], &sums);
        self.facts.books = books.currencies;
        Ok(())
    }
}
