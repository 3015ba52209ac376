//! `run`: the gateway, until interrupted.

use super::{EXIT_LACKS, EXIT_REFUSED, EXIT_USAGE, Failure, Report, parse_reach};
use anyhow::{Context, anyhow};
use clap::Args;
use hundi_gateway::app::{self, BuildError};
use hundi_gateway::config::Config;
use hundi_node::home::Home;
use serde_json::json;
use std::net::SocketAddr;

/// How the gateway runs.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Listen here for other nodes; port 0 takes a free one.
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:0")]
    listen: Vec<SocketAddr>,
    /// The HTTP API. It speaks no TLS: put a proxy in front of any address but a loopback one.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    api: SocketAddr,
    /// Do not look for nodes on the local network by mDNS.
    #[arg(long)]
    no_mdns: bool,
    /// The only nodes to be in contact with: IP:PORT,… or `none`. All when not given.
    #[arg(long, value_name = "LIST", value_parser = parse_reach)]
    reach: Option<std::vec::Vec<SocketAddr>>,
}

pub(super) fn run(home: Home, args: RunArgs) -> Result<Report, Failure> {
    if !args.api.ip().is_loopback() {
        let error = anyhow!(
            "{} is not a loopback address: the API speaks no TLS; let a proxy on this machine do so",
            args.api
        );
        return Err(Failure::usage(error));
    }
    hundi_node::telemetry::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime").map_err(Failure::lacks)?;
    runtime.block_on(serve(home, args))
}

async fn serve(home: Home, args: RunArgs) -> Result<Report, Failure> {
    let shutdown = interrupted().context("cannot wait for signals").map_err(Failure::lacks)?;
    let config = Config {
        listen: args.listen,
        api: args.api,
        mdns: !args.no_mdns,
        reach: args.reach,
        ..Config::new(home)
    };
    let application = app::build(config).await.map_err(build_failure)?;
    eprintln!("hundi-gateway: the API is at http://{}", application.address());
    application.run(shutdown).await.map_err(Failure::lacks)?;
    Ok(Report::new("", json!({ "stopped": true })))
}

fn build_failure(error: BuildError) -> Failure {
    let exit = match &error {
        BuildError::Replay { .. } | BuildError::Journal(_) => EXIT_LACKS,
        BuildError::Certificate(_) => EXIT_REFUSED,
        BuildError::Home(_) | BuildError::Keys(_) | BuildError::NotABank(_) => EXIT_USAGE,
        _ => EXIT_LACKS,
    };
    Failure { error: error.into(), exit }
}

/// Waits for an interrupt or termination signal; both are caught from now on.
fn interrupted() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
