//! Adversaries: nodes that own keys and speak at the level of frames. Each kind has a mind of its
//! own, which may act in its moments, when a link comes up, on what its node sends and hears, and
//! when somebody shows it a request. A family of kinds is one file below this one; adding a kind is
//! a line in [`Kind`] and `Mind::new` and what it does in its family's file.
//!
//! Under the mind runs a real engine, so that an adversary takes part in everything it does not
//! twist. It never reads what other nodes hold, only what reached its own.

mod collude;
mod copies;
mod double;
mod flood;
mod forge;
mod insider;
mod payee;
mod payer;
mod relay;

use super::event::Event;
use super::world::World;
use collude::Colluder;
use copies::{ClonedPhone, RestoredBackup};
use double::DoubleSpender;
use flood::{CertifiedFlooder, Flooder};
use hundi_journal::input::Input;
use hundi_ledger::request::PaymentRequest;
use insider::TwoFacedBank;
use payee::{LateClaimer, RefuseThenSubmit};
use payer::{Twist, TwistedPayer};
use relay::{LiarInSync, Replayer, SelectiveRelay, SilentPayee, StaleCheckpoint, Withholder};
use serde::{Deserialize, Serialize};

/// A kind of adversary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Signs several payments with one sequence number and hands each to another payee.
    DoubleSpender,
    /// Copies an honest phone's disk with its keys and pays from both.
    ClonedPhone,
    /// Goes back to an older state of its own disk and pays again.
    RestoredBackup,
    /// Has no certificate and sends garbage, and entries of keys that nobody knows.
    Flooder,
    /// Has a certificate and signs far beyond its window, contradicting itself all the time.
    CertifiedFlooder,
    /// Takes everything and passes on nothing of others.
    WithholdingRelay,
    /// Shows payees an old checkpoint of its own.
    StaleCheckpoint,
    /// Says wrong things in sync sessions.
    LiarInSync,
    /// Passes on nothing about some authors, and no evidence.
    SelectiveRelay,
    /// Takes payments and never says so: what it is owed settles all the same.
    SilentPayee,
    /// Says again what was said before.
    Replayer,
    /// States times of long ago.
    Backdater,
    /// States totals that overlap.
    FalseTotal,
    /// Withholds what lies between entries that do not fit.
    NeighbourBreaker,
    /// Seals so that only the payee can open.
    WrongKey,
    /// Signs a second branch of many entries.
    LongBranch,
    /// Has a bank's books and keys and signs other records under the same versions.
    TwoFacedBank,
    /// Pays strangers and payees of its own at once, and has the money sent back to it.
    RefundLaunderer,
    /// Pays payees of its own several times, to draw on the guarantee, claiming late as well.
    Colluder,
    /// Takes payments in silence and claims them in the last moment, or too late.
    LateClaimer,
    /// Accepts payments and refuses them as well, and submits all of it.
    RefuseThenSubmit,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 21] = [
        Self::DoubleSpender,
        Self::ClonedPhone,
        Self::RestoredBackup,
        Self::Flooder,
        Self::CertifiedFlooder,
        Self::WithholdingRelay,
        Self::StaleCheckpoint,
        Self::LiarInSync,
        Self::SelectiveRelay,
        Self::SilentPayee,
        Self::Replayer,
        Self::Backdater,
        Self::FalseTotal,
        Self::NeighbourBreaker,
        Self::WrongKey,
        Self::LongBranch,
        Self::TwoFacedBank,
        Self::RefundLaunderer,
        Self::Colluder,
        Self::LateClaimer,
        Self::RefuseThenSubmit,
    ];
}

/// What an adversary has in mind.
pub(super) enum Mind {
    DoubleSpender(Box<DoubleSpender>),
    ClonedPhone(ClonedPhone),
    RestoredBackup(RestoredBackup),
    Flooder(Flooder),
    CertifiedFlooder(CertifiedFlooder),
    Withholder(Withholder),
    StaleCheckpoint(StaleCheckpoint),
    LiarInSync(LiarInSync),
    SelectiveRelay(SelectiveRelay),
    SilentPayee(SilentPayee),
    Replayer(Replayer),
    TwistedPayer(TwistedPayer),
    TwoFacedBank(Box<TwoFacedBank>),
    Colluder(Colluder),
    LateClaimer(LateClaimer),
    RefuseThenSubmit(RefuseThenSubmit),
}

impl Mind {
    pub(super) fn new(kind: Kind) -> Self {
        match kind {
            Kind::DoubleSpender => Self::DoubleSpender(Box::default()),
            Kind::ClonedPhone => Self::ClonedPhone(ClonedPhone::default()),
            Kind::RestoredBackup => Self::RestoredBackup(RestoredBackup::default()),
            Kind::Flooder => Self::Flooder(Flooder),
            Kind::CertifiedFlooder => Self::CertifiedFlooder(CertifiedFlooder::default()),
            Kind::WithholdingRelay => Self::Withholder(Withholder),
            Kind::StaleCheckpoint => Self::StaleCheckpoint(StaleCheckpoint::default()),
            Kind::LiarInSync => Self::LiarInSync(LiarInSync),
            Kind::SelectiveRelay => Self::SelectiveRelay(SelectiveRelay),
            Kind::SilentPayee => Self::SilentPayee(SilentPayee),
            Kind::Replayer => Self::Replayer(Replayer::default()),
            Kind::Backdater => Self::twisted(Twist::Backdates),
            Kind::FalseTotal => Self::twisted(Twist::FalseTotal),
            Kind::NeighbourBreaker => Self::twisted(Twist::BreaksNeighbours),
            Kind::WrongKey => Self::twisted(Twist::WrongKey),
            Kind::LongBranch => Self::twisted(Twist::LongBranch),
            Kind::TwoFacedBank => Self::TwoFacedBank(Box::default()),
            Kind::RefundLaunderer => Self::Colluder(Colluder::new(true)),
            Kind::Colluder => Self::Colluder(Colluder::new(false)),
            Kind::LateClaimer => Self::LateClaimer(LateClaimer::default()),
            Kind::RefuseThenSubmit => Self::RefuseThenSubmit(RefuseThenSubmit::default()),
        }
    }

    fn twisted(twist: Twist) -> Self {
        Self::TwistedPayer(TwistedPayer::new(twist))
    }

    /// It has a moment: milliseconds until the next one, if there is to be one.
    fn moment(&mut self, world: &mut World, me: u32) -> Option<u64> {
        match self {
            Self::DoubleSpender(mind) => mind.moment(world, me),
            Self::ClonedPhone(mind) => mind.moment(world, me),
            Self::RestoredBackup(mind) => mind.moment(world, me),
            Self::Flooder(mind) => mind.moment(world, me),
            Self::CertifiedFlooder(mind) => mind.moment(world, me),
            Self::Replayer(mind) => mind.moment(world, me),
            Self::TwistedPayer(mind) => mind.moment(world, me),
            Self::TwoFacedBank(mind) => mind.moment(world, me),
            Self::Colluder(mind) => mind.moment(world, me),
            Self::RefuseThenSubmit(mind) => mind.moment(world, me),
            Self::LateClaimer(_)
            | Self::Withholder(_)
            | Self::StaleCheckpoint(_)
            | Self::LiarInSync(_)
            | Self::SelectiveRelay(_)
            | Self::SilentPayee(_) => None,
        }
    }

    /// A link is up at its end.
    fn link_up(&mut self, world: &mut World, me: u32, link: u64) {
        match self {
            Self::DoubleSpender(mind) => mind.link_up(world, me, link),
            Self::CertifiedFlooder(mind) => mind.link_up(world, me, link),
            Self::TwistedPayer(mind) => mind.link_up(world, me, link),
            Self::TwoFacedBank(mind) => mind.link_up(world, me, link),
            Self::Colluder(mind) => mind.link_up(world, me, link),
            _ => {}
        }
    }

    /// What really leaves in the place of a frame.
    fn sends(&mut self, world: &mut World, me: u32, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        match self {
            Self::Withholder(mind) => mind.sends(world, me, bytes),
            Self::StaleCheckpoint(mind) => mind.sends(world, me, bytes),
            Self::LiarInSync(mind) => mind.sends(world, me, bytes),
            Self::SelectiveRelay(mind) => mind.sends(world, bytes),
            Self::SilentPayee(mind) => mind.sends(world, bytes),
            Self::Replayer(mind) => mind.sends(bytes),
            Self::LateClaimer(mind) => mind.sends(world, me, bytes),
            _ => vec![bytes],
        }
    }

    /// What it has kept back to claim it at its bank later.
    fn kept_back(&mut self) -> Option<&mut Vec<Vec<u8>>> {
        match self {
            Self::Colluder(mind) => Some(mind.kept_back()),
            Self::LateClaimer(mind) => Some(mind.kept_back()),
            _ => None,
        }
    }

    /// Somebody shows it a request. Returns whether it deals with that itself.
    fn request(
        &mut self,
        world: &mut World,
        me: u32,
        payee: u32,
        request: &PaymentRequest,
    ) -> bool {
        match self {
            Self::DoubleSpender(mind) => mind.request(world, me, payee, request),
            Self::TwistedPayer(mind) => mind.request(world, me, payee, request),
            Self::Colluder(mind) => mind.request(world, me, payee, request),
            Self::Flooder(_) | Self::CertifiedFlooder(_) => true,
            _ => false,
        }
    }
}

impl World {
    /// Lets an adversary think, with the world at hand; `otherwise` for everybody else.
    fn think<T>(
        &mut self,
        node: u32,
        otherwise: T,
        thought: impl FnOnce(&mut Mind, &mut World) -> T,
    ) -> T {
        let stormy = self.is_stormy();
        let Some(mut mind) = self.node(node).mind.take_if(|_| stormy) else { return otherwise };
        let done = (self.counters.frames, self.counters.crashes);
        let outcome = thought(&mut mind, self);
        self.node(node).mind = Some(mind);
        if done != (self.counters.frames, self.counters.crashes) {
            self.note_act(node);
        }
        outcome
    }

    /// Some of what adversaries have kept back is handed in at their banks, which take items from
    /// anybody: when claims are nearly over, and when they are.
    pub(super) fn claim_what_was_kept_back(&mut self) {
        for node in 0..self.nodes.len() as u32 {
            let at = &mut self.nodes[node as usize];
            let kept = at.mind.as_mut().and_then(Mind::kept_back);
            let (Some(kept), Some(dice)) = (kept, self.schemes.get_mut(&node)) else { continue };
            let (items, rest) = std::mem::take(kept).into_iter().partition(|_| dice.percent(50));
            *kept = rest;
            let bank = node % u32::from(self.scenario.banks);
            self.ask_bank(bank, Input::Submit { items });
        }
    }

    pub(super) fn scheme(&mut self, node: u32) {
        let next = self.think(node, None, |mind, world| mind.moment(world, node));
        if let Some(wait_ms) = next {
            self.schedule.after(wait_ms, Event::Scheme { node });
        }
    }

    pub(super) fn scheme_on_link(&mut self, node: u32, link: u64) {
        self.think(node, (), |mind, world| mind.link_up(world, node, link));
    }

    pub(super) fn scheme_on_sending(&mut self, node: u32, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        if self.node(node).is_honest() {
            return vec![bytes];
        }
        let meant = bytes.clone();
        let sent = self.think(node, Vec::new(), |mind, world| mind.sends(world, node, bytes));
        if self.is_stormy() && sent != [meant] {
            self.note_act(node);
        }
        sent
    }

    fn note_act(&mut self, node: u32) {
        if let Some(kind) = self.node(node).scheme {
            self.coverage.note_act(kind);
        }
    }

    pub(super) fn scheme_on_request(
        &mut self,
        payer: u32,
        payee: u32,
        request: &PaymentRequest,
    ) -> bool {
        self.think(payer, false, |mind, world| mind.request(world, payer, payee, request))
    }
}
