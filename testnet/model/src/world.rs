//! What may happen: two gateways over one book, and everybody around them.
//!
//! A gateway reads the book and decides; it holds the unit of work until it is durable; then it
//! answers. The book takes a unit of work only if nothing was written since it was read: what was
//! overtaken is thrown away and asked for again. A crash loses what the gateway has in memory.
//! Entries are never used up: each may be submitted to either gateway at any time and any number
//! of times, which covers loss, delay, disorder, duplicates and retries.

use crate::book::{Book, Standing, Step};
use crate::bug::Bug;
use crate::cast::Entry;
use crate::properties;
use crate::rule::{Draw, Request, View};
use stateright::{Model, Property};

/// How many gateways there are.
pub const GATEWAYS: usize = 2;

/// What a gateway is doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Waits to be asked.
    Idle,
    /// Has decided, and nothing of it is durable.
    Holding {
        /// What it was asked.
        request: Request,
        /// The unit of work.
        unit: Vec<Step>,
    },
    /// Holds a unit of work that the book will not take, because the other gateway was faster.
    Overtaken,
    /// Is about to answer.
    Answering {
        /// About which entry.
        entry: Entry,
        /// With what.
        answer: Standing,
        /// Whether the answer was on record.
        repeated: bool,
        /// What it has still to write: nothing, but for a bug.
        unwritten: Vec<Step>,
    },
    /// Crashed.
    Down {
        /// What that lost.
        lost: Lost,
    },
}

/// What a crash lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lost {
    /// Nothing that anybody waits for.
    Nothing,
    /// An entry that was not durable.
    Intake(Entry),
    /// The answer to one that was.
    Answer(Entry),
}

/// One gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gateway {
    /// What it is doing.
    pub phase: Phase,
    /// Whether claim-until has passed by its clock.
    pub late: bool,
    /// The entries that it took itself, one bit each; kept for a bug only.
    taken: u8,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// What is durable.
    pub book: Book,
    /// The gateways.
    pub gateways: [Gateway; GATEWAYS],
}

/// What may happen to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Happening {
    /// It is asked something.
    Asked(Request),
    /// It writes its unit of work, if the book takes it.
    Writes,
    /// It crashes while it writes: only where a unit of work can be torn.
    CrashesWriting,
    /// Its answer arrives.
    Answers,
    /// It crashes.
    Crashes,
    /// It starts again and reads the book.
    Restarts,
    /// Claim-until passes by its clock.
    ClockPasses,
}

/// What may happen, and to which gateway.
pub type Action = (usize, Happening);

/// The bank, sound or with a bug.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bank {
    /// What is wrong with it.
    pub bug: Option<Bug>,
}

impl Bank {
    fn view<'a>(&self, world: &'a World, at: usize) -> View<'a> {
        let gateway = &world.gateways[at];
        View { book: &world.book, late: gateway.late, taken: gateway.taken, bug: self.bug }
    }

    /// What a gateway does when it is asked.
    fn asked(&self, world: &World, at: usize, request: Request) -> Phase {
        let view = self.view(world, at);
        let unit = view.decide(request);
        let answers_first = self.bug == Some(Bug::AnswersFirst);
        match request {
            Request::Submit(entry) if unit.is_empty() || answers_first => {
                let repeated = unit.is_empty();
                let answer = standing_after(&world.book, &unit, entry);
                Phase::Answering { entry, answer, repeated, unwritten: unit }
            }
            _ => Phase::Holding { request, unit },
        }
    }

    /// Writes a unit of work and overtakes whoever decided from the book as it was.
    fn write(&self, world: &mut World, at: usize, unit: &[Step]) {
        if unit.is_empty() {
            return;
        }
        unit.iter().for_each(|step| world.book.apply(*step));
        if self.bug == Some(Bug::WritesWhatWasOvertaken) {
            return;
        }
        for (other, gateway) in world.gateways.iter_mut().enumerate() {
            if other != at && matches!(gateway.phase, Phase::Holding { .. }) {
                gateway.phase = Phase::Overtaken;
            }
        }
    }

    /// What a gateway does that writes what it holds.
    fn writes(&self, world: &mut World, at: usize) {
        let Phase::Holding { request, unit } = world.gateways[at].phase.clone() else {
            world.gateways[at].phase = Phase::Idle;
            return;
        };
        self.write(world, at, &unit);
        world.gateways[at].phase = match request {
            Request::Submit(entry) => {
                if self.bug == Some(Bug::KeepsConflictsToItself) {
                    world.gateways[at].taken |= 1 << entry as u8;
                }
                let answer = standing_after(&world.book, &[], entry);
                Phase::Answering { entry, answer, repeated: false, unwritten: Vec::new() }
            }
            Request::EndClaims(_) | Request::CloseCase { .. } => Phase::Idle,
        };
    }
}

/// What the book says about an entry once a unit of work is written.
fn standing_after(book: &Book, unit: &[Step], entry: Entry) -> Standing {
    let mut book = book.clone();
    unit.iter().for_each(|step| book.apply(*step));
    book.standing(entry)
}

/// Everything that a gateway may be asked.
pub fn requests() -> impl Iterator<Item = Request> {
    let entries = Entry::ALL.into_iter().map(Request::Submit);
    entries.chain([
        Request::EndClaims(Draw::Ascending),
        Request::EndClaims(Draw::Descending),
        Request::CloseCase { denied: false },
        Request::CloseCase { denied: true },
    ])
}

impl Model for Bank {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let gateway = Gateway { phase: Phase::Idle, late: false, taken: 0 };
        vec![World { book: Book::funded(), gateways: [gateway.clone(), gateway] }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (at, gateway) in world.gateways.iter().enumerate() {
            match gateway.phase {
                Phase::Idle => {
                    let view = self.view(world, at);
                    // An entry on record is answered; other requests that change nothing are idle.
                    let asked = requests().filter(|request| {
                        matches!(request, Request::Submit(_)) || !view.refuses(*request)
                    });
                    actions.extend(asked.map(|request| (at, Happening::Asked(request))));
                }
                Phase::Holding { .. } => {
                    actions.extend([(at, Happening::Writes), (at, Happening::Crashes)]);
                    if self.bug == Some(Bug::TearsUnits) {
                        actions.push((at, Happening::CrashesWriting));
                    }
                }
                Phase::Overtaken => {
                    actions.extend([(at, Happening::Writes), (at, Happening::Crashes)]);
                }
                Phase::Answering { .. } => {
                    actions.extend([(at, Happening::Answers), (at, Happening::Crashes)]);
                }
                Phase::Down { .. } => actions.push((at, Happening::Restarts)),
            }
            if !gateway.late {
                actions.push((at, Happening::ClockPasses));
            }
        }
    }

    fn next_state(&self, last: &World, (at, happening): Action) -> Option<World> {
        let mut world = last.clone();
        match happening {
            Happening::Asked(request) => {
                world.gateways[at].phase = self.asked(last, at, request);
            }
            Happening::Writes => self.writes(&mut world, at),
            Happening::CrashesWriting => {
                if let Phase::Holding { unit, .. } = &last.gateways[at].phase {
                    self.write(&mut world, at, &unit[..unit.len() / 2]);
                }
                world.gateways[at].phase = Phase::Down { lost: Lost::Nothing };
            }
            Happening::Answers => {
                if let Phase::Answering { unwritten, .. } = &last.gateways[at].phase {
                    self.write(&mut world, at, unwritten);
                }
                world.gateways[at].phase = Phase::Idle;
            }
            Happening::Crashes => {
                let lost = match &last.gateways[at].phase {
                    Phase::Holding { request: Request::Submit(entry), .. } => Lost::Intake(*entry),
                    Phase::Answering { entry, .. } => Lost::Answer(*entry),
                    _ => Lost::Nothing,
                };
                world.gateways[at].phase = Phase::Down { lost };
            }
            Happening::Restarts => world.gateways[at].phase = Phase::Idle,
            Happening::ClockPasses => world.gateways[at].late = true,
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
