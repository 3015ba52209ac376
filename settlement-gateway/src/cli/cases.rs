//! `case list|show|close`.

use super::grants::parse_author;
use super::{number, rows, text};
use clap::Subcommand;
use hundi_node::client::Client;
use hundi_node::command_line::{Failure, Report};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(crate) enum CaseCommand {
    /// Show all review cases.
    List,
    /// Show a case: who was to be paid, and what each got.
    Show {
        /// The case: the author that contradicted itself.
        case: String,
    },
    /// Close a review, after the last claim: provisional payments become final.
    Close {
        /// The case: the author that contradicted itself.
        case: String,
        /// A provisionally paid entry that the review decides against.
        #[arg(long, value_name = "ENTRY")]
        deny: Vec<String>,
    },
}

pub(super) fn execute(client: &Client, command: CaseCommand) -> Result<Report, Failure> {
    match command {
        CaseCommand::List => {
            let answer: Value = client.get("/v1/cases")?;
            let mut shown: String = rows(&answer, "cases").iter().map(line).collect();
            if shown.is_empty() {
                shown.push_str("no case\n");
            }
            Ok(Report::new(shown, answer))
        }
        CaseCommand::Show { case } => {
            let case = parse_author(&case)?;
            let answer: Value = client.get(&format!("/v1/cases/{case}"))?;
            Ok(Report::new(shown(&answer), answer))
        }
        CaseCommand::Close { case, deny } => {
            let case = parse_author(&case)?;
            let body = json!({ "denied": deny });
            let answer: Value = client.post(&format!("/v1/cases/{case}/close"), &body)?;
            Ok(Report::new(shown(&answer), answer))
        }
    }
}

fn line(case: &Value) -> String {
    let state = match (case["closed"].as_u64(), case["claim_until"].as_u64()) {
        (Some(at), _) => format!("closed at {at}"),
        (None, Some(until)) => format!("open; claims until {until}"),
        (None, None) => "open".to_owned(),
    };
    format!("{}  {state}\n", text(case, "case"))
}

fn shown(case: &Value) -> String {
    let mut shown = line(case);
    for row in rows(case, "payees") {
        let provisional =
            if row["provisional"] == Value::Bool(true) { ", provisional" } else { "" };
        shown += &format!(
            "  sequence {} to {}: {} of {} minor units, {}{provisional}\n",
            number(row, "sequence"),
            text(row, "payee"),
            number(row, "got_minor"),
            number(row, "amount_minor"),
            text(row, "outcome"),
        );
    }
    shown
}
