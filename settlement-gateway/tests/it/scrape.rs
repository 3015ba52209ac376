//! What the real program tells whoever watches it: metrics with exact counts after real payments, ids
//! that connect a request with the log, and neither names nor amounts in any of it.

use crate::client::Api;
use crate::command_line::{Process, connect, free_port, init, json};
use crate::device::Device;
use hundi_node::container;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A name and sums that stand nowhere by accident.
const NAME: &str = "Zubeida Quartzmoor";
const FUNDED_MINOR: u64 = 987_654_300;
const PAID_MINOR: [u64; 3] = [271_828_100, 314_159_200, 161_803_300];
/// Fits the limit, and not what a small payment beside it leaves of the reserve.
const CONTESTED_MINOR: u64 = 152_209_400;
/// What is logged: of ours everything.
const LEVELS: &str = "info,hundi_gateway=trace,hundi_journal=trace,hundi_node=trace,\
                      hundi_engine=trace,hundi_ledger=trace,hundi_transports=trace";

/// A program's answer, with what its header says.
struct Answer {
    status: u16,
    id: String,
    kind: String,
    body: String,
}

fn ask(request: ureq::RequestBuilder<ureq::typestate::WithoutBody>) -> Answer {
    read(request.config().http_status_as_error(false).build().call().unwrap())
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Answer {
    let header = |name: &str| {
        let value = answer.headers().get(name).map(|it| it.to_str().unwrap().to_owned());
        value.unwrap_or_default()
    };
    let (id, kind) = (header("x-request-id"), header("content-type"));
    let body = answer.body_mut().read_to_string().unwrap();
    Answer { status: answer.status().as_u16(), id, kind, body }
}

/// The samples of a scrape.
fn samples(text: &str) -> BTreeMap<String, String> {
    assert!(text.ends_with("# EOF\n"), "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.strip_prefix("hundi_gateway_").unwrap().to_owned(), value.to_owned())
    });
    samples.collect()
}

fn customer(dir: &Path, api: &Api, seed: u8, more: &[&str]) -> Device {
    let status = api.read("/v1/status");
    let text = |field: &str| status[field].as_str().unwrap().to_owned();
    let network = text("network").parse().unwrap();
    let device = Device::new(network, text("sealing_key").parse().unwrap(), seed);
    let opened = json(dir, &["account", "open", NAME, "--currency", "INR"]);
    let account = opened["account"].as_str().unwrap().to_owned();
    let path = format!("/v1/accounts/{account}/fund");
    api.ok(&path, &serde_json::json!({ "amount_minor": FUNDED_MINOR }));
    let (author, sealing) = (device.author.to_string(), device.sealing.public().to_string());
    let issue = ["grant", "issue", &account, "--author", &author, "--sealing", &sealing];
    json(dir, &[&issue[..], &["--limit", "9000000"], more].concat());
    device
}

#[test]
fn a_scrape_counts_exactly_and_tells_nothing_about_anybody() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("bank");
    init(&dir);
    let monitoring = free_port().0;
    let flags = ["--monitoring", &monitoring, "--log-format", "json", "--log-levels", LEVELS];
    let process = Process::start_with(&dir, &flags, &[]);
    let api = connect(&dir);
    json(&dir, &["operate", "provision", "70000", "--currency", "INR"]);
    let mut payer = customer(&dir, &api, 61, &["--guarantee", "500.07"]);
    let payee = customer(&dir, &api, 62, &[]);
    let made: Vec<_> = PAID_MINOR.iter().map(|minor| payer.pay(&payee, *minor)).collect();
    let items: Vec<Vec<u8>> = made.iter().map(|it| it.item.clone()).collect();
    api.submit(&items);
    api.submit(&[items[0].clone(), vec![7, 7, 7]]);
    let refused = api.get("/v1/entries/nonsense");
    assert_eq!(refused.0, 400);

    // The address for monitoring needs no token, the API does.
    let scraped = ask(ureq::get(format!("http://{monitoring}/metrics")));
    assert_eq!(scraped.status, 200);
    assert!(scraped.kind.starts_with("application/openmetrics-text"), "{}", scraped.kind);
    assert_eq!(api.with_token("wrong").get("/metrics").0, 401);
    assert_eq!(api.with_token("wrong").get("/health/detailed").0, 401);
    assert_eq!(api.get("/metrics").0, 200);
    let held = samples(&scraped.body);
    let value = |name: &str| held.get(name).map(String::as_str);
    let exact = [
        (r#"items_total{verdict="accepted",reason="settled"}"#, "3"),
        (r#"items_total{verdict="duplicate",reason="settled"}"#, "1"),
        (r#"items_total{verdict="rejected",reason="malformed"}"#, "1"),
        (r#"http_request_seconds_count{route="/v1/entries",status="200"}"#, "2"),
        (r#"http_request_seconds_count{route="/v1/entries/{id}",status="400"}"#, "1"),
        (r#"http_request_seconds_count{route="/v1/accounts/{id}/fund",status="200"}"#, "2"),
        (r#"entries{standing="settled"}"#, "3"),
        (r#"entries{standing="waiting"}"#, "0"),
        (r#"oldest_unsettled_seconds{standing="waiting"}"#, "0"),
        (r#"queue_capacity{queue="bank"}"#, "256"),
        (r#"queue_depth{queue="submission_bytes"}"#, "0"),
        (r#"queue_depth{queue="publish"}"#, "0"),
        (r#"guarantee_pool_minor{currency="INR"}"#, "7000000"),
        (r#"guarantee_exposure_minor{currency="INR"}"#, "50007"),
        ("ready", "1"),
        ("stopped", "0"),
        ("reviews_open", "0"),
        ("mesh_submission_seconds_count", "0"),
    ];
    for (name, wanted) in exact {
        assert_eq!(value(name), Some(wanted), "{name} in\n{}", scraped.body);
    }
    let items = held.keys().filter(|name| name.starts_with("items_total")).count();
    assert_eq!(items, 3, "nothing else was counted:\n{}", scraped.body);
    let commits: u64 = value("commit_seconds_count").unwrap().parse().unwrap();
    assert!(commits >= 8, "each of ours was a unit of work: {commits}");
    tells_nothing(&scraped.body);
    let mut words = held.keys().flat_map(|name| name.split(|it: char| !it.is_alphanumeric()));
    let is_id = |it: &&str| it.len() >= 16 && it.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert_eq!(words.find(is_id), None, "an id is in the metrics");

    // What was refused can be found in the log by the id in the refusal.
    assert_eq!(refused.1["request_id"].as_str().unwrap().len(), 32);
    // A cheat, so that the bank's thread has something to say.
    let mut log = payer.log.clone();
    let first = payer.pay(&payee, 500);
    std::mem::swap(&mut payer.log, &mut log);
    let second = payer.pay(&payee, CONTESTED_MINOR);
    let body = container::encode([first.item.as_slice(), second.item.as_slice()]).unwrap();
    let url = format!("{}/v1/entries", api.base());
    let given = |id: &str| {
        let request = ureq::post(&url).header("x-request-id", id);
        read(request.config().http_status_as_error(false).build().send(&body).unwrap())
    };
    assert_eq!(given("cheat-1").id, "cheat-1");
    let replaced = given("not well formed");
    assert_eq!((replaced.status, replaced.id.len()), (200, 32));
    assert!(replaced.id.bytes().all(|it| it.is_ascii_hexdigit()));
    assert_eq!(api.read("/health/detailed")["bank"]["contested"], 1);
    let scraped = ask(ureq::get(format!("http://{monitoring}/metrics"))).body;
    assert_eq!(samples(&scraped)["reviews_open"], "1");

    assert_eq!(process.stop(), Some(0));
    let log = std::fs::read_to_string(dir.join("log")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let says = |line: &Value, what: &str| {
        line["fields"]["message"].as_str().is_some_and(|it| it.contains(what))
    };
    let opened = lines.iter().find(|line| says(line, "contradicted itself")).unwrap();
    assert_eq!(opened["span"]["id"], "cheat-1", "{opened}");
    assert_eq!(opened["span"]["route"], "/v1/entries");
    let refused = lines.iter().find(|it| it["span"]["id"] == refused.1["request_id"]).unwrap();
    assert_eq!(refused["fields"]["status"], 400, "{refused}");
    tells_nothing(&log);
}

/// Neither a name nor an amount is there.
fn tells_nothing(text: &str) {
    let mut secrets = vec!["Zubeida".to_owned(), "Quartzmoor".to_owned()];
    let funded = [FUNDED_MINOR, FUNDED_MINOR - 900_000_000, CONTESTED_MINOR];
    for minor in PAID_MINOR.iter().chain(&funded) {
        secrets.push(minor.to_string());
        secrets.push(format!("{}.{:02}", minor / 100, minor % 100));
    }
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} is in it");
    }
}
