//! `run`: the daemon with its local API, until interrupted.

use anyhow::Context;
use hundi_node::api;
use hundi_node::command_line::{Failure, NetworkArgs, Report};
use hundi_node::daemon::{Config, Daemon, StartError};
use hundi_node::device;
use hundi_node::home::Home;
use serde_json::json;
use tokio::net::TcpListener;

/// What `run` takes.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// For a device with little room: carry the payments of one in 2^N people only, your own among
    /// them, instead of everybody's. Warnings about cheats are kept of everybody.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=16))]
    scope_bits: u8,
}

pub(super) fn run(home: &Home, args: RunArgs) -> Result<Report, Failure> {
    hundi_node::telemetry::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime").map_err(Failure::lacks)?;
    runtime.block_on(serve(home, args))
}

async fn serve(home: &Home, args: RunArgs) -> Result<Report, Failure> {
    let RunArgs { network: args, scope_bits } = args;
    let keys = device::keys(home)?;
    let identity = api::Identity { author: keys.author, sealing: keys.sealing.public() };
    let network = home.network()?;
    let config = Config {
        network: network.clone(),
        store: home.store(),
        bluetooth: args.bluetooth(),
        keys: Some(keys),
        listen: args.listen,
        mdns: !args.no_mdns,
        reach: args.reach.map(|list| list.into_iter().collect()),
        engine: hundi_engine::Config { scope_bits, ..hundi_engine::Config::default() },
    };
    let listener = TcpListener::bind(args.api).await;
    let listener = listener
        .with_context(|| format!("cannot open the local API at {}: choose another --api", args.api))
        .map_err(Failure::lacks)?;
    let address = listener.local_addr().context("local API").map_err(Failure::lacks)?;
    let (daemon, _unheard, task) = Daemon::start(config).await.map_err(start_failure)?;
    let token = home.announce_api(address)?;
    tracing::info!(%address, network = %network.id(), "the local API is ready");
    let service = api::serve(listener, daemon.clone(), network.id(), identity, token);
    let outcome = tokio::select! {
        stopped = task => Err(stopped_failure(stopped)),
        served = service => served.context("the local API stopped").map_err(Failure::lacks),
        () = interrupted() => Ok(()),
    };
    daemon.stop().await;
    home.withdraw_api();
    outcome.map(|()| Report::new("", json!({ "stopped": true })))
}

/// The daemon ended of itself: only a failed store does that.
fn stopped_failure(
    stopped: Result<Result<(), hundi_node::daemon::StoreFailed>, tokio::task::JoinError>,
) -> Failure {
    match stopped {
        Ok(Ok(())) => Failure::lacks(anyhow::anyhow!("the daemon stopped")),
        Ok(Err(error)) => Failure::lacks(anyhow::Error::from(error).context(
            "the store failed; nothing more is signed. Mend what it names, then start again",
        )),
        Err(error) => Failure::lacks(anyhow::Error::from(error).context("the daemon broke down")),
    }
}

fn start_failure(error: StartError) -> Failure {
    match error {
        StartError::Load(_) => Failure::refused(error),
        _ => Failure::lacks(error),
    }
}

/// Waits for an interrupt or termination signal.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
