//! Devices killed with SIGKILL at random instants while everybody pays everybody. After each
//! restart the store opens and everything that the local API acknowledged is in the history; in the
//! end every payment is settled once, and no honest device has contradicted itself.

use hundi_node::client::{Client, ClientError};
use hundi_testnet::answers::{Audit, Request, Row, Signed};
use hundi_testnet::demo::expect::wait_until;
use hundi_testnet::demo::world::{Place, World};
use hundi_testnet::paths::Binaries;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const DEVICES: usize = 4;
/// Kills at least; more, up to the second number, until one has fallen between the moment when a
/// payment was durable and its acknowledgement.
const KILLS: u64 = 24;
const KILLS_MAX: u64 = 120;
/// Payments that everybody tries to make between two kills.
const PAYMENTS_EACH: usize = 3;
const FUND_MINOR: u64 = 10_000_000;
const EACH_MINOR: u64 = 125;
const TOWN: Place = Place::At("town");

/// A sequence of numbers that is the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What a device's API has acknowledged.
struct Acknowledged {
    payer: usize,
    payee: usize,
    id: String,
    /// Whether the payer's device has shown the payee's acceptance, before the bank's.
    received: bool,
}

#[test]
fn killed_at_any_instant_devices_lose_nothing_and_contradict_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (1..=DEVICES).map(|at| format!("Device {at}")).collect();
    let mut world = World::start(dir.path(), Binaries::find().unwrap(), &names).unwrap();
    let everybody: Vec<(usize, Place)> = (0..DEVICES).map(|device| (device, TOWN)).collect();
    world.place(&everybody, Some(TOWN)).unwrap();
    let accounts: Vec<String> = world
        .devices
        .iter()
        .map(|device| world.gateway.enrol(device, FUND_MINOR, FUND_MINOR).unwrap())
        .collect();
    until("everybody holds its grant", || {
        world.devices.iter().all(|device| device.balance().unwrap().granted_minor == FUND_MINOR)
    });

    let mut dice = Dice(3);
    let mut acknowledged: Vec<Acknowledged> = Vec::new();
    let mut unacknowledged: BTreeSet<String> = BTreeSet::new();
    let mut kills = 0;
    while kills < KILLS || unacknowledged.is_empty() && kills < KILLS_MAX {
        let victim = usize::try_from(dice.below(DEVICES as u64)).unwrap();
        // Two of three kills fall into the milliseconds after the victim was told to pay.
        let aimed = dice.below(3) > 0;
        let instant = Duration::from_micros(dice.below(if aimed { 12_000 } else { 150_000 }));
        acknowledged.extend(pay_and_kill(&mut world, victim, aimed, instant));
        kills += 1;
        // Opens its store, or fails the test.
        world.turn_on(victim).unwrap();
        world.place(&everybody, None).unwrap();
        unacknowledged.extend(check_history(&world, victim, &acknowledged));
    }
    assert!(!unacknowledged.is_empty(), "no kill fell between persist and acknowledgement");
    assert!(acknowledged.iter().any(|one| one.received));
    let made = settle(&world, &accounts, &acknowledged);
    eprintln!(
        "{kills} kills; {made} payments, {} acknowledged, {} durable without",
        acknowledged.len(),
        unacknowledged.len(),
    );
}

fn until(what: &str, mut look: impl FnMut() -> bool) {
    let (took, _) = wait_until(|| Ok(look()), |seen| *seen).unwrap();
    assert!(took.is_some(), "never: {what}");
}

/// Everybody pays, one device dies. Returns what was acknowledged.
fn pay_and_kill(
    world: &mut World,
    victim: usize,
    aimed: bool,
    instant: Duration,
) -> Vec<Acknowledged> {
    let clients: Vec<Client> =
        world.devices.iter().map(|device| device.client().unwrap().clone()).collect();
    let told = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (clients, told) = (&clients, &told);
        let work =
            |payer| scope.spawn(move || pay(clients, payer, (payer == victim).then_some(told)));
        let workers: Vec<_> = (0..DEVICES).map(work).collect();
        while aimed && !told.load(Ordering::Acquire) && !workers[victim].is_finished() {
            std::thread::yield_now();
        }
        std::thread::sleep(instant);
        world.kill(victim).unwrap();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

/// Pays one after the other until a device that is needed does not answer.
fn pay(clients: &[Client], payer: usize, told: Option<&AtomicBool>) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    for turn in 0..PAYMENTS_EACH {
        let payee = (payer + 1 + turn) % DEVICES;
        let ask = json!({ "amount_minor": EACH_MINOR, "currency": "INR", "expires_s": 3600 });
        let Ok(request) = clients[payee].post::<Request>("/v1/requests", &ask) else { break };
        if let Some(told) = told {
            told.store(true, Ordering::Release);
        }
        match clients[payer].post::<Signed>("/v1/payments", &json!({ "uri": request.uri })) {
            Ok(Signed { id }) => {
                let received = is_received(&clients[payer], &id);
                acknowledged.push(Acknowledged { payer, payee, id, received });
            }
            // Too many unsettled: the bank is about to settle some.
            Err(ClientError::Refused { .. }) => std::thread::sleep(Duration::from_millis(20)),
            Err(_) => break,
        }
    }
    acknowledged
}

/// Whether the payer's device shows the payee's acceptance soon. One of the two may be dead.
fn is_received(payer: &Client, id: &str) -> bool {
    for _ in 0..20 {
        match payer.get::<Row>(&format!("/v1/payments/{id}")) {
            Ok(row) if is_sure(&row.state) => return row.state == "received",
            Ok(_) => std::thread::sleep(Duration::from_millis(5)),
            Err(_) => return false,
        }
    }
    false
}

fn is_sure(state: &str) -> bool {
    matches!(state, "received" | "settled")
}

/// Everything acknowledged is in the history of a device that has just come back. Returns its last
/// payment if that was durable there and had not been acknowledged.
fn check_history(world: &World, device: usize, acknowledged: &[Acknowledged]) -> Option<String> {
    let rows: BTreeMap<String, Row> = history(world, device);
    for one in acknowledged {
        if one.payer == device {
            let row = rows.get(&one.id).expect("an acknowledged payment is lost");
            assert_eq!(row.direction, "out");
            assert!(!one.received || is_sure(&row.state), "{row:?}");
        }
        if one.payee == device && one.received {
            let row = rows.get(&one.id).expect("an accepted payment is lost");
            assert!(row.direction == "in" && is_sure(&row.state), "{row:?}");
        }
    }
    let status = world.devices[device].status().unwrap();
    assert!(!status.stopped && status.proofs.is_empty(), "{status:?}");
    let known: BTreeSet<&str> = acknowledged.iter().map(|one| one.id.as_str()).collect();
    let last = rows.values().filter(|row| row.direction == "out").max_by_key(|row| row.sequence)?;
    (!known.contains(last.id.as_str())).then(|| last.id.clone())
}

fn history(world: &World, device: usize) -> BTreeMap<String, Row> {
    let rows = world.devices[device].history().unwrap().payments;
    rows.into_iter().map(|row| (row.id.clone(), row)).collect()
}

/// The payments that devices have in their histories, made (`out`) or taken (`in`).
fn payments(world: &World, direction: &str) -> BTreeSet<String> {
    let rows = (0..DEVICES).flat_map(|device| history(world, device).into_values());
    rows.filter(|row| row.direction == direction).map(|row| row.id).collect()
}

/// Waits until everything is settled, and compares histories, accounts and books. Returns how many
/// payments were made.
fn settle(world: &World, accounts: &[String], acknowledged: &[Acknowledged]) -> usize {
    until("everything is settled", || {
        (0..DEVICES).all(|device| history(world, device).values().all(|row| row.state == "settled"))
    });
    // The bank may have settled one while its payee's device was dead: it hears of it later.
    until("every payee knows what it was paid, and nothing else", || {
        payments(world, "in") == payments(world, "out")
    });
    let made = payments(world, "out");
    let histories: Vec<_> = (0..DEVICES).map(|device| history(world, device)).collect();
    assert!(acknowledged.iter().all(|one| made.contains(&one.id)));
    for rows in &histories {
        let mut sequences: Vec<u32> =
            rows.values().filter(|row| row.direction == "out").map(|row| row.sequence).collect();
        sequences.sort_unstable();
        let all: Vec<u32> = (0..u32::try_from(sequences.len()).unwrap()).collect();
        assert_eq!(sequences, all, "one payment under every sequence number");
    }
    let intake = world.gateway.intake().unwrap();
    assert_eq!((intake.settled, intake.rejected, intake.contested), (made.len() as u64, 0, 0));
    let out = histories.iter().flat_map(|rows| rows.values()).filter(|row| row.direction == "out");
    let out: Vec<&Row> = out.collect();
    for ((device, rows), account) in world.devices.iter().zip(&histories).zip(accounts) {
        let paid = rows.values().filter(|row| row.direction == "out").count() as u64;
        let author = Some(device.identity.author.clone());
        let received = out.iter().filter(|row| row.counterparty == author).count() as u64;
        let account = world.gateway.account(account).unwrap();
        let held = account.balance_minor + account.reserved_minor + account.pending_minor;
        assert_eq!(held + paid * EACH_MINOR, FUND_MINOR + received * EACH_MINOR);
    }
    let audit: Audit = world.gateway.client().get("/v1/audit").unwrap();
    assert!(audit.ok && audit.settled == made.len() as u64, "{audit:?}");
    let cases: Value = world.gateway.client().get("/v1/cases").unwrap();
    assert_eq!(cases["cases"], json!([]));
    for device in &world.devices {
        let status = device.status().unwrap();
        assert!(!status.stopped && status.proofs.is_empty(), "{status:?}");
    }
    made.len()
}
