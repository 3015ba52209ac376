//! `run`: the gateway, until interrupted. What is typed, the environment and a file become its
//! settings here.

use anyhow::{Context, anyhow};
use clap::Args;
use hundi_gateway::app::{self, BuildError, RunError};
use hundi_gateway::config::settings::{self, Given, Settings};
use hundi_node::command_line::{EXIT_LACKS, EXIT_REFUSED, EXIT_USAGE, Failure, Report};
use hundi_node::home::Home;
use hundi_node::telemetry::{self, LogFormat};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// How the gateway runs. Whatever has a value here may also stand in the file or in a variable of the
/// environment: docs/gateway.toml has all of it.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// A file of settings (docs/gateway.toml). What is typed wins over the environment, and that over
    /// the file.
    #[arg(long, env = "HUNDI_GATEWAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen here for other nodes; port 0 takes a free one [default: 0.0.0.0:0].
    #[arg(long, value_name = "IP:PORT")]
    listen: Vec<String>,
    /// The API, on a loopback address; it speaks no TLS. Port 0 takes a free one [default:
    /// 127.0.0.1:0].
    #[arg(long, value_name = "IP:PORT")]
    api: Option<String>,
    /// Answer /health, /ready and /metrics here, too, without a token.
    #[arg(long, value_name = "IP:PORT")]
    monitoring: Option<String>,
    /// Do not look for nodes on the local network by mDNS.
    #[arg(long)]
    no_mdns: bool,
    /// The only nodes to be in contact with: IP:PORT,… or `none`. All when not given.
    #[arg(long, value_name = "LIST")]
    reach: Option<String>,
    /// Use Bluetooth too: on this adapter (hci0), or on the first one.
    #[arg(long, value_name = "ADAPTER", num_args = 0..=1, default_missing_value = "on")]
    ble: Option<String>,
    /// Bluetooth without L2CAP channels: slower, for adapters on which they do not work.
    #[arg(long)]
    gatt_only: bool,
    /// Seconds that working off what was taken may last when it stops.
    #[arg(long, value_name = "SECONDS")]
    drain: Option<String>,
    /// How the log is written: text or json.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// What is logged: levels as in warn,hundi_gateway=info.
    #[arg(long, value_name = "LEVELS")]
    log_levels: Option<String>,
}

impl RunArgs {
    /// What was typed, by key.
    fn given(self) -> Vec<Given> {
        let flag = |is: bool, text: &str| is.then(|| text.to_owned());
        let listen = (!self.listen.is_empty()).then(|| self.listen.join(","));
        let typed = [
            ("--listen", "listen", listen),
            ("--api", "api", self.api),
            ("--monitoring", "monitoring", self.monitoring),
            ("--no-mdns", "mdns", flag(self.no_mdns, "false")),
            ("--reach", "reach", self.reach),
            ("--ble", "ble", self.ble),
            ("--gatt-only", "gatt_only", flag(self.gatt_only, "true")),
            ("--drain", "drain_s", self.drain),
            ("--log-format", "log_format", self.log_format),
            ("--log-levels", "log_levels", self.log_levels),
        ];
        let given = typed.into_iter().filter_map(|(place, key, text)| {
            Some(Given { place: place.to_owned(), key: key.to_owned(), text: text? })
        });
        given.collect()
    }
}

pub(super) fn run(home: Home, args: RunArgs) -> Result<Report, Failure> {
    let mut given = match &args.config {
        Some(path) => settings::of_file(path).map_err(Failure::usage)?,
        None => Vec::new(),
    };
    let text = |it: std::ffi::OsString| it.to_string_lossy().into_owned();
    let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
    let (of_environment, unknown) = settings::of_environment(variables);
    given.extend(of_environment);
    given.extend(args.given());
    let settings = Settings::gather(given).map_err(Failure::usage)?;
    telemetry::start_as(settings.log_format, settings.log_levels.as_ref());
    for name in unknown {
        tracing::warn!(name, "this variable of the environment sets nothing");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime").map_err(Failure::lacks)?;
    let report = runtime.block_on(until_told(home, settings));
    if report.is_err() {
        // Nothing is waited for any more: what is stored bears to be cut off at any moment.
        runtime.shutdown_background();
    }
    report
}

/// The gateway, until a signal tells it to stop; the second one stops it at once.
async fn until_told(home: Home, settings: Settings) -> Result<Report, Failure> {
    let signals = Signals::new().context("cannot wait for signals").map_err(Failure::lacks);
    let mut signals = signals?;
    let told = Arc::new(Notify::new());
    let two_signals = async {
        signals.next().await;
        told.notify_one();
        signals.next().await;
    };
    tokio::select! {
        report = serve(home, settings, Arc::clone(&told)) => report,
        () = two_signals => Err(Failure::refused(anyhow!(
            "stopped at once by a second signal: what was not answered is handed in again"
        ))),
    }
}

async fn serve(home: Home, settings: Settings, told: Arc<Notify>) -> Result<Report, Failure> {
    let for_people = settings.log_format == LogFormat::Text;
    let application = app::build(settings.config(home)).await.map_err(build_failure)?;
    if for_people {
        eprintln!("hundi-gateway: the API is at http://{}", application.address());
    }
    application.run(async move { told.notified().await }).await.map_err(run_failure)?;
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

fn run_failure(error: RunError) -> Failure {
    match error {
        RunError::Unfinished(_) => Failure::refused(error),
        _ => Failure::lacks(error),
    }
}

/// Interrupt and termination signals; both are caught from now on.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
