//! `grant issue|show` and `freeze`.

use super::{accounts, number, rows, text};
use clap::{Args, Subcommand, ValueEnum};
use hundi_ledger::id::{AuthorId, SealingKey};
use hundi_node::client::Client;
use hundi_node::command_line::{Failure, Report};
use hundi_node::money::{parse_amount, parse_currency, show};
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum GrantCommand {
    /// Let a device promise money of an account; enrols the device if it is new.
    Issue(Box<IssueArgs>),
    /// Show a device's grants.
    Show {
        /// The device's author, as `hundi id` prints it.
        author: String,
    },
}

/// The terms of a grant.
#[derive(Debug, Args)]
pub(crate) struct IssueArgs {
    /// The account's number.
    account: String,
    /// The device's author, as `hundi id` prints it.
    #[arg(long)]
    author: String,
    /// The device's sealing key, as `hundi id` prints it; needed once.
    #[arg(long)]
    sealing: Option<String>,
    /// What may be promised in all, in major units; 0 only enrols, for a device that only receives.
    #[arg(long)]
    limit: String,
    /// What one payment may promise; the limit when not given.
    #[arg(long)]
    cap: Option<String>,
    /// What the bank pays beyond the limit when the device cheats, from its pool.
    #[arg(long)]
    guarantee: Option<String>,
    /// From the bank's credit instead of the account's balance.
    #[arg(long)]
    credit: bool,
    /// How long payees accept.
    #[arg(long, default_value = "24h", value_parser = humantime::parse_duration)]
    expires: Duration,
    /// How long after that the bank honours what reaches it.
    #[arg(long, default_value = "7d", value_parser = humantime::parse_duration)]
    claim: Duration,
    /// How many of its payments may be unsettled at once. Each takes a tenth off what the next may
    /// promise, down to three tenths.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..))]
    unsettled: u8,
    /// Whoever has the key may spend: a voucher.
    #[arg(long)]
    bearer: bool,
}

/// Why a device is frozen.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FreezeReason {
    /// It was reported lost or stolen.
    Lost,
    /// The bank decided so.
    Decision,
}

pub(super) fn execute(client: &Client, command: GrantCommand) -> Result<Report, Failure> {
    match command {
        GrantCommand::Issue(args) => issue(client, &args),
        GrantCommand::Show { author } => grant_show(client, &author),
    }
}

fn issue(client: &Client, args: &IssueArgs) -> Result<Report, Failure> {
    let author = parse_author(&args.author)?;
    let sealing = args.sealing.as_deref().map(parse_sealing).transpose()?;
    let currency = accounts::currency_of(client, &args.account)?;
    let amount = |text: &str| parse_amount(text, currency).map_err(Failure::usage);
    let body = json!({
        "account": args.account,
        "author": author.to_string(),
        "sealing_key": sealing.map(|sealing| sealing.to_string()),
        "limit_minor": amount(&args.limit)?.minor(),
        "cap_minor": args.cap.as_deref().map(amount).transpose()?.map(|cap| cap.minor()),
        "guarantee_minor":
            args.guarantee.as_deref().map(amount).transpose()?.map(|sum| sum.minor()),
        "credit": args.credit,
        "expires_s": seconds(args.expires)?,
        "claim_s": seconds(args.claim)?,
        "unsettled_max": args.unsettled,
        "bearer": args.bearer,
    });
    let answer: Value = client.post("/v1/grants", &body)?;
    let shown = format!("{} grant {}\n", text(&answer, "author"), number(&answer, "serial"));
    Ok(Report::new(shown, answer))
}

fn seconds(duration: Duration) -> Result<u32, Failure> {
    u32::try_from(duration.as_secs())
        .map_err(|_| Failure::usage(anyhow::anyhow!("{duration:?} is longer than any grant")))
}

fn grant_show(client: &Client, author: &str) -> Result<Report, Failure> {
    let author = parse_author(author)?;
    let answer: Value = client.get(&format!("/v1/grants/{author}"))?;
    let currency = parse_currency(text(&answer, "currency")).map_err(Failure::lacks)?;
    let mut shown = format!(
        "author  {}\naccount {}\nfrozen  {}\nproven  {}\n",
        text(&answer, "author"),
        text(&answer, "account"),
        answer["frozen"].as_str().unwrap_or("no"),
        if answer["proven"] == Value::Bool(true) { "yes: it contradicted itself" } else { "no" },
    );
    for grant in rows(&answer, "grants") {
        let money = |field| show(number(grant, field), currency);
        shown += &format!(
            "grant {}: limit {}, settled {}, reserved {}{}\n",
            number(grant, "serial"),
            money("limit_minor"),
            money("settled_minor"),
            money("reserved_minor"),
            if grant["ended"] == Value::Bool(true) { ", ended" } else { "" },
        );
    }
    Ok(Report::new(shown, answer))
}

pub(super) fn freeze(
    client: &Client,
    author: &str,
    reason: FreezeReason,
) -> Result<Report, Failure> {
    let author = parse_author(author)?;
    let reason = match reason {
        FreezeReason::Lost => "lost",
        FreezeReason::Decision => "decision",
    };
    let body = json!({ "author": author.to_string(), "reason": reason });
    let answer: Value = client.post("/v1/freezes", &body)?;
    let shown = format!("{author} is frozen: payees refuse it once they hear of it\n");
    Ok(Report::new(shown, answer))
}

/// An author as people paste it.
pub(super) fn parse_author(text: &str) -> Result<AuthorId, Failure> {
    text.trim().parse().map_err(|_| {
        Failure::usage(anyhow::anyhow!(
            "{text:?} is no author: give BANK-KEY with 64 hexadecimal digits, as `hundi id` prints it"
        ))
    })
}

fn parse_sealing(text: &str) -> Result<SealingKey, Failure> {
    text.trim().parse().map_err(|_| {
        Failure::usage(anyhow::anyhow!(
            "{text:?} is no sealing key: give the 64 hexadecimal digits that `hundi id` prints"
        ))
    })
}
