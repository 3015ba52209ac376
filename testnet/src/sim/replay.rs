//! Recording a run and stepping through it. A run is a function of its seed and scenario, so a
//! recording is these two and the digest after every event: replaying it runs it again, compares
//! event by event, and shows any node after any of them.

use super::canary::Bug;
use super::event::Event;
use super::scenario::Scenario;
use super::world::World;
use super::{Run, Violation, finish, live};
use anyhow::{Context, Result, ensure};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The first line of a recording.
#[derive(Serialize, Deserialize)]
struct Heading {
    seed: u64,
    scenario: Scenario,
}

/// One event of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    /// Its number, from 1.
    event: u64,
    at_ms: u64,
    what: String,
    /// The first bytes of the digest after it.
    digest: String,
}

/// What is done after every event.
pub(super) enum Watch {
    Record(Vec<Step>),
    /// Compares with what was recorded, and stops after an event.
    Follow {
        steps: Vec<Step>,
        until: u64,
    },
}

/// A run that was followed.
pub struct Followed {
    /// Events that happened.
    pub events: u64,
    /// The first event that was not as recorded.
    pub differs: Option<u64>,
    /// What was violated until then.
    pub violation: Option<Violation>,
    /// The nodes that were asked about.
    pub nodes: Value,
}

/// Runs a seed and writes down what happened, one JSON object a line.
///
/// # Errors
/// As for [`super::run`].
pub fn record(seed: u64, scenario: &Scenario, canary: Option<Bug>) -> Result<(Run, String)> {
    let mut world = World::new(seed, scenario.clone(), canary)?;
    world.watch = Some(Watch::Record(Vec::new()));
    let _facts = live(&mut world);
    let mut text = serde_json::to_string(&Heading { seed, scenario: scenario.clone() })?;
    if let Some(Watch::Record(steps)) = world.watch.take() {
        for step in steps {
            write!(text, "\n{}", serde_json::to_string(&step)?)?;
        }
    }
    text.push('\n');
    Ok((finish(world), text))
}

/// Runs a recording again until after an event, and shows `node` (all nodes if none is named).
///
/// # Errors
/// When the text is no recording.
pub fn replay(
    text: &str,
    until: Option<u64>,
    node: Option<u32>,
    canary: Option<Bug>,
) -> Result<Followed> {
    let mut lines = text.lines();
    let heading = lines.next().context("the recording is empty")?;
    let heading: Heading = serde_json::from_str(heading).context("not a recording")?;
    let steps = lines.map(serde_json::from_str).collect::<Result<Vec<Step>, _>>()?;
    let until = until.unwrap_or(u64::MAX);
    let mut world = World::new(heading.seed, heading.scenario, canary)?;
    let count = world.nodes.len() as u32;
    ensure!(node.is_none_or(|node| node < count), "nodes are numbered from 0 to {}", count - 1);
    world.watch = Some(Watch::Follow { steps, until });
    let _facts = live(&mut world);
    let shown = node.map_or(0..count, |node| node..node + 1);
    Ok(Followed {
        events: world.trace.events(),
        differs: world.differs,
        nodes: shown.map(|node| world.show(node)).collect(),
        violation: world.violation,
    })
}

impl World {
    /// After an event: it is written down, or compared.
    pub(super) fn watched(&mut self, what: Option<String>) {
        let Some(what) = what else { return };
        let digest = HEXLOWER.encode(&self.trace.digest()[..8]);
        let (event, at_ms) = (self.trace.events(), self.now_ms());
        let step = Step { event, at_ms, what, digest };
        match &mut self.watch {
            Some(Watch::Record(steps)) => steps.push(step),
            Some(Watch::Follow { steps, until }) => {
                // Events of the setup come before the first one that is watched.
                let first = steps.first().map_or(event, |first| first.event);
                let held = steps.get((event - first.min(event)) as usize);
                if held != Some(&step) && event >= first {
                    self.differs.get_or_insert(event);
                }
                self.stopped = event >= *until || self.differs.is_some();
            }
            None => {}
        }
    }

    /// What an event is called in a recording, if there is one.
    pub(super) fn caption(&self, event: &Event) -> Option<String> {
        self.watch.as_ref()?;
        let text = format!("{event:?}");
        Some(text.chars().take(120).collect())
    }

    /// Everything about one node that a person may want to see.
    fn show(&self, node: u32) -> Value {
        let at = &self.nodes[node as usize];
        let device = &at.device;
        let engine = device.engine.as_ref();
        let links: Vec<_> = at.links.iter().filter_map(|link| self.peer(node, *link)).collect();
        let payments: Vec<Value> = engine
            .map(|engine| engine.history(&device.disk))
            .into_iter()
            .flatten()
            .map(|view| {
                json!({
                    "id": view.id.to_string(), "outgoing": view.outgoing,
                    "sequence": view.sequence, "sum": view.sum.minor(), "state": view.state.word(),
                })
            })
            .collect();
        json!({
            "node": node, "gateway": at.site.is_some(), "adversary": at.scheme,
            "author": device.identity.map(|it| it.author().to_string()),
            "up": device.is_up(), "life": device.life, "unsynced": device.disk.unsynced(),
            "clock_ms": device.clock.shows(self.now_ms()), "links_to": links,
            "status": engine.map(|engine| format!("{:?}", engine.status())),
            "payments": payments,
        })
    }
}
