//! Conformance of the postings to the table of DESIGN §8, event by event.

use crate::world::*;
use hundi_journal::account::{Account, Party};
use hundi_journal::bank::Profile;
use hundi_journal::input::{GrantTerms, Input, OperationKind};
use hundi_journal::output::Outputs;
use hundi_journal::state::Source;
use hundi_journal::transaction::Side;
use hundi_ledger::record::checkpoint::Outcome;
use std::rc::Rc;

/// Debits and credits of all transactions of a call, by kind of account.
fn posted(outputs: &Outputs) -> Vec<(Side, &'static str, u64)> {
    let transactions = outputs.events.iter().flat_map(|event| &event.transactions);
    let postings = transactions.flat_map(|transaction| transaction.postings());
    postings.map(|it| (it.side, it.account.kind(), it.amount.minor())).collect()
}

use Side::{Credit as C, Debit as D};

fn submit(world: &mut World, made: &Made) -> Rc<Outputs> {
    world.handle(Input::Submit { items: vec![made.item.clone()] }).unwrap()
}

#[test]
fn fund_grant_settle_release() {
    let mut world = World::new();
    let payer = world.enrol(customer(1), 1);
    let payee = world.enrol(customer(2), 2);
    let out = world.operate(OperationKind::Fund(customer(1)), 100).unwrap();
    assert_eq!(posted(&out), [(D, "nostro", 100), (C, "customer", 100)]);
    let terms = GrantTerms::prefunded(amount(80));
    let out = world.handle(Input::IssueGrant { author: payer.key(), terms }).unwrap();
    assert_eq!(posted(&out), [(D, "customer", 80), (C, "reserve", 80)]);
    let mut log = Log::new(1);
    let out = submit(&mut world, &log.pay(&payer, &payee, 30));
    assert_eq!(posted(&out), [(D, "reserve", 30), (C, "customer", 30)]);
    let out = submit(&mut world, &log.close(&payer));
    assert_eq!(posted(&out), [(D, "reserve", 50), (C, "customer", 50)]);
    assert_eq!((world.held(1), world.held(2)), (70, 30));
    let out = world.operate(OperationKind::Withdraw(customer(2)), 30).unwrap();
    assert_eq!(posted(&out), [(D, "customer", 30), (C, "nostro", 30)]);
    world.check();
}

#[test]
fn credit_is_committed_drawn_and_released() {
    let mut world = World::new();
    let payer = world.enrol(customer(1), 1);
    let payee = world.enrol(customer(2), 2);
    let terms = GrantTerms { source: Source::Credit, ..GrantTerms::prefunded(amount(80)) };
    let out = world.handle(Input::IssueGrant { author: payer.key(), terms }).unwrap();
    assert_eq!(posted(&out), [(D, "credit_committed", 80), (C, "reserve", 80)]);
    let mut log = Log::new(1);
    let out = submit(&mut world, &log.pay(&payer, &payee, 30));
    let expected = [
        (D, "reserve", 30),
        (C, "customer", 30),
        (D, "customer_loan", 30),
        (C, "credit_committed", 30),
    ];
    assert_eq!(posted(&out), expected);
    world.now = CLAIM_UNTIL;
    let out = world.handle(Input::Tick).unwrap();
    assert_eq!(posted(&out), [(D, "reserve", 50), (C, "credit_committed", 50)]);
    assert_eq!(world.balance(Account::CreditCommitted), 0);
    assert_eq!(world.balance(Account::CustomerLoan(customer(1))), -30);
    world.check();
}

#[test]
fn payee_unknown_waits_in_suspense_and_gets_it_when_enrolled() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let payee = Wallet::new(BANK, customer(2), 2);
    let out = submit(&mut world, &log.pay(&payer, &payee, 30));
    assert_eq!(posted(&out), [(D, "reserve", 30), (C, "suspense", 30)]);
    world.handle(Input::OpenCustomer { customer: customer(2) }).unwrap();
    let out = world.handle(enrolment(&payee)).unwrap();
    assert_eq!(posted(&out), [(D, "suspense", 30), (C, "customer", 30)]);
    assert_eq!(world.held(2), 30);
    world.check();
}

#[test]
fn payee_at_another_bank_is_owed_through_it() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let payee = Wallet::new(OTHER, customer(2), 2);
    let out = submit(&mut world, &log.pay(&payer, &payee, 30));
    assert_eq!(posted(&out), [(D, "reserve", 30), (C, "due_to", 30)]);
    let out = world.operate(OperationKind::SettleWindow(OTHER), 30).unwrap();
    assert_eq!(posted(&out), [(D, "due_to", 30), (C, "nostro", 30)]);
    world.check();
}

#[test]
fn guarantee_review_provision_write_off_recovery() {
    let mut world = World::with_profile(Profile { guarantee_per_payee_percent: 100 });
    let out = world.operate(OperationKind::Provision, 100).unwrap();
    assert_eq!(posted(&out), [(D, "loss_expense", 100), (C, "guarantee_pool", 100)]);
    let payer = world.enrol(customer(1), 1);
    let (a, b) = (world.enrol(customer(2), 2), world.enrol(customer(3), 3));
    world.fund(customer(1), 100);
    world.grant(&payer, 100, 60);
    let log = Log::new(1);
    let first = log.clone().pay(&payer, &a, 70);
    let second = log.clone().pay(&payer, &b, 80);
    submit(&mut world, &first);
    submit(&mut world, &second);
    assert_eq!(world.outcome(&second), Some(Outcome::Contested));
    world.now = CLAIM_UNTIL;
    let out = world.handle(Input::Tick).unwrap();
    let expected = [
        (D, "reserve", 30),
        (D, "double_spend_receivable", 50),
        (C, "pending_in", 30),
        (C, "pending_in", 50),
    ];
    assert_eq!(posted(&out), expected);
    assert_eq!(world.balance(Account::PendingIn(Party::Customer(customer(3)))), 80);
    let close = Input::CloseCase { author: payer.key(), denied: vec![] };
    let out = world.handle(close).unwrap();
    assert_eq!(posted(&out), [(D, "pending_in", 80), (C, "customer", 80)]);
    let out = world.operate(OperationKind::WriteOff(customer(1)), 20).unwrap();
    assert_eq!(posted(&out), [(D, "guarantee_pool", 20), (C, "double_spend_receivable", 20)]);
    world.fund(customer(1), 30);
    let out = world.operate(OperationKind::Recover(customer(1)), 30).unwrap();
    assert_eq!(posted(&out), [(D, "customer", 30), (C, "double_spend_receivable", 30)]);
    assert!(world.operate(OperationKind::Recover(customer(1)), 1).is_err(), "nothing is open");
    assert_eq!(world.balance(Account::DoubleSpendReceivable(customer(1))), 0);
    world.check();
}

#[test]
fn names_stay_out_of_the_journal() {
    let mut world = World::new();
    let payer = Wallet::new(BANK, customer(1), 1);
    world.handle(Input::OpenCustomer { customer: customer(1) }).unwrap();
    let name = hundi_ledger::codec::Text::new("Asha Patil").unwrap();
    let out = world
        .handle(Input::Enrol {
            customer: customer(1),
            key: payer.key(),
            sealing: payer.sealing.public(),
            currency: inr(),
            display_name: Some(name),
        })
        .unwrap();
    let needle = b"Asha Patil";
    let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(out.records.iter().any(|record| holds(record)), "the signed grant shows it");
    assert!(!out.events.iter().any(|event| holds(&event.encode())));
    world.check();
}
