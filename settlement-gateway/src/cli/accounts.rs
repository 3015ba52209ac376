//! `account open|fund|show|list|link`.

use super::{number, rows, text};
use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};
use hundi_ledger::money::Currency;
use hundi_node::client::Client;
use hundi_node::command_line::{Failure, Report};
use hundi_node::money::{parse_amount, parse_currency, show};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Open an account for a customer; prints its number.
    Open {
        /// The customer's name. It stays out of the journal.
        name: String,
        /// The account's currency: INR
        #[arg(long)]
        currency: String,
    },
    /// Put money on an account.
    Fund {
        /// The account's number.
        account: String,
        /// How much, in major units: 500 or 12.50
        amount: String,
        /// A number of your choice, 32 hexadecimal digits: used again, nothing moves again.
        #[arg(long, value_name = "HEX")]
        reference: Option<String>,
    },
    /// Show an account.
    Show {
        /// The account's number.
        account: String,
    },
    /// Show all accounts.
    List,
    /// Note that two customers belong together: no guarantee of one ever pays the other.
    Link {
        /// One account's number.
        account: String,
        /// The other's.
        other: String,
    },
}

/// An operation on accounts.
#[derive(Debug, Args)]
pub(crate) struct OperateArgs {
    /// What is done.
    #[arg(value_enum)]
    kind: OperationKind,
    /// How much, in major units.
    amount: String,
    /// Whose account: for withdraw, write-off and recover.
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "currency")]
    account: Option<String>,
    /// The currency: for provision and settle-window.
    #[arg(long)]
    currency: Option<String>,
    /// The other bank: for settle-window.
    #[arg(long, value_name = "N")]
    bank: Option<u16>,
    /// As for `account fund`.
    #[arg(long, value_name = "HEX")]
    reference: Option<String>,
}

/// The operations on accounts.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OperationKind {
    /// A customer takes money out.
    Withdraw,
    /// The bank sets money aside for guarantees.
    Provision,
    /// The bank gives up its claim on an offender.
    WriteOff,
    /// An offender pays the bank's claim from its balance.
    Recover,
    /// What is owed to another bank has been paid.
    SettleWindow,
}

pub(super) fn operate(client: &Client, args: &OperateArgs) -> Result<Report, Failure> {
    let currency = match (&args.account, &args.currency) {
        (Some(account), _) => currency_of(client, account)?,
        (None, Some(currency)) => parse_currency(currency).map_err(Failure::usage)?,
        (None, None) => return Err(Failure::usage(anyhow!("give --account, or --currency"))),
    };
    let amount = parse_amount(&args.amount, currency).map_err(Failure::usage)?;
    let kind = match args.kind {
        OperationKind::Withdraw => "withdraw",
        OperationKind::Provision => "provision",
        OperationKind::WriteOff => "write_off",
        OperationKind::Recover => "recover",
        OperationKind::SettleWindow => "settle_window",
    };
    let body = json!({
        "kind": kind,
        "account": args.account,
        "bank": args.bank,
        "currency": currency.code(),
        "amount_minor": amount.minor(),
        "reference": args.reference,
    });
    let answer: Value = client.post("/v1/operations", &body)?;
    Ok(Report::new(format!("{}\n", show(amount.minor(), currency)), answer))
}

pub(super) fn execute(client: &Client, command: AccountCommand) -> Result<Report, Failure> {
    match command {
        AccountCommand::Link { account, other } => {
            get(client, &account)?;
            let body = json!({ "account": other });
            let answer: Value = client.post(&format!("/v1/accounts/{account}/links"), &body)?;
            Ok(Report::new(format!("linked: {account} {other}\n"), answer))
        }
        AccountCommand::Open { name, currency } => {
            let currency = parse_currency(&currency).map_err(Failure::usage)?.code();
            let body = json!({ "name": name, "currency": currency });
            let answer: Value = client.post("/v1/accounts", &body)?;
            Ok(Report::new(format!("{}\n", text(&answer, "account")), answer))
        }
        AccountCommand::Fund { account, amount, reference } => {
            let currency = currency_of(client, &account)?;
            let amount = parse_amount(&amount, currency).map_err(Failure::usage)?;
            let body = json!({ "amount_minor": amount.minor(), "reference": reference });
            let answer: Value = client.post(&format!("/v1/accounts/{account}/fund"), &body)?;
            Ok(Report::new(shown(&answer, currency), answer))
        }
        AccountCommand::Show { account } => {
            let answer = get(client, &account)?;
            let currency = parse_currency(text(&answer, "currency")).map_err(Failure::lacks)?;
            Ok(Report::new(shown(&answer, currency), answer))
        }
        AccountCommand::List => {
            let answer: Value = client.get("/v1/accounts")?;
            let mut lines = String::new();
            for row in rows(&answer, "accounts") {
                let currency = parse_currency(text(row, "currency")).map_err(Failure::lacks)?;
                let balance = show(number(row, "balance_minor"), currency);
                lines +=
                    &format!("{}  {balance:>18}  {}\n", text(row, "account"), text(row, "name"));
            }
            Ok(Report::new(lines, answer))
        }
    }
}

/// The currency of an account.
pub(super) fn currency_of(client: &Client, account: &str) -> Result<Currency, Failure> {
    let answer = get(client, account)?;
    parse_currency(text(&answer, "currency")).map_err(Failure::lacks)
}

fn get(client: &Client, account: &str) -> Result<Value, Failure> {
    // Only what can be a number goes into the path.
    if !account.bytes().all(|byte| byte.is_ascii_alphanumeric()) || account.is_empty() {
        let error =
            anyhow!("{account:?} is no account: give the number that `account open` printed");
        return Err(Failure::usage(error));
    }
    Ok(client.get(&format!("/v1/accounts/{account}"))?)
}

fn shown(answer: &Value, currency: Currency) -> String {
    let money = |field| show(number(answer, field), currency);
    let devices: Vec<&str> = rows(answer, "devices").iter().filter_map(Value::as_str).collect();
    format!(
        "account  {}\nname     {}\nbalance  {}\npending  {}\nreserved {}\ndevices  {}\n",
        text(answer, "account"),
        text(answer, "name"),
        money("balance_minor"),
        money("pending_minor"),
        money("reserved_minor"),
        if devices.is_empty() { "none".to_owned() } else { devices.join("\n         ") },
    )
}
