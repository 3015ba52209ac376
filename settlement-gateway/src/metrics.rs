//! What the gateway counts for whoever watches it, in the text format of Prometheus: every name is in
//! this file, and docs/operators.md has a row for each.
//!
//! No label and no value is about one person: labels are from lists in the source (verdicts, routes,
//! queues) or currencies, and money appears only as sums over all guarantees. Sums over accounts are
//! left out on purpose: from one scrape to the next they would tell single payments.

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use std::fmt;
use std::time::Duration;

/// What every name begins with.
const PREFIX: &str = "hundi_gateway";

/// Upper bounds of the histograms, seconds: from one small unit of work to what a request may take.
const BOUNDS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// One metric: its name behind [`PREFIX`], and what it says.
struct Name(&'static str, &'static str);

const READY: Name = Name("ready", "1 if the gateway takes requests, as `/ready` says");
const STOPPED: Name = Name("stopped", "1 if the bank signs nothing until an operator resumes it");
const ITEMS: Name =
    Name("items", "Items answered after they were durable, from the mesh and over HTTP");
const REQUESTS: Name = Name("http_request_seconds", "Requests to the API and their time");
const MESH: Name = Name(
    "mesh_submission_seconds",
    "Submissions of items from the mesh and their time until they were durable",
);
const COMMITS: Name = Name("commit_seconds", "Units of work and their time in the bank's store");
const DEPTH: Name = Name("queue_depth", "What waits in a queue");
const CAPACITY: Name = Name("queue_capacity", "What a queue takes at most");
const EVENTS: Name = Name("events", "Number of the journal's last event");
const ENTRIES: Name = Name("entries", "Entries in the books by what has become of them");
const OLDEST: Name = Name(
    "oldest_unsettled_seconds",
    "Age of the oldest entry that waits or is contested, 0 without one",
);
const REVIEWS: Name = Name("reviews_open", "Reviews of contradictions that are open");
const POOL: Name = Name("guarantee_pool_minor", "What the guarantee pool holds, in minor units");
const EXPOSURE: Name = Name(
    "guarantee_exposure_minor",
    "What all guarantees together may still cost the pool, in minor units",
);

type One<V> = [(&'static str, V); 1];
type Two<V> = [(&'static str, V); 2];

/// The metrics of one gateway.
pub(crate) struct Metrics {
    registry: Registry,
    items: Family<Two<&'static str>, Counter>,
    requests: Family<Two<String>, Histogram>,
    mesh: Histogram,
    commits: Histogram,
    ready: Gauge,
    stopped: Gauge,
    depth: Family<One<&'static str>, Gauge>,
    capacity: Family<One<&'static str>, Gauge>,
    events: Gauge,
    entries: Family<One<&'static str>, Gauge>,
    oldest: Family<One<&'static str>, Gauge>,
    reviews: Gauge,
    pool: Family<One<String>, Gauge>,
    exposure: Family<One<String>, Gauge>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// What is read off at the moment of a scrape.
pub(crate) struct Readings {
    pub(crate) ready: bool,
    pub(crate) stopped: bool,
    pub(crate) events: u64,
    pub(crate) reviews: u64,
    /// Name, depth, capacity.
    pub(crate) queues: Vec<(&'static str, usize, usize)>,
    /// Entries by standing.
    pub(crate) entries: Vec<(&'static str, u64)>,
    /// Ages of the oldest by standing.
    pub(crate) oldest: Vec<(&'static str, Duration)>,
    /// Currency, pool, exposure.
    pub(crate) guarantees: Vec<(String, i128, i128)>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        Self {
            ready: register(&mut registry, &READY, Gauge::default()),
            stopped: register(&mut registry, &STOPPED, Gauge::default()),
            items: register(&mut registry, &ITEMS, Family::default()),
            requests: register(&mut registry, &REQUESTS, Family::new_with_constructor(histogram)),
            mesh: register(&mut registry, &MESH, histogram()),
            commits: register(&mut registry, &COMMITS, histogram()),
            depth: register(&mut registry, &DEPTH, Family::default()),
            capacity: register(&mut registry, &CAPACITY, Family::default()),
            events: register(&mut registry, &EVENTS, Gauge::default()),
            entries: register(&mut registry, &ENTRIES, Family::default()),
            oldest: register(&mut registry, &OLDEST, Family::default()),
            reviews: register(&mut registry, &REVIEWS, Gauge::default()),
            pool: register(&mut registry, &POOL, Family::default()),
            exposure: register(&mut registry, &EXPOSURE, Family::default()),
            registry,
        }
    }

    /// An item was answered.
    pub(crate) fn answered(&self, verdict: &'static str, reason: &'static str) {
        self.items.get_or_create(&[("verdict", verdict), ("reason", reason)]).inc();
    }

    /// A request was answered. `route` is the pattern of the path, so that no id is in it.
    pub(crate) fn requested(&self, route: &str, status: u16, took: Duration) {
        let labels = [("route", route.to_owned()), ("status", status.to_string())];
        self.requests.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A submission from the mesh was answered.
    pub(crate) fn submitted(&self, took: Duration) {
        self.mesh.observe(took.as_secs_f64());
    }

    /// A unit of work is durable.
    pub(crate) fn committed(&self, took: Duration) {
        self.commits.observe(took.as_secs_f64());
    }

    /// Everything as text.
    pub(crate) fn render(&self, readings: &Readings) -> Result<String, fmt::Error> {
        self.ready.set(i64::from(readings.ready));
        self.stopped.set(i64::from(readings.stopped));
        self.events.set(clamped(readings.events));
        self.reviews.set(clamped(readings.reviews));
        for (queue, depth, capacity) in &readings.queues {
            self.depth.get_or_create(&[("queue", *queue)]).set(clamped(*depth));
            self.capacity.get_or_create(&[("queue", *queue)]).set(clamped(*capacity));
        }
        for (standing, count) in &readings.entries {
            self.entries.get_or_create(&[("standing", *standing)]).set(clamped(*count));
        }
        for (standing, age) in &readings.oldest {
            self.oldest.get_or_create(&[("standing", *standing)]).set(clamped(age.as_secs()));
        }
        for (currency, pool, exposure) in &readings.guarantees {
            let labels = [("currency", currency.clone())];
            self.pool.get_or_create(&labels).set(clamped(*pool));
            self.exposure.get_or_create(&labels).set(clamped(*exposure));
        }
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn register<M: Metric + Clone>(registry: &mut Registry, name: &Name, metric: M) -> M {
    registry.register(name.0, name.1, metric.clone());
    metric
}

fn histogram() -> Histogram {
    Histogram::new(BOUNDS)
}

/// As a gauge holds it; no count or sum of a bank comes near the bound.
fn clamped(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of the guide, from what a scrape of everything says.
    fn rows() -> Vec<String> {
        let metrics = Metrics::new();
        metrics.answered("accepted", "settled");
        metrics.requested("/v1/entries", 200, Duration::ZERO);
        let readings = Readings {
            ready: true,
            stopped: false,
            events: 0,
            reviews: 0,
            queues: vec![("bank", 0, 1)],
            entries: vec![("settled", 1)],
            oldest: vec![("waiting", Duration::ZERO)],
            guarantees: vec![("INR".to_owned(), 0, -1)],
        };
        let text = metrics.render(&readings).unwrap();
        assert!(text.ends_with("# EOF\n"), "{text}");
        let described = text.split("# HELP ").skip(1).map(|of| {
            let mut lines = of.lines();
            let (name, help) = lines.next().unwrap().split_once(' ').unwrap();
            let kind = lines.next().unwrap().rsplit(' ').next().unwrap();
            let labels = lines.next().and_then(|sample| sample.split(['{', '}']).nth(1));
            let labels = labels.unwrap_or_default().split(',').filter_map(|it| it.split_once('='));
            let labels: Vec<&str> =
                labels.map(|(label, _)| label).filter(|it| *it != "le").collect();
            let (help, labels) = (help.trim_end_matches('.'), labels.join(", "));
            let total = if kind == "counter" { "_total" } else { "" };
            format!("| `{name}{total}` | {kind} | {labels} | {help} |")
        });
        described.collect()
    }

    #[test]
    fn the_guide_has_a_row_for_every_metric_and_no_other() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operators.md");
        let text = std::fs::read_to_string(path).unwrap();
        let documented = text.lines().filter(|line| line.starts_with(&format!("| `{PREFIX}_")));
        let rows = rows();
        assert_eq!(documented.collect::<Vec<_>>(), rows, "\n{}", rows.join("\n"));
        assert_eq!(rows.len(), 14);
    }
}
