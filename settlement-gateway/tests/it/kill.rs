//! The real binary, killed with SIGKILL at random instants while batches are handed in. After each
//! restart everything acknowledged is there, nothing is settled twice, and the audit holds.

use crate::client::Api;
use crate::command_line::{Process, connect, init, json};
use crate::device::{Device, Made};
use crate::due::stored;
use hundi_node::home::Home;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

const KILLS: u64 = 24;
/// A run that has not met every case by then fails.
const KILLS_MAX: u64 = 240;
/// Batches handed in between two kills.
const BATCHES: usize = 4;
/// Payments that one batch carries besides what is handed in again.
const BATCH: usize = 8;
const EACH_MINOR: u64 = 3;

/// A sequence of numbers that is the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

struct Customer {
    device: Device,
    account: String,
}

fn customer(dir: &Path, api: &Api, seed: u8) -> Customer {
    let status = api.read("/v1/status");
    let network = status["network"].as_str().unwrap().parse().unwrap();
    let device =
        Device::new(network, status["sealing_key"].as_str().unwrap().parse().unwrap(), seed);
    let opened = json(dir, &["account", "open", "Somebody", "--currency", "INR"]);
    let account = opened["account"].as_str().unwrap().to_owned();
    json(dir, &["account", "fund", &account, "1000"]);
    let (author, sealing) = (device.author.to_string(), device.sealing.public().to_string());
    let issue = ["grant", "issue", &account, "--author", &author, "--sealing", &sealing];
    json(dir, &[&issue[..], &["--limit", "1000"]].concat());
    Customer { device, account }
}

#[test]
fn killed_at_any_instant_it_loses_nothing_and_settles_nothing_twice() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("bank");
    init(&dir);
    let mut process = Process::start(&dir);
    let mut api = connect(&dir);
    let mut payer = customer(&dir, &api, 41);
    let payee = customer(&dir, &api, 42);
    let mut dice = Dice(2);
    let mut made: Vec<Made> = Vec::new();
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    let (mut unanswered, mut taken_unanswered, mut kills) = (0, 0, 0);
    // How long the batches take here: the kills are spread over that time, and a little more.
    let since = Instant::now();
    for _ in 0..BATCHES {
        let batch: Vec<Made> =
            (0..BATCH).map(|_| payer.device.pay(&payee.device, EACH_MINOR)).collect();
        api.submit(&batch.iter().map(|it| it.item.clone()).collect::<Vec<_>>());
        acknowledged.extend(batch.iter().map(|it| it.id.to_string()));
        made.extend(batch);
    }
    let span = u64::try_from(since.elapsed().as_micros()).unwrap() * 5 / 4;
    while kills < KILLS || (taken_unanswered == 0 && kills < KILLS_MAX) {
        kills += 1;
        // Under load: a thread hands in batch after batch, each with something old among it.
        let batches: Vec<Vec<Vec<u8>>> = (0..BATCHES)
            .map(|_| {
                let fresh: Vec<Made> =
                    (0..BATCH).map(|_| payer.device.pay(&payee.device, EACH_MINOR)).collect();
                made.extend(fresh);
                let from = made.len() - BATCH;
                let again = made[usize::try_from(dice.below(made.len() as u64)).unwrap()].clone();
                made[from..].iter().chain([&again]).map(|it| it.item.clone()).collect()
            })
            .collect();
        let handing_in = api.clone();
        let worker = std::thread::spawn(move || {
            let mut answered = Vec::new();
            for batch in batches {
                let Some(lines) = handing_in.try_submit(&batch) else { break };
                answered.extend(lines);
            }
            answered
        });
        // Some instants fall before the first batch, some between its persist and its answer, some
        // after the last.
        std::thread::sleep(Duration::from_micros(dice.below(span)));
        process.0.kill().unwrap();
        process.0.wait().unwrap();
        for line in worker.join().unwrap() {
            let verdict = line["verdict"].as_str().unwrap();
            assert!(matches!(verdict, "accepted" | "duplicate"), "{line}");
            assert_eq!(line["outcome"], "settled");
            acknowledged.insert(line["id"].as_str().unwrap().to_owned());
        }
        if kills % 3 == 0 {
            // The audit of the directory itself, as it lies there after the kill.
            assert_eq!(json(&dir, &["audit"])["ok"], true);
        }
        process = Process::start(&dir);
        api = connect(&dir);
        let mut settled = 0;
        for payment in &made {
            let (status, entry) = api.get(&format!("/v1/entries/{}", payment.id));
            let answered = acknowledged.contains(&payment.id.to_string());
            assert!(status == 200 || !answered, "acknowledged and lost: {}", payment.id);
            unanswered += u64::from(!answered);
            taken_unanswered += u64::from(!answered && status == 200);
            if status == 200 {
                assert_eq!(entry["outcome"], "settled", "{entry}");
                settled += 1;
            }
        }
        let audit = api.read("/v1/audit");
        assert_eq!(audit["ok"], true, "{audit}");
        assert_eq!(audit["settled"], settled);
        let balance = api.read(&format!("/v1/accounts/{}", payee.account))["balance_minor"].clone();
        assert_eq!(balance, settled * EACH_MINOR, "each settled once");
        assert!(api.read("/v1/books")["currencies"]["INR"]["balanced"] == true);
    }
    // Then everything is handed in once more, and everything settles once.
    for part in made.chunks(500) {
        let items: Vec<Vec<u8>> = part.iter().map(|it| it.item.clone()).collect();
        for line in api.submit(&items) {
            assert_eq!(line["outcome"], "settled", "{line}");
        }
    }
    let all = made.len() as u64 * EACH_MINOR;
    assert_eq!(api.read(&format!("/v1/accounts/{}", payee.account))["balance_minor"], all);
    eprintln!(
        "{kills} kills, {} payments, {} acknowledged before a kill; of {unanswered} looks at \
         unanswered ones {taken_unanswered} found them durable",
        made.len(),
        acknowledged.len(),
    );
    assert!(taken_unanswered > 0, "no kill fell between persist and answer");
    assert_eq!(process.stop(), Some(0));
    let ended = stored(&Home::open(&dir).unwrap(), &payer.device);
    let frontier = ended.newest.and_then(|checkpoint| checkpoint.frontier).unwrap();
    assert!(!ended.due, "what the kills left untold is told");
    assert_eq!(frontier.sequence as usize + 1, made.len());
}
