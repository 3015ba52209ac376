//! The demo's course: enrol, part, market and double spend, courier between the villages, bank,
//! outcomes back. Each step waits for what it must lead to before the next one begins.

use super::Progress;
use super::expect::Expectations;
use super::market::{self, Market, Outcome, cores};
use super::report::{Facts, NodeLine};
use super::script::{
    BELOW_MINOR, CHEAT_LIMIT_MINOR, Counts, FIRST_BRANCH_MINOR, SECOND_BRANCH_MINOR, Script,
};
use super::world::{Place, World};
use crate::answers::{Case, Imported, Row};
use anyhow::{Context, Result};
use hundi_ledger::id::NetworkId;
use hundi_ledger::record::item::Item;
use hundi_node::client::Client;
use hundi_node::container;
use std::collections::BTreeSet;
use std::time::Instant;

const TOWN: Place = Place::At("the bank's town");
const ROAD: Place = Place::At("the road");

/// The names of all devices in order: the script's people, then the cheat. Its clone comes later.
pub(super) fn names(script: &Script) -> Vec<String> {
    let people = script.people.iter().map(|person| person.name.clone());
    people.chain(["Mallory (cheat)".to_owned()]).collect()
}

/// What the steps share.
pub(super) struct Run<'a> {
    pub(super) world: &'a mut World,
    pub(super) script: &'a Script,
    pub(super) facts: &'a mut Facts,
    pub(super) expect: &'a mut Expectations,
    progress: &'a Progress,
    /// Accounts of all people and of the cheat.
    pub(super) accounts: Vec<String>,
    cheat: usize,
    clone: usize,
}

/// Runs everything.
pub(super) fn run(
    world: &mut World,
    script: &Script,
    facts: &mut Facts,
    expect: &mut Expectations,
    progress: &Progress,
) -> Result<()> {
    let cheat = script.people.len();
    let accounts = Vec::new();
    let mut run = Run { world, script, facts, expect, progress, accounts, cheat, clone: cheat };
    run.enrol()?;
    run.part()?;
    run.market()?;
    run.courier()?;
    run.bank()?;
    run.outcomes()?;
    run.end()
}

impl Run<'_> {
    fn say(&self, line: &str) {
        self.progress.say(line);
    }

    pub(super) fn honest(&self) -> Vec<usize> {
        (0..self.script.people.len()).collect()
    }

    fn place_of(&self, village: usize) -> Place {
        Place::At(self.script.villages[village].name)
    }

    /// The honest people of a village and the courier, if told.
    fn people_of(&self, village: usize, courier: bool) -> Vec<usize> {
        let courier = courier.then_some(self.script.courier());
        self.script.villages[village].members.iter().copied().chain(courier).collect()
    }

    fn cheat_author(&self) -> String {
        self.world.devices[self.cheat].identity.author.clone()
    }

    fn enrol(&mut self) -> Result<()> {
        self.say("everybody reaches the bank: accounts, money, grants");
        let everybody: Vec<usize> = (0..self.world.devices.len()).collect();
        let moves: Vec<_> = everybody.iter().map(|device| (*device, TOWN)).collect();
        self.world.place(&moves, Some(TOWN))?;
        let people = self.script.people.iter();
        let mut sums: Vec<(u64, u64)> =
            people.map(|person| (person.fund_minor, person.limit_minor)).collect();
        sums.push((CHEAT_LIMIT_MINOR, CHEAT_LIMIT_MINOR));
        for (device, (fund_minor, limit_minor)) in everybody.iter().zip(&sums) {
            let device = &self.world.devices[*device];
            self.accounts.push(self.world.gateway.enrol(device, *fund_minor, *limit_minor)?);
        }
        let limits: Vec<u64> = sums.iter().map(|(_, limit)| *limit).collect();
        let world = &*self.world;
        self.expect.wait("every device holds its grant", &limits, || {
            world.devices.iter().map(|device| Ok(device.balance()?.granted_minor)).collect()
        })?;
        self.expect.wait("everybody knows all grants: one digest", &1, || {
            let bank = world.gateway.status()?.digest;
            let digests = cores(world, &everybody)?.into_iter().map(|(digest, _)| digest);
            Ok(digests.chain([bank]).collect::<BTreeSet<_>>().len())
        })?;
        Ok(())
    }

    /// The bank goes out of reach; the cheat pays once honestly; its disk is copied; the villages
    /// part.
    fn part(&mut self) -> Result<()> {
        let moves: Vec<_> = (0..self.world.devices.len()).map(|device| (device, ROAD)).collect();
        self.world.place(&moves, Some(Place::Nowhere))?;
        let (payee, payer) = (&self.world.devices[self.script.below], self.cheat);
        let request = market::request(payee, BELOW_MINOR, "a fair price")?;
        let row = market::pay(&self.world.devices[payer], &request)?;
        let received = "received".to_owned();
        self.expect.equal("the cheat's honest payment is accepted", &received, &row.state);
        let world = &*self.world;
        let everybody: Vec<usize> = (0..world.devices.len()).collect();
        let ones = vec![1; everybody.len()];
        self.expect.wait("everybody holds it before the villages part", &ones, || {
            Ok(cores(world, &everybody)?.into_iter().map(|(_, entries)| entries).collect())
        })?;
        self.say("Mallory's device is copied, keys and all; the villages part");
        self.world.turn_off(self.cheat)?;
        self.clone = self.world.clone_device(self.cheat, "Clone of Mallory")?;
        self.world.turn_on(self.cheat)?;
        let [one, two] = [self.place_of(0), self.place_of(1)];
        let mut moves: Vec<_> =
            self.people_of(0, true).into_iter().map(|person| (person, one)).collect();
        moves.extend(self.people_of(1, false).into_iter().map(|person| (person, two)));
        moves.extend([(self.cheat, one), (self.clone, two)]);
        self.world.place(&moves, None)?;
        let neighbours: Vec<u64> = moves
            .iter()
            .map(|(_, place)| moves.iter().filter(|(_, other)| other == place).count() as u64 - 1)
            .collect();
        let world = &*self.world;
        self.expect.wait(
            "everybody has a link to everybody in its village",
            &neighbours,
            || moves.iter().map(|(device, _)| Ok(world.devices[*device].status()?.links)).collect(),
        )?;
        self.expect.equal("the bank has no link", &0, &self.world.gateway.status()?.links);
        Ok(())
    }

    /// Both markets at once, then the double spend: one sequence number, two payees.
    fn market(&mut self) -> Result<()> {
        self.say("market morning in both villages");
        let present = [
            [self.people_of(0, true), vec![self.cheat]].concat(),
            [self.people_of(1, false), vec![self.clone]].concat(),
        ];
        let (world, script, progress) = (&*self.world, self.script, self.progress);
        let markets = [0, 1].map(|at| Market {
            world,
            script,
            village: &script.villages[at],
            present: &present[at],
            before: 1,
        });
        let [one, two] = std::thread::scope(|scope| {
            let ran = markets.each_ref().map(|market| scope.spawn(|| market.run(progress)));
            ran.map(|market| {
                let broken = |_| Err(anyhow::anyhow!("a market broke down"));
                market.join().unwrap_or_else(broken)
            })
        });
        for outcome in [one?, two?] {
            note_market(self.facts, self.expect, outcome);
        }
        self.say("Mallory and the clone pay in both villages, with one sequence number");
        let first = markets[0].cheat(self.cheat, FIRST_BRANCH_MINOR)?;
        let second = markets[1].cheat(self.clone, SECOND_BRANCH_MINOR)?;
        self.facts.equivocations.attempted = 1;
        let accepted = ["received"; 2].map(str::to_owned);
        let name = "both payees accept the double spend: neither can know";
        self.expect.equal(name, &accepted, &[first.state.clone(), second.state.clone()]);
        let one_place = (first.sequence, true);
        let seen = (second.sequence, first.id != second.id);
        self.expect.equal("it is one sequence number and two entries", &one_place, &seen);
        // The cheat's payments count like any other: the honest one and both branches.
        let received = [&first, &second].iter().filter(|row| row.state == "received").count();
        self.facts.payments.made += 3;
        self.facts.payments.accepted += 1 + received as u64;
        for (at, market) in markets.iter().enumerate() {
            let entries = 2 + script.villages[at].counts().entries();
            market.converge(entries)?;
            let name = format!("{}: one digest, and entries as counted", market.village.name);
            let seen = cores(world, &present[at])?.into_iter().map(|(_, entries)| entries).max();
            self.expect.equal(&name, &Some(entries), &seen);
            let name = format!("{}: everybody holds every payee's answer", market.village.name);
            self.expect.wait(&name, &vec![entries; present[at].len()], || {
                present[at]
                    .iter()
                    .map(|device| Ok(world.devices[*device].status()?.cached))
                    .collect()
            })?;
            self.say(&format!(
                "{}: all {} devices hold {entries} entries and one digest; {} trusts Mallory",
                market.village.name,
                present[at].len(),
                market.cheated()
            ));
        }
        Ok(())
    }

    /// The courier carries everything from the first village to the second and back.
    fn courier(&mut self) -> Result<()> {
        let total = self.script.counts().entries();
        for (village, from) in [(1, 0), (0, 1)] {
            let names = [village, from].map(|at| self.script.villages[at].name);
            self.say(&format!("the courier walks from {} to {}", names[1], names[0]));
            let begun = Instant::now();
            let (courier, place) = (self.script.courier(), self.place_of(village));
            self.world.place(&[(courier, place)], None)?;
            let author = self.cheat_author();
            let people = self.people_of(village, true);
            let world = &*self.world;
            let everybody = people.len();
            let name = format!("{}: everybody holds the proof against Mallory", names[0]);
            self.expect.wait(&name, &everybody, || {
                let holds = |person: &&usize| {
                    let status = world.devices[**person].status();
                    status.map(|status| status.proofs.contains(&author))
                };
                let all = people.iter().map(|person| holds(&person)).collect::<Result<Vec<_>>>()?;
                Ok(all.into_iter().filter(|holds| *holds).count())
            })?;
            self.facts.proof_spread.push(begun.elapsed());
            self.facts.equivocations.proven = 1;
            // The cheat's three entries are evidence now, not core; every answer is carried.
            let name = format!("{}: the entries and answers of both villages", names[0]);
            self.expect.wait(&name, &vec![(total, total + 3 + 3); everybody], || {
                let held = |person: &usize| {
                    let status = world.devices[*person].status()?;
                    Ok((status.entries, status.cached))
                };
                people.iter().map(held).collect()
            })?;
            let cheat = if village == 0 { self.cheat } else { self.clone };
            let who = &self.world.devices[cheat].name;
            let name = format!("{who} has met its other self and signs no more");
            self.expect.wait(&name, &true, || Ok(world.devices[cheat].status()?.stopped))?;
        }
        let honest = self.honest();
        let world = &*self.world;
        let name = "before the bank is reached: one digest at all honest nodes";
        self.expect.wait(name, &1, || {
            let digests = cores(world, &honest)?.into_iter().map(|(digest, _)| digest);
            Ok(digests.collect::<BTreeSet<_>>().len())
        })?;
        let before = cores(world, &honest)?;
        let bank = world.gateway.status()?;
        self.expect.equal("the bank has heard nothing yet", &(0, 0), &(bank.entries, bank.links));
        let agreed = before.iter().all(|(digest, held)| *digest == before[0].0 && *held == total);
        self.expect.equal("and the entries counted from the script", &true, &agreed);
        self.facts.converged_before_gateway = agreed;
        self.facts.lines = honest
            .iter()
            .zip(before)
            .map(|(person, (digest, entries))| NodeLine {
                name: world.devices[*person].name.clone(),
                before: Some((digest, entries)),
                end: None,
            })
            .collect();
        Ok(())
    }

    /// The courier reaches the gateway: everything is decided there.
    fn bank(&mut self) -> Result<()> {
        self.say("the courier walks to the bank");
        let begun = Instant::now();
        self.world.place(&[(self.script.courier(), TOWN)], Some(TOWN))?;
        let Counts { accepted, refused, refunded, .. } = self.script.counts();
        // The cheat's honest payment, and the branch that the bank made durable first.
        let expected = (accepted + refunded + 2, refused, 1);
        let gateway = &self.world.gateway;
        let name = "the bank has decided: settled, refused, contested";
        self.expect.wait(name, &expected, || {
            let intake = gateway.intake()?;
            Ok((intake.settled, intake.rejected + intake.returned, intake.contested))
        })?;
        self.facts.bank = Some(begun.elapsed());
        let intake = gateway.intake()?;
        self.facts.payments.settled = intake.settled - refunded;
        self.facts.payments.contested = intake.contested;
        let (courier, author) = (&self.world.devices[self.script.courier()], self.cheat_author());
        let network = gateway.status()?.network.parse()?;
        self.expect.wait("the courier has the bank's word on everything", &true, || {
            // Asked first: what it has told by then is among its records.
            let told = gateway.intake()?.checkpoint_due.is_none();
            let signed = checkpoints(gateway.client(), "/v1/records", &network)?;
            let held = checkpoints(courier.client()?, "/v1/export", &network)?;
            let (bank, own) = (gateway.status()?, courier.status()?);
            let same = bank.digest == own.digest && signed.is_subset(&held);
            Ok(told && same && own.entries == 0 && bank.proofs.contains(&author))
        })?;
        let case: Case = gateway.client().get(&format!("/v1/cases/{author}"))?;
        self.loss_rule(&case)
    }

    /// The courier carries the outcomes to both villages; one villager gets them as a file.
    fn outcomes(&mut self) -> Result<()> {
        let offline = self.script.villages[1].members.last().copied();
        let offline = offline.context("a village without people")?;
        self.world.place(&[(offline, Place::Nowhere)], Some(Place::Nowhere))?;
        for village in [0, 1] {
            let name = self.script.villages[village].name;
            self.say(&format!("the courier walks to {name} with the outcomes"));
            let (courier, place) = (self.script.courier(), self.place_of(village));
            self.world.place(&[(courier, place)], None)?;
            let mut people = self.people_of(village, true);
            people.retain(|person| *person != offline);
            let world = &*self.world;
            let known = format!("{name}: everybody knows what became of its payments");
            self.expect.wait(&known, &0, || open_rows(world, &people))?;
            let quiet = format!("{name}: one digest, nothing left to carry");
            self.expect.wait(&quiet, &(1, 0), || {
                let cores = cores(world, &people)?;
                let digests: BTreeSet<_> = cores.iter().map(|(digest, _)| digest).collect();
                Ok((digests.len(), cores.iter().map(|(_, entries)| entries).sum::<u64>()))
            })?;
        }
        let neighbour = self.script.villages[1].members.first().copied().unwrap_or(offline);
        let [from, to] = [neighbour, offline].map(|person| &self.world.devices[person]);
        self.say(&format!("{} is out of radio and gets a file from {}", to.name, from.name));
        let file = from.client()?.read("/v1/export")?;
        let imported: Imported = to.client()?.write("/v1/import", &file)?;
        let took = (true, 0);
        let name = "sneakernet: the file brings what is new, and all of it fits";
        self.expect.equal(name, &took, &(imported.new > 0, imported.refused));
        let world = &*self.world;
        let pair = [neighbour, offline];
        self.expect.wait("sneakernet: one digest without a link", &(1, 0, 0), || {
            let digests: BTreeSet<_> = cores(world, &pair)?.into_iter().collect();
            let links = world.devices[offline].status()?.links;
            Ok((digests.len(), open_rows(world, &[offline])?, links))
        })?;
        Ok(())
    }

    /// The roads are open again: everybody agrees with everybody, and the books with the script.
    fn end(&mut self) -> Result<()> {
        self.say("the roads are open: everybody reaches everybody, and the bank is audited");
        let honest = self.honest();
        let mut moves: Vec<_> = honest.iter().map(|person| (*person, TOWN)).collect();
        moves.extend([(self.cheat, Place::Nowhere), (self.clone, Place::Nowhere)]);
        self.world.place(&moves, Some(TOWN))?;
        let world = &*self.world;
        let author = self.cheat_author();
        let mut last = Vec::new();
        let name = "in the end: one digest at all honest nodes and the gateway, no entry left";
        let agreed = self.expect.wait(name, &(1, 0), || {
            let bank = world.gateway.status()?;
            last = cores(world, &honest)?;
            last.push((bank.digest, bank.entries));
            let digests: BTreeSet<_> = last.iter().map(|(digest, _)| digest).collect();
            Ok((digests.len(), last.iter().map(|(_, entries)| entries).sum::<u64>()))
        });
        self.facts.converged = agreed.is_ok();
        self.facts.lines.push(NodeLine { name: "the gateway".to_owned(), before: None, end: None });
        for (line, core) in self.facts.lines.iter_mut().zip(last) {
            line.end = Some(core);
        }
        agreed?;
        let statuses = honest.iter().map(|person| world.devices[*person].status());
        let statuses: Vec<_> = statuses.chain([world.gateway.status()]).collect::<Result<_>>()?;
        let holders = statuses.iter().filter(|status| status.proofs.contains(&author)).count();
        self.facts.equivocations.nodes_with_proof = holders;
        let name = "the proof is held by all honest nodes and the gateway";
        self.expect.equal(name, &(honest.len() + 1), &holders);
        let others: usize = statuses.iter().map(|status| status.proofs.len()).sum();
        self.expect.equal("nobody else is accused", &holders, &others);
        let stopped = statuses.iter().filter(|status| status.stopped).count();
        self.expect.equal("no honest device has stopped", &0, &stopped);
        self.histories()?;
        self.books()
    }
}

fn note_market(facts: &mut Facts, expect: &mut Expectations, outcome: Outcome) {
    let Counts { made, accepted, refused, refunded, held_back } = outcome.counts;
    facts.payments.made += made;
    facts.payments.accepted += accepted;
    facts.payments.refused += refused;
    facts.payments.refunded += refunded;
    facts.payments.held_back += held_back;
    facts.answered.extend(outcome.answered);
    facts.spread.extend(outcome.spread);
    expect.extend(outcome.expectations);
}

/// The checkpoints in a file of items that a program gives.
fn checkpoints(client: &Client, path: &str, network: &NetworkId) -> Result<BTreeSet<Vec<u8>>> {
    let file = container::decode(&client.read(path)?)?;
    let is_one = |item: &Vec<u8>| matches!(Item::decode(network, item), Ok(Item::Checkpoint(_)));
    Ok(file.items.into_iter().filter(is_one).collect())
}

/// Rows that are neither settled nor refused nor contested.
fn open_rows(world: &World, people: &[usize]) -> Result<usize> {
    let mut open = 0;
    for person in people {
        let rows = world.devices[*person].history()?.payments;
        let waits = |row: &&Row| matches!(row.state.as_str(), "signed" | "delivered" | "received");
        open += rows.iter().filter(waits).count();
    }
    Ok(open)
}
