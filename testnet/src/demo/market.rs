//! One village's market: its acts, one after the other, through the local APIs of real devices.

use super::expect::{DEADLINE, Expectations, wait_until};
use super::script::{Act, Counts, Script, Village};
use super::world::{Device, World};
use super::{CURRENCY, Progress};
use crate::answers::{Request, Row, Signed};
use crate::process::pause;
use anyhow::{Context, Result, bail};
use hundi_node::client::ClientError;
use serde_json::json;
use std::time::{Duration, Instant};

/// Acts between two looks at how far everything has spread.
const SPREAD_EVERY: usize = 10;

/// What a market came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// What was seen to happen.
    pub(super) counts: Counts,
    /// From a payment's signing to its payee's verdict at its payer.
    pub(super) answered: Vec<Duration>,
    /// From a payment's signing until every device of the village held it and all before it.
    pub(super) spread: Vec<Duration>,
    /// Whether something came out otherwise than the script says.
    pub(super) expectations: Expectations,
}

/// Who is at a market.
pub(super) struct Market<'a> {
    pub(super) world: &'a World,
    pub(super) script: &'a Script,
    pub(super) village: &'a Village,
    /// Numbers of all devices here, strangers included.
    pub(super) present: &'a [usize],
    /// Entries that everybody holds before it begins.
    pub(super) before: u64,
}

impl Market<'_> {
    /// Carries out every act.
    pub(super) fn run(&self, progress: &Progress) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut ids: Vec<Option<String>> = Vec::new();
        let mut planned = Counts::default();
        for (at, act) in self.village.acts.iter().enumerate() {
            let begun = Instant::now();
            ids.push(self.act(act, &ids, &mut outcome)?);
            planned.add(act);
            if (at + 1) % SPREAD_EVERY == 0 && matches!(act, Act::Pay { .. }) {
                self.converge(self.before + planned.entries())?;
                outcome.spread.push(begun.elapsed());
            }
        }
        let name = format!("{}: the market goes as the script says", self.village.name);
        outcome.expectations.equal(&name, &planned, &outcome.counts);
        let Counts { made, refused, refunded, .. } = outcome.counts;
        progress.say(&format!(
            "{}: {made} payments, {refused} of them refused, {refunded} refunds",
            self.village.name
        ));
        Ok(outcome)
    }

    fn act(
        &self,
        act: &Act,
        ids: &[Option<String>],
        outcome: &mut Outcome,
    ) -> Result<Option<String>> {
        match *act {
            Act::Pay { payer, payee, amount_minor } => {
                let request = self.ask(payee, amount_minor)?;
                self.pay(payer, &request, outcome).map(Some)
            }
            Act::PayTwice { first, second, payee, amount_minor } => {
                let request = self.ask(payee, amount_minor)?;
                let id = self.pay(first, &request, outcome)?;
                self.pay(second, &request, outcome)?;
                Ok(Some(id))
            }
            Act::Refund { of, amount_minor } => {
                let payment = ids.get(of).and_then(Option::as_ref);
                let payment = payment.context("the script returns what was never paid")?;
                let (_, payee) = super::script::parties(&self.village.acts, of)
                    .context("the script returns what was never paid")?;
                let device = self.device(payee);
                let body = json!({ "payment": payment, "amount_minor": amount_minor });
                let signed: Signed = device.client()?.post("/v1/refunds", &body)?;
                if answer(device, &signed.id)?.state == "received" {
                    outcome.counts.refunded += 1;
                }
                Ok(Some(signed.id))
            }
            Act::HoldBack { payer, payee, amount_minor } => {
                let request = self.ask(payee, amount_minor)?;
                let body = json!({ "uri": request.uri });
                match self.device(payer).client()?.post::<Signed>("/v1/payments", &body) {
                    Err(ClientError::Refused { .. }) => outcome.counts.held_back += 1,
                    Err(error) => return Err(error.into()),
                    Ok(_) => outcome.counts.made += 1,
                }
                Ok(None)
            }
        }
    }

    fn device(&self, person: usize) -> &Device {
        &self.world.devices[person]
    }

    fn ask(&self, payee: usize, amount_minor: u64) -> Result<Request> {
        request(self.device(payee), amount_minor, "market")
    }

    fn pay(&self, payer: usize, request: &Request, outcome: &mut Outcome) -> Result<String> {
        let begun = Instant::now();
        let row = pay(self.device(payer), request)?;
        outcome.counts.made += 1;
        match row.state.as_str() {
            "received" => outcome.counts.accepted += 1,
            "refused" => outcome.counts.refused += 1,
            _ => {}
        }
        outcome.answered.push(begun.elapsed());
        Ok(row.id)
    }

    /// Waits until everybody here holds that many entries and the same digest.
    pub(super) fn converge(&self, entries: u64) -> Result<Duration> {
        let (took, seen) = wait_until(
            || cores(self.world, self.present),
            |seen| seen.iter().all(|(digest, held)| *held == entries && *digest == seen[0].0),
        )?;
        let name = self.village.name;
        took.with_context(|| {
            let held: Vec<u64> = seen.iter().map(|(_, held)| *held).collect();
            format!("{name} does not come to {entries} entries and one digest: {held:?} entries")
        })
    }

    /// A cheat's payment to whom the script says.
    pub(super) fn cheat(&self, cheat: usize, amount_minor: u64) -> Result<Row> {
        let person = self.village.cheated;
        let request = request(self.device(person), amount_minor, "two goats")?;
        pay(self.device(cheat), &request)
    }

    /// The name of whom the cheat pays here.
    pub(super) fn cheated(&self) -> &str {
        &self.script.people[self.village.cheated].name
    }
}

/// Asks for money.
pub(super) fn request(payee: &Device, amount_minor: u64, memo: &str) -> Result<Request> {
    let body = json!({
        "amount_minor": amount_minor, "currency": CURRENCY, "memo": memo, "expires_s": 3600,
    });
    Ok(payee.client()?.post("/v1/requests", &body)?)
}

/// Pays, and waits for the payee's verdict.
pub(super) fn pay(payer: &Device, request: &Request) -> Result<Row> {
    let body = json!({ "uri": request.uri });
    let signed: Signed = payer.client()?.post("/v1/payments", &body)?;
    answer(payer, &signed.id)
}

/// Waits until the other party has given its verdict on what a device has signed.
fn answer(device: &Device, id: &str) -> Result<Row> {
    let begun = Instant::now();
    loop {
        let row: Row = device.client()?.get(&format!("/v1/payments/{id}"))?;
        if !matches!(row.state.as_str(), "signed" | "delivered") {
            return Ok(row);
        }
        if begun.elapsed() > DEADLINE {
            bail!("{}'s payment {id} is still {}", device.name, row.state);
        }
        pause()?;
    }
}

/// Digest and number of entries of some devices.
pub(super) fn cores(world: &World, devices: &[usize]) -> Result<Vec<(String, u64)>> {
    let core = |device: &usize| {
        let status = world.devices[*device].status()?;
        Ok((status.digest, status.entries))
    };
    devices.iter().map(core).collect()
}
