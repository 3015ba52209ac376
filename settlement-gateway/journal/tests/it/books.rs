//! The books against a reference model that keeps plain numbers.

use crate::world::*;
use hundi_journal::account::Account;
use hundi_journal::bank::HandleError;
use hundi_journal::books::{Books, PostError, Posted};
use hundi_journal::input::{Input, Operation, OperationKind};
use hundi_journal::operation::OperateError;
use hundi_journal::transaction::{Key, Side, Transaction};
use hundi_ledger::money::Currency;
use proptest::prelude::*;
use std::collections::BTreeMap;

const ACCOUNTS: u8 = 4;

fn account(n: u8) -> Account {
    if n == 0 { Account::Nostro } else { Account::Customer(customer(n)) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn books_agree_with_plain_numbers(
        actions in prop::collection::vec(
            (0u8..12, any::<bool>(), 0..ACCOUNTS, 0..ACCOUNTS, 0u64..30, 0u64..9),
            1..60,
        )
    ) {
        let currencies = [Currency::new("INR").unwrap(), Currency::new("NPR").unwrap()];
        let mut books = Books::default();
        let mut model: BTreeMap<(u8, usize), i128> = BTreeMap::new();
        let mut keys: BTreeMap<u8, Transaction> = BTreeMap::new();
        for (at, (key, currency, from, to, one, more)) in actions.into_iter().enumerate() {
            let currency = usize::from(currency);
            let whole = amount(one + more);
            let postings = [
                (Side::Debit, account(from), amount(one)),
                (Side::Debit, account(from), amount(more)),
                (Side::Credit, account(to), whole),
            ];
            let built = Transaction::new(Key::Operation([key; 16]), currencies[currency], postings);
            let Ok(transaction) = built else {
                prop_assert_eq!(one + more, 0);
                continue;
            };
            let moved = i128::from(one + more);
            let holds = model.get(&(from, currency)).copied().unwrap_or(0) >= moved;
            let expected = match keys.get(&key) {
                Some(held) if *held == transaction => Ok(Posted::Already),
                Some(_) => Err(PostError::Conflict),
                None if from != 0 && from != to && !holds => {
                    Err(PostError::Overdrawn(account(from)))
                }
                None => Ok(Posted::New),
            };
            prop_assert_eq!(books.post(at as u64, 0, &transaction), expected);
            if expected == Ok(Posted::New) {
                *model.entry((from, currency)).or_default() -= moved;
                *model.entry((to, currency)).or_default() += moved;
                keys.insert(key, transaction);
            }
            for n in 0..ACCOUNTS {
                for (c, currency) in currencies.iter().enumerate() {
                    let held = model.get(&(n, c)).copied().unwrap_or(0);
                    prop_assert_eq!(books.balance(account(n), *currency), held);
                }
            }
            prop_assert!(books.sums().values().all(|sum| *sum == 0));
        }
    }
}

#[test]
fn an_operation_happens_once_and_a_statement_shows_it() {
    let mut world = World::new();
    world.handle(Input::OpenCustomer { customer: customer(1) }).unwrap();
    let operation = |kind, minor, reference| {
        Input::Operate(Operation {
            kind,
            currency: inr(),
            amount: amount(minor),
            reference: [reference; 16],
        })
    };
    let fund = OperationKind::Fund(customer(1));
    let withdraw = OperationKind::Withdraw(customer(1));
    world.handle(operation(fund, 70, 1)).unwrap();
    assert_eq!(world.handle(operation(fund, 70, 1)).unwrap().events, vec![]);
    let refused = [
        (operation(fund, 71, 1), OperateError::Reference),
        (operation(fund, 0, 2), OperateError::Zero),
        (operation(withdraw, 71, 3), OperateError::Funds(Account::Customer(customer(1)))),
    ];
    for (input, error) in refused {
        assert_eq!(world.handle(input).unwrap_err(), HandleError::Operate(error));
    }
    let stranger = OperationKind::Fund(customer(9));
    assert!(world.handle(operation(stranger, 1, 4)).is_err());
    world.handle(operation(withdraw, 20, 3)).unwrap();
    let lines = world.bank.books().statement(&customer(1));
    let seen: Vec<(i128, i128)> = lines.iter().map(|line| (line.change, line.balance)).collect();
    assert_eq!(seen, [(70, 70), (-20, 50)]);
    world.check();
}
