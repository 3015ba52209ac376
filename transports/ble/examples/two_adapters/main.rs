//! Two nodes on two adapters of one machine: what the driver does with a real bluetoothd and real
//! controllers, or virtual ones. `testnet/ble/guest.sh` runs it where there are none.
//!
//! `two_adapters [SCENARIO]...` runs all scenarios, or those named, and prints a JSON line for each
//! event and for each scenario. Exit status 0: all held. Adapters are `hci0` and `hci1`, or those of
//! `HUNDI_ADAPTERS` (`hci0,hci1`); `HUNDI_DAEMON` is a command that takes `kill` and `start`, for
//! the scenario that kills bluetoothd; `HUNDI_PAYMENTS` is how many payments a scenario makes; with `HUNDI_QUIET` what the driver tells is
//! counted and not printed.

mod hostile;
mod node;
mod puppet;
mod raw;
mod scenarios;
mod watcher;

use std::process::ExitCode;
use std::time::Instant;

use scenarios::Setup;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let watcher = watcher::install()?;
    let adapters = std::env::var("HUNDI_ADAPTERS").unwrap_or_else(|_| "hci0,hci1".to_owned());
    let Some((first, second)) = adapters.split_once(',') else {
        anyhow::bail!("HUNDI_ADAPTERS takes two names with a comma between them, not {adapters}");
    };
    let adapters = [first.to_owned(), second.to_owned()];
    let daemon = std::env::var("HUNDI_DAEMON").ok();
    let setup = Setup { adapters, daemon, watcher };
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| !scenarios::NAMES.contains(&name.as_str())) {
        anyhow::bail!("no scenario {unknown}; there are {}", scenarios::NAMES.join(", "));
    }
    let mut failed = 0;
    for name in scenarios::NAMES {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        let began = Instant::now();
        let outcome = scenarios::run(name, &setup).await;
        let ms = began.elapsed().as_millis();
        match outcome {
            Ok(figures) => println!(
                "{}",
                json!({ "scenario": name, "held": true, "ms": ms, "figures": figures })
            ),
            Err(error) => {
                failed += 1;
                let why = format!("{error:#}");
                println!("{}", json!({ "scenario": name, "held": false, "ms": ms, "why": why }));
            }
        }
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}
