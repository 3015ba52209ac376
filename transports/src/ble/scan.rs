//! When to listen: the duty cycle of the mesh, and the search for a payee, within what a system
//! allows.
//!
//! Android starts no scan for an app that has started five within 30 seconds, and says nothing: the
//! app hears nothing for up to half a minute. So starts are counted, and one of them is kept for
//! a payment.

use std::collections::VecDeque;

/// How often and how long a node listens; times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanConfig {
    /// How long the mesh listens at a time.
    pub listen_ms: u64,
    /// How long it rests in between. Listening costs a phone some 15 mA more than resting: 4 s of
    /// 24 are about 2.5 mA, a percent of a battery in an hour and a half.
    pub rest_ms: u64,
    /// Starts that a system allows within [`ScanConfig::window_ms`].
    pub starts_max: usize,
    /// The time over which a system counts starts.
    pub window_ms: u64,
    /// After how long a search begins again, where a report may be lost for good (BlueZ tells of a
    /// device once). None leaves it running.
    pub restart_ms: Option<u64>,
}

impl Default for ScanConfig {
    /// What Android allows.
    fn default() -> Self {
        ScanConfig {
            listen_ms: 4_000,
            rest_ms: 20_000,
            starts_max: 5,
            window_ms: 30_000,
            restart_ms: None,
        }
    }
}

impl ScanConfig {
    /// On Linux nobody counts starts, and the first report may be lost.
    pub fn bluez() -> Self {
        ScanConfig { starts_max: 60, restart_ms: Some(1_500), ..ScanConfig::default() }
    }
}

/// What a node listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Nothing: the adapter is off, or all connections are taken.
    Nothing,
    /// Nodes of the mesh.
    Mesh,
    /// A payee somebody waits for: without a pause, at the highest rate.
    Payee,
}

/// What the radio is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Start to listen; `fast` with the whole of the radio's time.
    Start {
        /// Whether somebody waits.
        fast: bool,
    },
    /// Stop.
    Stop,
}

/// The state of listening.
#[derive(Clone, Debug)]
pub struct ScanPlan {
    config: ScanConfig,
    /// What the running scan is for, and since when it runs.
    running: Option<(Want, u64)>,
    /// Since when nobody listens, if anybody ever did.
    rests_since_ms: Option<u64>,
    starts: VecDeque<u64>,
}

impl ScanPlan {
    /// Nobody listens yet; the first scan may start at once.
    pub fn new(config: ScanConfig) -> Self {
        let starts = VecDeque::with_capacity(config.starts_max);
        ScanPlan { config, running: None, rests_since_ms: None, starts }
    }

    /// What to tell the radio now: nothing, one step, or a stop and a start.
    pub fn steps(&mut self, now_ms: u64, want: Want) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some((running, since_ms)) = self.running {
            let over = match (running, want) {
                (_, Want::Nothing) => true,
                (Want::Payee, Want::Payee) => {
                    let again = self.config.restart_ms.is_some_and(|ms| now_ms >= since_ms + ms);
                    again && self.may_start(now_ms, want)
                }
                (Want::Mesh, Want::Payee) => self.may_start(now_ms, want),
                (Want::Payee, Want::Mesh) => true,
                _ => now_ms >= since_ms + self.config.listen_ms,
            };
            if !over {
                return steps;
            }
            steps.push(Step::Stop);
            (self.running, self.rests_since_ms) = (None, Some(now_ms));
        }
        let due = match want {
            Want::Nothing => false,
            Want::Mesh => now_ms >= self.rested_ms(),
            Want::Payee => true,
        };
        if due && self.may_start(now_ms, want) {
            self.starts.push_back(now_ms);
            self.running = Some((want, now_ms));
            steps.push(Step::Start { fast: want == Want::Payee });
        }
        steps
    }

    /// When the mesh listens again.
    fn rested_ms(&self) -> u64 {
        self.rests_since_ms.map_or(0, |since| since + self.config.rest_ms)
    }

    /// Whether the system lets a scan start, one start being kept for a payment.
    fn may_start(&mut self, now_ms: u64, want: Want) -> bool {
        while self.starts.front().is_some_and(|start| start + self.config.window_ms <= now_ms) {
            self.starts.pop_front();
        }
        let kept = usize::from(want != Want::Payee);
        self.starts.len() + kept < self.config.starts_max.max(2)
    }

    /// The radio has lost its scan: the adapter went away, or says so.
    pub fn lost(&mut self) {
        self.running = None;
    }

    /// When the next step may be due for this want.
    pub fn deadline(&self, want: Want) -> Option<u64> {
        let start_free = || {
            let kept = usize::from(want != Want::Payee);
            let last = self.starts.len().checked_sub(self.config.starts_max.max(2) - kept)?;
            self.starts.get(last).map(|start| start + self.config.window_ms)
        };
        match (self.running, want) {
            (None, Want::Nothing) => None,
            (Some((_, since_ms)), Want::Nothing) => Some(since_ms),
            (Some((Want::Payee, since_ms)), Want::Payee) => {
                let again = since_ms + self.config.restart_ms?;
                Some(start_free().map_or(again, |free| free.max(again)))
            }
            (Some((_, since_ms)), Want::Payee) => Some(start_free().unwrap_or(since_ms)),
            (Some((_, since_ms)), Want::Mesh) => Some(since_ms + self.config.listen_ms),
            (None, Want::Payee) => Some(start_free().unwrap_or(0)),
            (None, Want::Mesh) => {
                let rested = self.rested_ms();
                Some(start_free().map_or(rested, |free| free.max(rested)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_mesh_listens_a_sixth_of_the_time() {
        let mut plan = ScanPlan::new(ScanConfig::default());
        let (mut listening_since, mut listened, mut starts) = (None, 0, 0);
        for now_ms in (0..240_000).step_by(100) {
            for step in plan.steps(now_ms, Want::Mesh) {
                match step {
                    Step::Start { fast } => {
                        assert!(!fast);
                        starts += 1;
                        listening_since = Some(now_ms);
                    }
                    Step::Stop => listened += now_ms - listening_since.take().unwrap(),
                }
            }
        }
        assert_eq!((starts, listened), (10, 40_000));
    }

    #[test]
    fn a_payment_interrupts_the_mesh_and_never_pauses() {
        let mut plan = ScanPlan::new(ScanConfig::bluez());
        assert_eq!(plan.steps(0, Want::Mesh), [Step::Start { fast: false }]);
        assert_eq!(plan.steps(100, Want::Payee), [Step::Stop, Step::Start { fast: true }]);
        assert_eq!(plan.steps(200, Want::Payee), []);
        assert_eq!(plan.deadline(Want::Payee), Some(1_600));
        assert_eq!(plan.steps(1_600, Want::Payee), [Step::Stop, Step::Start { fast: true }]);
        assert_eq!(plan.steps(1_700, Want::Mesh), [Step::Stop]);
        assert_eq!(plan.steps(1_700, Want::Nothing), []);
        assert_eq!(plan.deadline(Want::Nothing), None);
    }

    proptest! {
        #[test]
        fn never_more_starts_than_the_system_allows_and_one_is_kept(
            wants in proptest::collection::vec((0_u8..3, 0_u64..3_000), 1..300),
            restart in any::<bool>(),
        ) {
            let restart_ms = restart.then_some(1_500);
            let config = ScanConfig { restart_ms, listen_ms: 500, rest_ms: 500, ..ScanConfig::default() };
            let mut plan = ScanPlan::new(config);
            let (mut now_ms, mut starts): (u64, Vec<u64>) = (0, Vec::new());
            for (want, wait_ms) in wants {
                now_ms += wait_ms;
                let want = [Want::Nothing, Want::Mesh, Want::Payee][usize::from(want)];
                for step in plan.steps(now_ms, want) {
                    if let Step::Start { fast } = step {
                        starts.push(now_ms);
                        let lately = starts.iter().filter(|start| **start + 30_000 > now_ms).count();
                        let allowed = if fast { 5 } else { 4 };
                        prop_assert!(lately <= allowed);
                    }
                }
                if let Some(deadline) = plan.deadline(want).filter(|due| *due > now_ms) {
                    // Before its deadline the plan has nothing to say.
                    prop_assert_eq!(plan.clone().steps(deadline - 1, want), []);
                }
                prop_assert_eq!(plan.steps(now_ms, want), []);
            }
        }

        #[test]
        fn what_is_due_at_the_deadline_happens(
            wants in proptest::collection::vec(1_u8..3, 1..60),
        ) {
            let mut plan = ScanPlan::new(ScanConfig { restart_ms: Some(1_500), ..ScanConfig::default() });
            let mut now_ms = 0;
            for want in wants {
                let want = [Want::Nothing, Want::Mesh, Want::Payee][usize::from(want)];
                plan.steps(now_ms, want);
                let due = plan.deadline(want).unwrap();
                prop_assert!(due > now_ms, "{due} at {now_ms}");
                now_ms = due;
                prop_assert!(!plan.steps(now_ms, want).is_empty());
            }
        }
    }
}
