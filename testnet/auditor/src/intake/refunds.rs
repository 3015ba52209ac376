//! When a refund is above, beside or without its original.

use super::{Decision, Replay};
use crate::sealing::Plaintext;

impl Replay<'_, '_, '_> {
    /// Why a refund is not to be paid; none if it may be.
    pub(super) fn refund_due(&self, decision: &Decision<'_>) -> Option<&'static str> {
        let Some(Plaintext::Refund { payee, original, sum, .. }) = &decision.plaintext else {
            return Some("its body says nothing");
        };
        if decision.grant.is_some_and(|grant| grant.flags == 1) {
            return Some("a refund under a bearer grant");
        }
        // An original that has not come yet, or never comes because another bank has it.
        let first = self.intake.decisions.get(original)?;
        let header = &first.entry.header;
        if header.author != *payee || first.payee() != Some(decision.entry.header.author) {
            return Some("a refund beside its original");
        }
        if *sum > header.amount || decision.entry.header.amount > header.amount {
            return Some("a refund above its original");
        }
        let again = self.intake.decisions.values().any(|other| {
            matches!(&other.plaintext, Some(Plaintext::Refund { original: its, .. })
                if its == original)
                && other.moved(self.books) > 0
        });
        again.then_some("its original was returned before")
    }
}
