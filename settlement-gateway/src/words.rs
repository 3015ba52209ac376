//! How verdicts and outcomes are spelled, in answers to devices and in metrics alike.

use hundi_journal::output::{Later, Rejected, Verdict, Wants};
use hundi_ledger::record::checkpoint::Outcome;

/// A verdict, and its reason if it needs one.
pub(crate) fn verdict(verdict: &Verdict) -> (&'static str, Option<&'static str>) {
    let taken = |duplicate| if duplicate { "duplicate" } else { "accepted" };
    match verdict {
        Verdict::Decided { duplicate: true, .. } => ("duplicate", None),
        Verdict::Decided { outcome: it, .. } => match it {
            Outcome::Settled => ("accepted", None),
            Outcome::Contested | Outcome::Returned => ("adjusted", Some(outcome(*it))),
            _ => ("rejected", Some(outcome(*it))),
        },
        Verdict::Held { wants: it, duplicate, .. } => (taken(*duplicate), Some(wants(*it))),
        Verdict::Taken { duplicate, .. } => (taken(*duplicate), None),
        Verdict::Later(it) => ("retry", Some(later(it))),
        Verdict::Rejected(it) => ("rejected", Some(rejected(*it))),
    }
}

pub(crate) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Settled => "settled",
        Outcome::Contested => "contested",
        Outcome::Returned => "returned",
        Outcome::RejectedUncovered => "rejected_uncovered",
        Outcome::RejectedLate => "rejected_late",
        Outcome::RejectedFrozen => "rejected_frozen",
        Outcome::RejectedUnopened => "rejected_unopened",
        Outcome::RejectedRefund => "rejected_refund",
        Outcome::RejectedRefused => "rejected_refused",
        Outcome::RejectedKind => "rejected_kind",
    }
}

fn wants(wants: Wants) -> &'static str {
    match wants {
        Wants::Disclosure => "waits_for_receipt",
        Wants::Original => "waits_for_original",
    }
}

fn later(later: &Later) -> &'static str {
    match later {
        Later::OtherBank => "other_bank",
        Later::AuthorUnknown => "author_unknown",
        Later::GrantUnknown => "grant_unknown",
        Later::EntryUnknown => "entry_unknown",
        Later::Capacity { .. } => "capacity",
        Later::CertificateUnknown => "certificate_unknown",
        Later::Stopped => "bank_stopped",
    }
}

fn rejected(rejected: Rejected) -> &'static str {
    match rejected {
        Rejected::Malformed => "malformed",
        Rejected::Signature => "signature",
        Rejected::Unreadable => "unreadable",
        Rejected::NotPayee => "not_payee",
    }
}
