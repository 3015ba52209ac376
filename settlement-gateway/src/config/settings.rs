//! What an operator can set, and where: a file, the environment, the command line, each winning over
//! the one before. Every key is one row of [`KEYS`] with what is allowed; every source gives texts,
//! so that a value is read in one way wherever it stands. All that is wrong is told at once.

use super::Config;
use hundi_node::command_line::{parse_loopback, parse_reach};
use hundi_node::daemon::Bluetooth;
use hundi_node::home::Home;
use hundi_node::telemetry::{Levels, LogFormat};
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

/// What every variable of the environment begins with.
pub const PREFIX: &str = "HUNDI_GATEWAY_";

/// Variables with that beginning which are no keys: flags of the command line.
const FLAGS: [&str; 2] = ["HUNDI_GATEWAY_DIR", "HUNDI_GATEWAY_CONFIG"];

/// One thing that can be set.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name in the file; in the environment in capitals behind [`PREFIX`].
    pub name: &'static str,
    /// What may stand there.
    pub allowed: &'static str,
    set: fn(&mut Settings, &str) -> Option<()>,
}

/// Everything that can be set.
pub const KEYS: [Key; 12] = [
    Key {
        name: "listen",
        allowed: "IP:PORT, one or more",
        set: |it, text| {
            it.listen =
                text.split(',').map(|one| one.trim().parse().ok()).collect::<Option<_>>()?;
            Some(())
        },
    },
    Key {
        name: "api",
        allowed: "IP:PORT on a loopback address",
        set: |it, text| parse_loopback(text).ok().map(|value| it.api = value),
    },
    Key {
        name: "monitoring",
        allowed: "off, or IP:PORT",
        set: |it, text| {
            it.monitoring = if text == "off" { None } else { Some(text.parse().ok()?) };
            Some(())
        },
    },
    Key {
        name: "mdns",
        allowed: "true or false",
        set: |it, text| text.parse().ok().map(|value| it.mdns = value),
    },
    Key {
        name: "reach",
        allowed: "all, none, or IP:PORT, one or more",
        set: |it, text| {
            it.reach = if text == "all" { None } else { Some(parse_reach(text).ok()?) };
            Some(())
        },
    },
    Key {
        name: "ble",
        allowed: "off, on for the first adapter, or an adapter's name as hci0",
        set: |it, text| {
            it.ble = match text {
                "off" => None,
                "on" => Some(String::new()),
                name if name.strip_prefix("hci")?.parse::<u16>().is_ok() => Some(name.to_owned()),
                _ => return None,
            };
            Some(())
        },
    },
    Key {
        name: "gatt_only",
        allowed: "true or false",
        set: |it, text| text.parse().ok().map(|value| it.gatt_only = value),
    },
    Key {
        name: "tick_s",
        allowed: "a whole number of seconds from 1 to 3600",
        set: |it, text| seconds(text, 1..=3_600).map(|value| it.tick = value),
    },
    Key {
        name: "rescan_s",
        allowed: "a whole number of seconds from 1 to 86400",
        set: |it, text| seconds(text, 1..=86_400).map(|value| it.rescan = value),
    },
    Key {
        name: "drain_s",
        allowed: "a whole number of seconds from 2 to 3600",
        set: |it, text| seconds(text, 2..=3_600).map(|value| it.drain = value),
    },
    Key {
        name: "log_format",
        allowed: "text or json",
        set: |it, text| {
            it.log_format = match text {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return None,
            };
            Some(())
        },
    },
    Key {
        name: "log_levels",
        allowed: "default, or levels as in warn,hundi_gateway=info",
        set: |it, text| {
            it.log_levels = if text == "default" { None } else { Some(text.parse().ok()?) };
            Some(())
        },
    },
];

fn seconds(text: &str, allowed: RangeInclusive<u64>) -> Option<Duration> {
    let seconds = text.parse().ok().filter(|seconds| allowed.contains(seconds))?;
    Some(Duration::from_secs(seconds))
}

/// What was set, or what holds when nobody set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    listen: Vec<SocketAddr>,
    api: SocketAddr,
    monitoring: Option<SocketAddr>,
    mdns: bool,
    reach: Option<Vec<SocketAddr>>,
    ble: Option<String>,
    gatt_only: bool,
    tick: Duration,
    rescan: Duration,
    drain: Duration,
    /// How the log is written.
    pub log_format: LogFormat,
    /// What is logged; `RUST_LOG` decides if none.
    pub log_levels: Option<Levels>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 0))],
            api: SocketAddr::from(([127, 0, 0, 1], 0)),
            monitoring: None,
            mdns: true,
            reach: None,
            ble: None,
            gatt_only: false,
            tick: Duration::from_secs(5),
            rescan: Duration::from_secs(300),
            drain: Duration::from_secs(30),
            log_format: LogFormat::Text,
            log_levels: None,
        }
    }
}

/// One text that somebody gave for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Where it stands, for whoever has to change it.
    pub place: String,
    /// The key.
    pub key: String,
    /// The text.
    pub text: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wrong {
    given: Given,
    allowed: String,
}

/// Everything that is wrong with what was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError(Vec<Wrong>);

impl std::error::Error for SettingsError {}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = if self.0.len() == 1 { "setting is" } else { "settings are" };
        write!(f, "{} {many} wrong", self.0.len())?;
        self.0.iter().try_for_each(|Wrong { given, allowed }| {
            let Given { place, key, text } = given;
            write!(f, "\n  {key} = {text:?} ({place}): allowed is {allowed}")
        })
    }
}

impl Settings {
    /// What the sources say together; a later one wins.
    ///
    /// # Errors
    /// Everything that is wrong in any of them, even where another one wins.
    pub fn gather(given: Vec<Given>) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        let mut wrong = Vec::new();
        for given in given {
            let key = KEYS.iter().find(|key| key.name == given.key);
            let allowed = match key {
                Some(key) if (key.set)(&mut settings, given.text.trim()).is_some() => continue,
                Some(key) => key.allowed.to_owned(),
                None => format!("one of the keys {}", KEYS.map(|key| key.name).join(", ")),
            };
            wrong.push(Wrong { given, allowed });
        }
        if settings.gatt_only && settings.ble.is_none() && wrong.is_empty() {
            let (key, text) = ("gatt_only".to_owned(), "true".to_owned());
            let given = Given { place: "all together".to_owned(), key, text };
            wrong.push(Wrong { given, allowed: "false while ble is off".to_owned() });
        }
        if wrong.is_empty() { Ok(settings) } else { Err(SettingsError(wrong)) }
    }

    /// The gateway in `home` that runs so.
    pub fn config(self, home: Home) -> Config {
        let Self { listen, api, monitoring, mdns, reach, gatt_only, tick, rescan, drain, .. } =
            self;
        let adapter = |name: String| Some(name).filter(|name| !name.is_empty());
        let bluetooth = self.ble.map(|name| Bluetooth { adapter: adapter(name), gatt_only });
        Config { home, listen, api, monitoring, mdns, reach, bluetooth, tick, rescan, drain }
    }
}

/// Why a file of settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadFileError {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is not TOML.
    #[error("{path} is not TOML: {error}")]
    Toml {
        /// The file.
        path: String,
        /// What is wrong, and in which line.
        error: toml::de::Error,
    },
}

/// What a file says.
///
/// # Errors
/// When it cannot be read or is not TOML.
pub fn of_file(path: &Path) -> Result<Vec<Given>, ReadFileError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ReadFileError::Io { path: shown.clone(), error })?;
    let table: toml::Table =
        text.parse().map_err(|error| ReadFileError::Toml { path: shown.clone(), error })?;
    let given = table.into_iter().map(|(key, value)| Given {
        place: shown.clone(),
        key,
        text: plain(&value),
    });
    Ok(given.collect())
}

/// A value as the environment would spell it; what no key takes comes out as TOML spells it.
fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Boolean(flag) => flag.to_string(),
        other => format!("{other:?}"),
    }
}

/// What the variables of an environment say. Empty ones say nothing; those that begin so and are no
/// keys are left out and named, since a supervisor may make some of its own.
pub fn of_environment(
    variables: impl IntoIterator<Item = (String, String)>,
) -> (Vec<Given>, Vec<String>) {
    let (mut given, mut unknown) = (Vec::new(), Vec::new());
    for (place, text) in variables {
        let Some(name) = place.strip_prefix(PREFIX) else { continue };
        if text.is_empty() || FLAGS.contains(&place.as_str()) {
            continue;
        }
        let key = KEYS.iter().find(|key| key.name.to_ascii_uppercase() == name);
        match key {
            Some(key) => given.push(Given { key: key.name.to_owned(), place, text }),
            None => unknown.push(place),
        }
    }
    (given, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn given(place: &str, key: &str, text: &str) -> Given {
        Given { place: place.to_owned(), key: key.to_owned(), text: text.to_owned() }
    }

    fn example() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/gateway.toml")
    }

    #[test]
    fn the_example_names_every_key_with_what_holds_without_it() {
        let lines = of_file(&example()).unwrap();
        let mut named: Vec<&str> = lines.iter().map(|line| line.key.as_str()).collect();
        let mut keys = KEYS.map(|key| key.name);
        named.sort_unstable();
        keys.sort_unstable();
        assert_eq!(named, keys);
        // Each key does something, so that a default cannot pass for what was read.
        for key in KEYS {
            let other = match key.name {
                "listen" | "api" | "monitoring" | "reach" => "127.0.0.1:9",
                "mdns" => "false",
                "gatt_only" => "true",
                "ble" => "hci1",
                "log_format" => "json",
                "log_levels" => "info",
                _ => "17",
            };
            let mut settings = Settings::default();
            (key.set)(&mut settings, other).unwrap();
            assert_ne!(settings, Settings::default(), "{}", key.name);
        }
        assert_eq!(Settings::gather(lines), Ok(Settings::default()));
    }

    #[test]
    fn the_example_says_what_is_allowed() {
        let text = std::fs::read_to_string(example()).unwrap();
        for key in KEYS {
            let at = text.find(&format!("\n{} = ", key.name)).unwrap();
            assert!(text[..at].ends_with(&format!("Allowed: {}.", key.allowed)), "{}", key.name);
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let (environment, unknown) = of_environment([
            ("HUNDI_GATEWAY_TICK_S".to_owned(), "0".to_owned()),
            ("HUNDI_GATEWAY_API".to_owned(), String::new()),
            ("HUNDI_GATEWAY_DIR".to_owned(), "/somewhere".to_owned()),
            ("HUNDI_GATEWAY_PORT".to_owned(), "tcp://127.0.0.1:1".to_owned()),
            ("PATH".to_owned(), "/bin".to_owned()),
        ]);
        assert_eq!(unknown, ["HUNDI_GATEWAY_PORT"]);
        let mut all = vec![given("a.toml", "tikc_s", "5"), given("a.toml", "drain_s", "")];
        all.extend(environment);
        all.push(given("--api", "api", "0.0.0.0:80"));
        let said = Settings::gather(all).unwrap_err().to_string();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], "4 settings are wrong");
        assert!(
            lines[1].starts_with("  tikc_s = \"5\" (a.toml): allowed is one of the keys listen")
        );
        assert_eq!(
            lines[2..],
            [
                "  drain_s = \"\" (a.toml): allowed is a whole number of seconds from 2 to 3600",
                "  tick_s = \"0\" (HUNDI_GATEWAY_TICK_S): allowed is a whole number of seconds from 1 to 3600",
                "  api = \"0.0.0.0:80\" (--api): allowed is IP:PORT on a loopback address",
            ]
        );
        let alone = Settings::gather(vec![given("--gatt-only", "gatt_only", "true")]);
        assert!(alone.unwrap_err().to_string().contains("false while ble is off"));
    }

    #[test]
    fn the_last_source_wins() {
        let all = vec![given("a.toml", "tick_s", "7"), given("--tick", "tick_s", "9")];
        assert_eq!(Settings::gather(all).unwrap().tick, Duration::from_secs(9));
    }

    #[test]
    fn every_bound_is_where_it_is_said_to_be() {
        for (key, low, high) in
            [("tick_s", 1, 3_600), ("rescan_s", 1, 86_400), ("drain_s", 2, 3_600)]
        {
            let allowed = format!("a whole number of seconds from {low} to {high}");
            assert_eq!(KEYS.iter().find(|it| it.name == key).unwrap().allowed, allowed);
            for (value, fits) in [(low - 1, false), (low, true), (high, true), (high + 1, false)] {
                let gathered = Settings::gather(vec![given("", key, &value.to_string())]);
                assert_eq!(gathered.is_ok(), fits, "{key} = {value}");
            }
        }
    }
}
