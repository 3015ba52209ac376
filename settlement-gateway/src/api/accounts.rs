//! Accounts of customers: opening, funding, showing. Names come from an erasable table.

use super::{App, amount, parse};
use crate::journal_store::AccountRow;
use crate::limits::ACCOUNT_NAME_BYTES_MAX;
use crate::problem::{Body, Problem};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hundi_journal::account::{Account, CustomerId, Party};
use hundi_journal::bank::Bank;
use hundi_journal::input::{Input, Operation, OperationKind};
use hundi_ledger::id::{AuthorId, BankNumber};
use hundi_ledger::money::Currency;
use hundi_node::money::parse_currency;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
pub(super) struct Open {
    name: String,
    currency: String,
}

pub(super) async fn open(State(app): App, Body(body): Body<Open>) -> Result<Json<Value>, Problem> {
    let currency = parse_currency(&body.currency).map_err(Problem::input)?;
    let name = body.name.trim().to_owned();
    if name.is_empty() || name.len() > ACCOUNT_NAME_BYTES_MAX {
        let detail = format!("a name has 1 to {ACCOUNT_NAME_BYTES_MAX} bytes");
        return Err(Problem::input(detail));
    }
    let customer = CustomerId(random()?);
    let row = AccountRow { name, currency };
    let input = Input::OpenCustomer { customer };
    app.bank.handle_with(vec![input], vec![(customer, row)]).await?;
    Ok(Json(json!({ "account": customer.to_string() })))
}

#[derive(Deserialize)]
pub(super) struct Fund {
    amount_minor: u64,
    /// A number of the caller's choice, 32 hexadecimal digits: the same again moves nothing.
    reference: Option<String>,
}

pub(super) async fn fund(
    State(app): App,
    Path(account): Path<String>,
    Body(body): Body<Fund>,
) -> Result<Json<Value>, Problem> {
    let (customer, row) = find(&app, &account)?;
    let reference = reference(body.reference)?;
    let operation = Operation {
        kind: OperationKind::Fund(customer),
        currency: row.currency,
        amount: amount(body.amount_minor)?,
        reference,
    };
    app.bank.handle(vec![Input::Operate(operation)]).await?;
    show_account(&app, customer, row).await
}

#[derive(Deserialize)]
pub(super) struct Link {
    account: String,
}

/// Notes that two customers are linked: by the loss rule no guarantee of one pays the other.
pub(super) async fn link(
    State(app): App,
    Path(account): Path<String>,
    Body(body): Body<Link>,
) -> Result<Json<Value>, Problem> {
    let (a, _) = find(&app, &account)?;
    let (b, _) = find(&app, &body.account)?;
    if a == b {
        return Err(Problem::input("an account is not linked to itself: name two"));
    }
    app.bank.handle(vec![Input::Link { a, b }]).await?;
    Ok(Json(json!({ "linked": [a.to_string(), b.to_string()] })))
}

/// What an operator moves between accounts besides funding.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Withdraw,
    Provision,
    WriteOff,
    Recover,
    SettleWindow,
}

#[derive(Deserialize)]
pub(super) struct Operate {
    kind: Kind,
    /// Whose, for what touches a customer.
    account: Option<String>,
    /// Which bank, for settling a window.
    bank: Option<u16>,
    /// The currency, where no account says it.
    currency: Option<String>,
    amount_minor: u64,
    /// As for funding.
    reference: Option<String>,
}

pub(super) async fn operate(
    State(app): App,
    Body(body): Body<Operate>,
) -> Result<Json<Value>, Problem> {
    let owner = body.account.as_deref().map(|account| find(&app, account)).transpose()?;
    let customer = || {
        let owner = owner.as_ref().map(|(customer, _)| *customer);
        owner.ok_or_else(|| Problem::input("this operation needs an account"))
    };
    let kind = match body.kind {
        Kind::Withdraw => OperationKind::Withdraw(customer()?),
        Kind::WriteOff => OperationKind::WriteOff(customer()?),
        Kind::Recover => OperationKind::Recover(customer()?),
        Kind::Provision => OperationKind::Provision,
        Kind::SettleWindow => {
            let bank = body.bank.ok_or_else(|| Problem::input("settling a window needs a bank"));
            OperationKind::SettleWindow(BankNumber(bank?))
        }
    };
    let currency = match (&owner, &body.currency) {
        (Some((_, row)), _) => row.currency,
        (None, Some(currency)) => parse_currency(currency).map_err(Problem::input)?,
        (None, None) => return Err(Problem::input("this operation needs a currency")),
    };
    let amount = amount(body.amount_minor)?;
    let reference = reference(body.reference)?;
    let operation = Operation { kind, currency, amount, reference };
    app.bank.handle(vec![Input::Operate(operation)]).await?;
    Ok(Json(json!({ "currency": currency.code(), "amount_minor": amount.minor() })))
}

/// The number under which an operation happens once: given (written as a customer's number is),
/// or fresh.
fn reference(given: Option<String>) -> Result<[u8; 16], Problem> {
    match given {
        Some(text) => Ok(parse::<CustomerId>(&text, "reference")?.0),
        None => random(),
    }
}

pub(super) async fn show(
    State(app): App,
    Path(account): Path<String>,
) -> Result<Json<Value>, Problem> {
    let (customer, row) = find(&app, &account)?;
    show_account(&app, customer, row).await
}

pub(super) async fn list(State(app): App) -> Result<Json<Value>, Problem> {
    let rows = app.journal.accounts()?;
    let rows = app.bank.ask(move |bank| {
        rows.iter().map(|(customer, row)| render(bank, customer, row)).collect::<Vec<_>>()
    });
    Ok(Json(json!({ "accounts": rows.await? })))
}

async fn show_account(
    app: &super::Shared,
    customer: CustomerId,
    row: AccountRow,
) -> Result<Json<Value>, Problem> {
    Ok(Json(app.bank.ask(move |bank| render(bank, &customer, &row)).await?))
}

fn render(bank: &Bank, customer: &CustomerId, row: &AccountRow) -> Value {
    let devices: Vec<AuthorId> = bank
        .customers()
        .get(customer)
        .map(|held| held.authors.iter())
        .into_iter()
        .flatten()
        .map(|key| AuthorId { bank: bank.number(), key: *key })
        .collect();
    let currency = row.currency;
    let held = |account| bank.books().held(account, currency).minor();
    json!({
        "account": customer.to_string(),
        "name": row.name,
        "currency": currency.code(),
        "balance_minor": held(Account::Customer(*customer)),
        "pending_minor": held(Account::PendingIn(Party::Customer(*customer))),
        "reserved_minor": devices.iter().map(|it| reserved(bank, it, currency)).sum::<u64>(),
        "devices": devices.iter().map(AuthorId::to_string).collect::<Vec<_>>(),
    })
}

/// What is set aside for an author's grants, in minor units.
fn reserved(bank: &Bank, author: &AuthorId, currency: Currency) -> u64 {
    let grants = bank.authors().get(&author.key).map(|held| held.grants.keys());
    let reserves = grants
        .into_iter()
        .flatten()
        .map(|serial| bank.books().held(Account::Reserve(*author, *serial), currency).minor());
    reserves.sum()
}

/// The account that a path or body names.
pub(super) fn find(
    app: &super::Shared,
    account: &str,
) -> Result<(CustomerId, AccountRow), Problem> {
    let customer: CustomerId = parse(account, "account")?;
    let row = app.journal.account(&customer)?;
    let missing =
        || Problem::not_found(format!("no account {account}: open one with `account open`"));
    Ok((customer, row.ok_or_else(missing)?))
}

fn random() -> Result<[u8; 16], Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        let detail = format!("the system gives no randomness: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })?;
    Ok(bytes)
}
