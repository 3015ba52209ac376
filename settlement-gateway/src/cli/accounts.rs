//! `account open|fund|show|list`.

use super::{Failure, Report, number, rows, text};
use clap::Subcommand;
use hundi_ledger::money::Currency;
use hundi_node::client::Client;
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
}

pub(super) fn execute(client: &Client, command: AccountCommand) -> Result<Report, Failure> {
    match command {
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
        let error = anyhow::anyhow!(
            "{account:?} is no account: give the number that `account open` printed"
        );
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
