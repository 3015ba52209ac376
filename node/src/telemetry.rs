//! Logs: to standard error, levels by `RUST_LOG` (default: warnings). They carry ids, never names,
//! amounts, keys or what is sealed.

use tracing_subscriber::EnvFilter;

/// Starts logging; later calls do nothing.
pub fn start() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,libp2p_gossipsub=error"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only if logging has been started already.
    drop(subscriber.try_init());
}
