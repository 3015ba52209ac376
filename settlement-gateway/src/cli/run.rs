//! `run`: the gateway, until interrupted.

use anyhow::Context;
use hundi_gateway::app::{self, BuildError};
use hundi_gateway::config::Config;
use hundi_node::command_line::{
    EXIT_LACKS, EXIT_REFUSED, EXIT_USAGE, Failure, NetworkArgs, Report,
};
use hundi_node::home::Home;
use serde_json::json;

pub(super) fn run(home: Home, args: NetworkArgs) -> Result<Report, Failure> {
    hundi_node::telemetry::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime").map_err(Failure::lacks)?;
    runtime.block_on(serve(home, args))
}

async fn serve(home: Home, args: NetworkArgs) -> Result<Report, Failure> {
    let shutdown = interrupted().context("cannot wait for signals").map_err(Failure::lacks)?;
    let config = Config {
        bluetooth: args.bluetooth(),
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
