//! Logs: to standard error, levels by `RUST_LOG` (default: warnings), as text or as one JSON object a
//! line. They carry ids, never names, amounts, keys or what is sealed.

use std::str::FromStr;
use tracing_subscriber::EnvFilter;

/// What is logged when nobody says anything else.
const LEVELS: &str = "warn,libp2p_gossipsub=error";

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Which parts log what, spelled as `RUST_LOG` is: `warn,hundi_gateway=info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels(String);

/// Text that spells no levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spell levels as in warn,hundi_gateway=info")]
pub struct ParseLevelsError;

impl FromStr for Levels {
    type Err = ParseLevelsError;
    fn from_str(text: &str) -> Result<Self, ParseLevelsError> {
        EnvFilter::try_new(text).map_err(|_| ParseLevelsError)?;
        Ok(Self(text.to_owned()))
    }
}

/// Starts logging as text; later calls do nothing.
pub fn start() {
    start_as(LogFormat::Text, None);
}

/// Starts logging; later calls do nothing. Without `levels` those of `RUST_LOG` hold.
pub fn start_as(format: LogFormat, levels: Option<&Levels>) {
    let filter = match levels {
        Some(Levels(levels)) => EnvFilter::new(levels),
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LEVELS)),
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only if logging has been started already.
    drop(match format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    });
}
