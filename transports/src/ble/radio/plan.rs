//! What a radio advertises, listens for and connects to, as of now.

use crate::ble::advertisement::Advertisement;
use crate::ble::radio::{Output, Radio, Role};
use crate::ble::scan::{Step, Want};

impl Radio {
    pub(super) fn plan(&mut self, now_ms: u64, outputs: &mut Vec<Output>) {
        if self.search.as_ref().is_some_and(|search| now_ms >= search.until_ms) {
            self.search = None;
            outputs.push(Output::NoAnswer);
        }
        self.expecting_until_ms.take_if(|until_ms| now_ms >= *until_ms);
        if !self.powered {
            return;
        }
        if now_ms >= self.rotate_at_ms {
            let [a, b, c, d, ..] = self.entropy.next();
            (self.id, self.new_address) = ([a, b, c, d], true);
            self.rotate_at_ms = now_ms + self.rotation_ms();
        }
        self.plan_advertising(now_ms, outputs);
        for step in self.scan.steps(now_ms, self.want()) {
            outputs.push(match step {
                Step::Start { fast } => Output::Scan { fast },
                Step::Stop => Output::StopScan,
            });
        }
        self.plan_connecting(now_ms, outputs);
    }

    /// Between two thirds and four thirds of what is configured: a device is not known by its
    /// rhythm.
    pub(super) fn rotation_ms(&mut self) -> u64 {
        self.config.rotate_ms * 2 / 3 + self.entropy.below(self.config.rotate_ms * 2 / 3 + 1)
    }

    pub(super) fn advertisement(&self) -> Advertisement {
        match &self.invited {
            Some((session, _)) => Advertisement::Payee(session.uuid),
            None if self.config.service_data => Advertisement::Mesh(self.own_beacon()),
            None => Advertisement::Bare,
        }
    }

    fn plan_advertising(&mut self, now_ms: u64, outputs: &mut Vec<Output>) {
        let kept = usize::from(self.invited.is_none());
        let full = self.occupied() + kept >= self.config.connections_max;
        // Who would connect would be turned away.
        if full || self.is_in_the_way(Role::Peripheral, false) {
            if self.advertised.take().is_some() {
                outputs.push(Output::StopAdvertising);
            }
            return;
        }
        let wanted = self.advertisement();
        // A session and a beacon under one address would tie the two together.
        let is_session = |shown| matches!(shown, Advertisement::Payee(_));
        let ties = |shown| shown != wanted && (is_session(shown) || is_session(wanted));
        self.new_address |= self.shown.is_some_and(ties);
        match self.advertised {
            Some((shown, _)) if shown == wanted && !self.new_address => return,
            Some((Advertisement::Mesh(_), since_ms))
                if !self.new_address && now_ms < since_ms + self.config.advertise_ms =>
            {
                return;
            }
            _ => {}
        }
        let new_address = core::mem::take(&mut self.new_address);
        (self.advertised, self.shown) = (Some((wanted, now_ms)), Some(wanted));
        let fast = self.invited.is_some();
        outputs.push(Output::Advertise { bytes: wanted.encode(), new_address, fast });
    }

    pub(super) fn want(&self) -> Want {
        let free = self.config.connections_max.saturating_sub(self.occupied());
        match &self.search {
            Some(_) if self.pays_now() || free == 0 => Want::Nothing,
            Some(_) => Want::Payee,
            None if free <= 1 || self.expecting_until_ms.is_some() => Want::Nothing,
            None => Want::Mesh,
        }
    }

    /// Whether the payee was found, and a link with it is there or being made.
    fn pays_now(&self) -> bool {
        self.connecting.is_some_and(|(_, pays)| pays)
            || self.connections.values().any(|connection| connection.pays && !connection.gone)
    }

    fn plan_connecting(&mut self, now_ms: u64, outputs: &mut Vec<Output>) {
        self.choose_at_ms = None;
        // A controller makes one connection at a time.
        if self.connecting.is_some() || self.want() == Want::Nothing {
            return;
        }
        if let Some(search) = &mut self.search {
            if let Some(address) = search.found(now_ms) {
                let psm = search.session.psm;
                // Once it has answered it is a node of the mesh again, and no second connection is made.
                self.contacts.connected(now_ms, address);
                self.connecting = Some((address, true));
                outputs.push(Output::Connect { address, psm });
            }
            return;
        }
        let (chosen, next) = self.contacts.choose(now_ms, &self.own());
        self.choose_at_ms = next;
        if let Some(address) = chosen {
            self.contacts.connected(now_ms, address);
            self.connecting = Some((address, false));
            outputs.push(Output::Connect { address, psm: None });
        }
    }
}
