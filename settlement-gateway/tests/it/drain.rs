//! The real program told to stop: it says that it is not ready, takes nothing more, works off what it
//! took and ends; a second signal ends it at once; and a stranger who dribbles bytes keeps nobody
//! waiting.

use crate::client::Api;
use crate::command_line::{Process, connect, free_port, init, json};
use crate::device::Device;
use crate::gateway::until;
use hundi_gateway::app;
use hundi_gateway::config::Config;
use hundi_node::container;
use rustix::process::Signal;
use serde_json::{Value, json as object};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

/// A submission of which one byte is missing, inside the gateway.
struct Held {
    stream: TcpStream,
    last: u8,
}

impl Held {
    fn begin(api: &Api, items: &[Vec<u8>]) -> Self {
        let body = container::encode(items.iter().map(Vec::as_slice)).unwrap();
        let (last, first) = body.split_last().unwrap();
        let address = api.base().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!(
            "POST /v1/entries HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(first).unwrap();
        until(api, "/health/detailed", |it| it["requests"] == 1);
        Self { stream, last: *last }
    }

    fn finish(mut self) -> String {
        self.stream.write_all(&[self.last]).unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// A bank with a payer of its own.
fn bank(dir: &Path) -> (Process, Api, Api, Device) {
    init(dir);
    let monitoring = free_port().0;
    let process = Process::start_with(dir, &["--monitoring", &monitoring, "--drain", "3600"], &[]);
    let api = connect(dir);
    let status = api.read("/v1/status");
    let text = |field: &str| status[field].as_str().unwrap().to_owned();
    let network = text("network").parse().unwrap();
    let payer = Device::new(network, text("sealing_key").parse().unwrap(), 71);
    let opened = json(dir, &["account", "open", "Asha", "--currency", "INR"]);
    let account = opened["account"].as_str().unwrap();
    json(dir, &["account", "fund", account, "100"]);
    let (author, sealing) = (payer.author.to_string(), payer.sealing.public().to_string());
    let issue = ["grant", "issue", account, "--author", &author, "--sealing", &sealing];
    json(dir, &[&issue[..], &["--limit", "100"]].concat());
    let monitoring = Api::new(format!("http://{monitoring}"), String::new());
    (process, api, monitoring, payer)
}

/// Waits until the gateway says that it drains.
fn drains(monitoring: &Api) -> Value {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let (status, answer) = monitoring.get("/ready");
        if status == 503 {
            return answer;
        }
        assert!(std::time::Instant::now() < deadline, "{answer}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn told_to_stop_it_works_off_what_it_took_and_takes_nothing_more() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("bank");
    let (process, api, monitoring, mut payer) = bank(&dir);
    for api in [&api.with_token("none"), &monitoring] {
        assert_eq!(api.get("/health"), (200, object!({ "alive": true })));
        assert_eq!(api.get("/ready"), (200, object!({ "ready": true })));
    }
    assert_eq!(monitoring.get("/v1/status").0, 404, "nothing else is answered there");
    let payee = Device::new(hundi_ledger::id::NetworkId([0; 32]), payer.sealing.public(), 72);
    let made = payer.pay(&payee, 700);
    let held = Held::begin(&api, std::slice::from_ref(&made.item));

    process.signal(Signal::TERM);
    assert_eq!(drains(&monitoring)["missing"], object!(["draining"]));
    assert_eq!(monitoring.get("/health").0, 200);
    // The API still answers, and takes nothing.
    assert_eq!(api.get("/ready").1["missing"], object!(["draining"]));
    assert_eq!(api.read("/health/detailed")["phase"], "draining");
    let second = container::encode([made.item.as_slice()]).unwrap();
    for (status, problem) in [
        api.write(&second).unwrap(),
        api.post("/v1/accounts", &object!({ "name": "Binu", "currency": "INR" })),
        api.get("/v1/status"),
    ] {
        assert_eq!(status, 503, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("ask again"), "{problem}");
    }
    let refused = ureq::post(format!("{}/v1/entries", api.base()));
    let refused = refused.config().http_status_as_error(false).build().send(&second).unwrap();
    assert_eq!(refused.headers().get("retry-after").unwrap(), "1");

    // Who was inside is answered, and what was answered is there.
    let answer = held.finish();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"settled\""), "{answer}");
    assert_eq!(process.ended(), Some(0));
    assert!(!dir.join("api.json").exists(), "nothing is announced any more");
    let process = Process::start(&dir);
    let entry = connect(&dir).read(&format!("/v1/entries/{}", made.id));
    assert_eq!(entry["outcome"], "settled");
    assert_eq!(process.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_is_answered_before_the_gateway_is_ready() {
    let dir = tempfile::tempdir().unwrap();
    let home = crate::gateway::init(&dir.path().join("bank"));
    let address = free_port().0;
    let monitoring = Some(address.parse().unwrap());
    let application = app::build(Config { monitoring, ..Config::new(home) }).await.unwrap();
    let watching = Api::new(format!("http://{address}"), String::new());
    let ask = move || (watching.get("/health").0, watching.get("/ready"), watching);
    let (health, (status, answer), watching) = tokio::task::spawn_blocking(ask).await.unwrap();
    assert_eq!((health, status), (200, 503));
    assert_eq!(answer["missing"], object!(["caught_up"]));
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let runs = tokio::spawn(application.run(async { stopped.await.unwrap() }));
    let ask = move || until(&watching, "/health", |_| watching.get("/ready").0 == 200);
    tokio::task::spawn_blocking(ask).await.unwrap();
    stop.send(()).unwrap();
    runs.await.unwrap().unwrap();
}

#[test]
fn a_second_signal_stops_it_at_once() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("bank");
    let (process, api, monitoring, mut payer) = bank(&dir);
    let payee = Device::new(hundi_ledger::id::NetworkId([0; 32]), payer.sealing.public(), 72);
    let held = Held::begin(&api, &[payer.pay(&payee, 700).item]);
    process.signal(Signal::INT);
    drains(&monitoring);
    process.signal(Signal::TERM);
    assert_eq!(process.ended(), Some(1), "it did not wait for the half hour that it might have");
    drop(held);
    let log = std::fs::read_to_string(dir.join("log")).unwrap();
    assert!(log.contains("second signal"), "{log}");
    assert_eq!(json(&dir, &["audit"])["ok"], true);
}

#[test]
fn who_never_finishes_keeps_it_no_longer_than_its_part_of_the_time() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("bank");
    init(&dir);
    // The variable wins over the file, which nobody could wait for.
    let file = parent.path().join("gateway.toml");
    std::fs::write(&file, "drain_s = 3600\n").unwrap();
    let config = ["--config", file.to_str().unwrap()];
    let process = Process::start_with(&dir, &config, &[("HUNDI_GATEWAY_DRAIN_S", "4")]);
    let api = connect(&dir);
    let held = Held::begin(&api, &[vec![7]]);
    process.signal(Signal::TERM);
    assert_eq!(process.ended(), Some(0));
    let log = std::fs::read_to_string(dir.join("log")).unwrap();
    assert!(log.contains("requests are left unanswered"), "{log}");
    drop(held);
}
