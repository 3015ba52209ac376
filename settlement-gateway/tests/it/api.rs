//! The API in process: a market day, a cheat, an audit, a restart.

use crate::device::Device;
use crate::gateway::{Running, audited, balance, init, open, until};
use hundi_gateway::app::{self, BuildError};
use hundi_gateway::config::Config;
use hundi_ledger::record::receipt::PayeeVerdict;
use hundi_node::store::{Store, StoreOptions};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

fn line(lines: &[Value], at: usize) -> (&str, Option<&str>) {
    (lines[at]["verdict"].as_str().unwrap(), lines[at]["reason"].as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_at_the_bank() {
    let dir = tempfile::tempdir().unwrap();
    let home = init(&dir.path().join("bank"));
    let gateway = Running::start(&home).await;
    let (asha_account, binu_account, paid) = gateway
        .with(|api| {
            let (mut asha, asha_account) = open(api, "Asha", 11, 10_000, 5_000);
            let (binu, binu_account) = open(api, "Binu", 12, 1_000, 500);
            let first = asha.pay(&binu, 1_250);
            let second = asha.pay(&binu, 750);
            let receipt = binu.receipt(&first, PayeeVerdict::Accepted);

            // Out of order, with a receipt and garbage in between: one answer each.
            let garbage = vec![7, 7, 7];
            let items = vec![second.item.clone(), receipt.clone(), garbage, first.item.clone()];
            let lines = api.submit(&items);
            assert_eq!(lines.len(), 4);
            assert_eq!(line(&lines, 0), ("accepted", None));
            assert_eq!(lines[0]["outcome"], "settled");
            assert_eq!(line(&lines, 1).0, "accepted");
            assert_eq!(line(&lines, 2), ("rejected", Some("malformed")));
            assert_eq!(lines[2]["id"], Value::Null);
            assert_eq!(lines[3]["id"], first.id.to_string());
            assert_eq!(balance(api, &binu_account), 500 + 2_000);

            // The same again: the recorded answer, and nothing moves.
            let lines = api.submit(std::slice::from_ref(&first.item));
            assert_eq!(line(&lines, 0).0, "duplicate");
            assert_eq!(lines[0]["outcome"], "settled");
            assert_eq!(balance(api, &binu_account), 2_500);
            let entry = api.read(&format!("/v1/entries/{}", first.id));
            assert_eq!(
                (&entry["outcome"], &entry["amount_minor"]),
                (&json!("settled"), &json!(1_250))
            );
            assert_eq!(entry["payee"], binu.author.to_string());

            let account = api.read(&format!("/v1/accounts/{asha_account}"));
            assert_eq!(account["reserved_minor"], 3_000);
            assert_eq!(account["devices"], json!([asha.author.to_string()]));
            let grants = api.read(&format!("/v1/grants/{}", asha.author));
            assert_eq!(grants["grants"][1]["settled_minor"], 2_000);
            let books = api.read("/v1/books");
            let inr = &books["currencies"]["INR"];
            assert_eq!((&inr["sum"], &inr["balanced"]), (&json!(0), &json!(true)));
            assert_eq!(inr["accounts"]["nostro"], -11_000);
            let status = api.read("/v1/status");
            assert_eq!((&status["accepted"], &status["settled"]), (&json!(2), &json!(2)));
            (asha_account, binu_account, first)
        })
        .await;
    let head = gateway.with(audited).await;
    gateway.stop().await;

    // After a restart: the same state, the same answers, and it goes on.
    let gateway = Running::start(&home).await;
    gateway
        .with(move |api| {
            assert_eq!(balance(api, &binu_account), 2_500);
            assert_eq!(balance(api, &asha_account), 5_000);
            assert_eq!(api.read(&format!("/v1/accounts/{asha_account}"))["name"], "Asha");
            let lines = api.submit(std::slice::from_ref(&paid.item));
            assert_eq!(line(&lines, 0).0, "duplicate");
            assert_ne!(audited(api), head, "a bulletin of the new run");
        })
        .await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cheat_is_proven_and_frozen_and_its_payees_are_paid_by_the_rule() {
    let dir = tempfile::tempdir().unwrap();
    let home = init(&dir.path().join("bank"));
    let gateway = Running::start(&home).await;
    let author = gateway
        .with(|api| {
            let (mut cheat, account) = open(api, "Cheat", 21, 1_000, 1_000);
            let (binu, binu_account) = open(api, "Binu", 22, 1_000, 500);
            let (chandra, chandra_account) = open(api, "Chandra", 23, 1_000, 500);
            let below = cheat.pay(&binu, 200);
            let before = cheat.log.clone();
            let first = cheat.pay(&binu, 800);
            cheat.log = before;
            let second = cheat.pay(&chandra, 700);
            assert_eq!(line(&api.submit(&[first.item]), 0).0, "accepted");
            let lines = api.submit(&[second.item, below.item]);
            assert_eq!(line(&lines, 0), ("adjusted", Some("contested")));
            let proof = lines[0]["proof"].as_str().unwrap().to_owned();
            assert_eq!(line(&lines, 1).0, "accepted", "promised below the contradiction");
            assert!(!proof.is_empty());
            assert_eq!(balance(api, &binu_account), 500 + 1_000);
            assert_eq!(balance(api, &chandra_account), 500);
            assert_eq!(balance(api, &account), 0);

            let cases = api.read("/v1/cases");
            assert_eq!(cases["cases"][0]["author"], cheat.author.to_string());
            let case = api.read(&format!("/v1/cases/{}", cheat.author));
            assert_eq!(case["payees"].as_array().unwrap().len(), 3);
            let got: Vec<u64> = case["payees"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["got_minor"].as_u64().unwrap())
                .collect();
            assert_eq!(got.iter().sum::<u64>(), 1_000, "{case}");
            let path = format!("/v1/cases/{}/close", cheat.author);
            let (status, problem) = api.post(&path, &json!({}));
            assert_eq!(status, 409);
            assert!(problem["detail"].as_str().unwrap().contains("may still claim"));

            // No further grant, and the node holds the bank's proof and freeze.
            let request = json!({
                "account": account,
                "author": cheat.author.to_string(),
                "limit_minor": 100,
                "credit": true,
            });
            let (status, problem) = api.post("/v1/grants", &request);
            assert_eq!(status, 409, "{problem}");
            audited(api);
            cheat.author.to_string()
        })
        .await;
    gateway.stop().await;
    // A crash between persist and publish loses nothing: even a node that holds nothing at all is
    // given every record again by the next run.
    forget_node(&home.store()).await;
    let gateway = Running::start(&home).await;
    gateway
        .with(move |api| {
            until(api, "/v1/status", |status| {
                status["proofs"] == json!([author])
                    && status["frozen"] == json!([author])
                    && status["authors"] == 3
            });
            audited(api);
        })
        .await;
    gateway.stop().await;
}

/// Removes the node's store, once the run that had it open has closed it.
async fn forget_node(dir: &Path) {
    closed(dir).await;
    std::fs::remove_dir_all(dir).unwrap();
}

/// Waits until the run that had a store open has closed it.
async fn closed(dir: &Path) {
    while Store::open(dir, StoreOptions::default()).is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_the_books_stops_signing_until_told() {
    let dir = tempfile::tempdir().unwrap();
    let home = init(&dir.path().join("bank"));
    let (books, saved) = (home.dir().join("journal"), dir.path().join("saved"));
    let gateway = Running::start(&home).await;
    let (mut asha, _) = gateway.with(|api| open(api, "Asha", 41, 1_000, 500)).await;
    gateway.stop().await;
    closed(&books).await;
    copy(&books, &saved);
    // The node hears of a freeze that the restored books know nothing of.
    let gateway = Running::start(&home).await;
    let author = asha.author.to_string();
    let frozen = json!([author]);
    gateway
        .with(move |api| {
            api.ok("/v1/freezes", &json!({ "author": author }));
            until(api, "/v1/status", |status| status["frozen"] == frozen);
        })
        .await;
    gateway.stop().await;
    closed(&books).await;
    std::fs::remove_dir_all(&books).unwrap();
    copy(&saved, &books);
    let gateway = Running::start(&home).await;
    gateway
        .with(move |api| {
            assert_eq!(api.read("/v1/status")["stopped"], true);
            let opening = json!({ "name": "Binu", "currency": "INR" });
            let (status, problem) = api.post("/v1/accounts", &opening);
            assert_eq!(status, 503, "{problem}");
            assert!(problem["detail"].as_str().unwrap().contains("resume"));
            let payee = Device::new(
                api.read("/v1/status")["network"].as_str().unwrap().parse().unwrap(),
                asha.sealing.public(),
                42,
            );
            let entry = asha.pay(&payee, 5).item;
            let lines = api.submit(std::slice::from_ref(&entry));
            assert_eq!(line(&lines, 0), ("retry", Some("bank_stopped")));
            api.ok("/v1/resume", &json!({}));
            api.ok("/v1/accounts", &opening);
            audited(api);
        })
        .await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let home = init(&dir.path().join("bank"));
    let gateway = Running::start(&home).await;
    gateway
        .with(|api| {
            let (device, account) = open(api, "Asha", 31, 1_000, 500);
            let stranger = api.with_token("no token");
            for path in ["/v1/status", "/v1/books", "/v1/audit", "/v1/accounts"] {
                assert_eq!(stranger.get(path).0, 401, "{path}");
            }
            assert_eq!(stranger.post("/v1/freezes", &json!({})).0, 401);
            assert_eq!(api.get("/v1/nothing").0, 404);
            assert_eq!(api.post("/v1/books", &json!({})).0, 405);

            let author = device.author.to_string();
            let refused = |path: &str, body: Value, status: u16, says: &str| {
                let (got, problem) = api.post(path, &body);
                let detail = problem["detail"].as_str().unwrap().to_owned();
                assert_eq!(got, status, "{path} {body}: {problem}");
                assert!(detail.contains(says), "{path} {body}: {detail}");
            };
            let open = "/v1/accounts";
            refused(open, json!({ "name": "X", "currency": "XQQ" }), 400, "ISO 4217");
            refused(open, json!({ "name": " ", "currency": "INR" }), 400, "a name");
            refused(open, json!({ "name": "X" }), 422, "currency");
            let fund = format!("/v1/accounts/{account}/fund");
            refused(&fund, json!({ "amount_minor": 0 }), 400, "above zero");
            refused(&fund, json!({ "amount_minor": u64::MAX }), 400, "");
            let nobody = format!("/v1/accounts/{}/fund", "0".repeat(32));
            refused(&nobody, json!({ "amount_minor": 1 }), 404, "account open");
            refused("/v1/accounts/x/fund", json!({ "amount_minor": 1 }), 400, "is no account");
            let grant = |author: &str, limit: u64| {
                json!({ "account": account, "author": author, "limit_minor": limit })
            };
            refused("/v1/grants", grant(&author, 501), 409, "fund the account");
            refused("/v1/grants", grant("1-00", 1), 400, "is no author");
            let elsewhere = author.replacen("1-", "2-", 1);
            refused("/v1/grants", grant(&elsewhere, 1), 400, "author of bank 2");
            let other = Device::new(hundi_ledger::id::NetworkId([0; 32]), device.sealing.public(), 32);
            let unknown = other.author.to_string();
            refused("/v1/grants", grant(&unknown, 1), 400, "sealing key");
            refused("/v1/freezes", json!({ "author": unknown }), 404, "grant issue");
            refused(&format!("/v1/cases/{author}/close"), json!({}), 404, "case list");

            // One reference moves money once.
            let body = json!({ "amount_minor": 70, "reference": "ab".repeat(16) });
            let first = api.ok(&fund, &body);
            assert_eq!(api.ok(&fund, &body)["balance_minor"], first["balance_minor"]);
            let other = json!({ "amount_minor": 71, "reference": "ab".repeat(16) });
            refused(&fund, other, 409, "reference");

            // What anybody may hand in is bounded, and says so.
            assert_eq!(stranger.write(b"a letter").unwrap().0, 400);
            let many = vec![vec![1]; 8_193];
            let many = hundi_node::container::encode(many.iter().map(Vec::as_slice)).unwrap();
            assert_eq!(stranger.write(&many).unwrap().0, 413);
            assert_eq!(stranger.write(&many[..many.len() - 5]).unwrap().0, 400);

            // A freeze stops the device and is shown.
            let frozen = api.ok("/v1/freezes", &json!({ "author": author, "reason": "lost" }));
            assert_eq!(frozen["reason"], "lost");
            assert_eq!(api.read(&format!("/v1/grants/{author}"))["frozen"], "lost");
            refused("/v1/grants", grant(&author, 1), 409, "frozen");
            audited(api);
        })
        .await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_do_not_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let home = init(&dir.path().join("bank"));
    let gateway = Running::start(&home).await;
    let second = app::build(Config::new(home.clone())).await;
    assert!(matches!(second, Err(BuildError::Journal(_))), "{second:?}");
    gateway.with(audited).await;
    gateway.stop().await;
}
