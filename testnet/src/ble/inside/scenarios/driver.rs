//! The driver alone, beside BlueZ without it (`transports/ble/examples/two_adapters`): how long the
//! least takes that anything takes here, and what share of it our link has.

use super::super::{Guest, Seen};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::{Command, Stdio};

/// Runs one of its scenarios. Its figures get the scenario's name in front.
pub(super) fn measures(guest: &mut Guest, scenario: &str) -> Result<Seen> {
    super::super::restart_bluetoothd(None)?;
    let mut command = Command::new(guest.program("two_adapters"));
    command.arg(scenario).env("HUNDI_PAYMENTS", guest.payments.min(u64::from(u8::MAX)).to_string());
    // What it tells of every value would be a part of what it measures.
    let output = command.env("HUNDI_QUIET", "1").stdin(Stdio::null()).output();
    let output = output.context("the driver's program")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let last: Value = printed
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str(line).ok())
        .find(|line: &Value| line["scenario"] == scenario)
        .with_context(|| format!("it printed {printed}"))?;
    ensure!(last["held"] == true, "{}", last["why"]);
    let mut seen = Seen::from(scenario.to_owned());
    flatten(scenario, &last["figures"], &mut seen);
    Ok(seen)
}

/// Every number of `value`, by its path.
fn flatten(path: &str, value: &Value, seen: &mut Seen) {
    if let Some(number) = value.as_u64() {
        seen.figures.insert(path.to_owned(), number);
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        flatten(&format!("{path}_{name}"), inner, seen);
    }
}
