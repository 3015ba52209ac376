//! More at once than the gateway takes: whoever is let in is answered, whoever is not is told to
//! come again, and what was answered is in the books, once.

use crate::device::Device;
use crate::gateway::{Running, audited, balance, init, open};
use hundi_gateway::app::{journal_dir, replay};
use hundi_gateway::bank_task::{self, BankHandle};
use hundi_gateway::journal_store::JournalStore;
use hundi_gateway::keys;
use hundi_journal::account::CustomerId;
use hundi_journal::input::{GrantTerms, Input, Operation, OperationKind};
use hundi_journal::output::{Rejected, Verdict};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::checkpoint::Outcome;
use hundi_node::container;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Requests at once: more than wait for the bank's thread.
const REQUESTS: usize = 600;
const PAYERS: u8 = 5;
/// Bytes of the largest submission over HTTP, and how many of those are in progress at once.
const LARGEST: usize = 4 << 20;
const PLACES: usize = 16;

pub async fn enrol(bank: &BankHandle, seed: u8, device: &Device) {
    let customer = CustomerId([seed; 16]);
    let (key, currency) = (device.author.key, Currency::new("INR").unwrap());
    let amount = Amount::new(10_000).unwrap();
    let kind = OperationKind::Fund(customer);
    let sealing = device.sealing.public();
    let inputs = vec![
        Input::OpenCustomer { customer },
        Input::Enrol { customer, key, sealing, currency, display_name: None },
        Input::Operate(Operation { kind, currency, amount, reference: [seed; 16] }),
        Input::IssueGrant { author: key, terms: GrantTerms::prefunded(amount) },
    ];
    bank.handle(inputs).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_answered_and_everything_answered_is_in_the_books() {
    let dir = tempfile::tempdir().unwrap();
    let home = init(&dir.path().join("bank"));
    let (network, loaded) = (home.network().unwrap(), keys::load(&home).unwrap());
    let (number, sealing) = (loaded.number, loaded.keys.sealing[0].public());
    let (journal, events) = JournalStore::open(&journal_dir(&home), network.id()).unwrap();
    let bank = replay(&network, number, &events).unwrap();
    let (publish, mut published) = mpsc::channel(4);
    let publisher = tokio::spawn(async move { while published.recv().await.is_some() {} });
    let (bank, task) = bank_task::start(bank, loaded.keys, Arc::new(journal), publish);
    for record in loaded.certificates {
        bank.handle(vec![Input::InstallCertificate { record }]).await.unwrap();
    }
    let device = |seed| Device::new(network.id(), sealing, seed);
    let payee = device(100);
    let mut payers: Vec<Device> = (1..=PAYERS).map(device).collect();
    for (seed, payer) in (1..).zip(&payers) {
        enrol(&bank, seed, payer).await;
    }
    let mut clients = JoinSet::new();
    for at in 0..REQUESTS {
        let payer = &mut payers[at % usize::from(PAYERS)];
        let items: Vec<_> = (0..4).map(|_| payer.pay(&payee, 1).item).collect();
        let mut forged = items[0].clone();
        forged[100] ^= 1;
        let bank = bank.clone();
        let inputs = vec![
            Input::Submit { items: vec![items[0].clone(), forged, items[1].clone()] },
            Input::Tick,
            Input::Submit { items: items.clone() },
        ];
        let client = async move { bank.handle(inputs).await.unwrap() };
        if at % 10 == 9 {
            // Somebody who does not wait for the answer.
            drop(tokio::spawn(client));
        } else {
            clients.spawn(client);
        }
    }
    let settled = |duplicate| {
        move |verdict: &Verdict| match verdict {
            Verdict::Decided { outcome, duplicate: known, .. } => {
                *outcome == Outcome::Settled && *known == duplicate
            }
            _ => false,
        }
    };
    let mut answered = 0;
    while let Some(outputs) = clients.join_next().await {
        let outputs = outputs.unwrap();
        assert_eq!(outputs.len(), 3);
        let (first, again) = (&outputs[0].verdicts, &outputs[2].verdicts);
        assert!(settled(false)(&first[0]) && settled(false)(&first[2]), "{first:?}");
        assert_eq!(first[1], Verdict::Rejected(Rejected::Signature));
        assert_eq!(again.iter().map(settled(true)).collect::<Vec<_>>(), [true, true, false, false]);
        assert!(again[2..].iter().all(settled(false)), "{again:?}");
        answered += 1;
    }
    assert_eq!(answered, REQUESTS - REQUESTS / 10);
    let held = loop {
        let held = bank.ask(|bank| (bank.entries().len(), bank.journal_head())).await.unwrap();
        // Those who did not wait may come last.
        if held.0 == 4 * REQUESTS {
            break held;
        }
    };
    bank.stop().await;
    task.await.unwrap().unwrap();
    publisher.await.unwrap();
    let (_, events) = JournalStore::open(&journal_dir(&home), network.id()).unwrap();
    let replayed = replay(&network, number, &events).unwrap();
    assert_eq!((replayed.entries().len(), replayed.journal_head()), held);
    let audited = hundi_gateway::audit::audit_events(&events, network.id(), number, None, None);
    assert_eq!((audited.report.settled, audited.findings), (4 * REQUESTS as u64, vec![]));
}

/// The largest submission: an item, and nonsense.
fn largest(item: &[u8]) -> Vec<u8> {
    let nonsense = vec![0; 15_000];
    let encode = |last: usize| {
        let many = std::iter::repeat_n(&nonsense[..], 279);
        let items = std::iter::once(item).chain(many).chain([&nonsense[..last]]);
        container::encode(items).unwrap()
    };
    let last = LARGEST + 1 - encode(1).len();
    encode(last)
}

/// A submission whose body does not come yet.
fn begin(address: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!(
        "POST /v1/entries HTTP/1.1\r\nhost: here\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_gateway_says_so_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let home = init(&dir.path().join("bank"));
    let gateway = Running::start(&home).await;
    let address = gateway.address.clone();
    gateway
        .with(move |api| {
            let (mut asha, _) = open(api, "Asha", 51, 10_000, 5_000);
            let (binu, account) = open(api, "Binu", 52, 1_000, 500);
            let late = container::encode([&asha.pay(&binu, 10).item[..]]).unwrap();
            let mut waiting: Vec<(TcpStream, Vec<u8>)> = Vec::new();
            let problem = loop {
                let (status, answer) = api.write(&late).unwrap();
                if status == 503 {
                    break answer;
                }
                assert_eq!(status, 200, "{answer}");
                let body = largest(&asha.pay(&binu, 10).item);
                assert_eq!(body.len(), LARGEST);
                waiting.push((begin(&address, &body), body));
            };
            assert!(problem["detail"].as_str().unwrap().contains("again"), "{problem}");
            let (begun, mut answered) = (waiting.len() as u64, 0);
            for (mut stream, body) in waiting {
                let mut answer = String::new();
                // Who came while the late one had the last place is gone already.
                let given =
                    stream.write_all(&body).and_then(|()| stream.read_to_string(&mut answer));
                if given.is_ok() && answer.starts_with("HTTP/1.1 200") {
                    assert!(answer.contains("\"accepted\""), "{answer}");
                    answered += 1;
                } else {
                    assert_eq!(api.write(&body).unwrap().0, 200);
                }
            }
            assert_eq!(answered, PLACES, "all for whom there was room");
            let (status, answer) = api.write(&late).unwrap();
            assert_eq!(status, 200, "{answer}");
            assert_eq!(balance(api, &account), 500 + 10 * (begun + 1));
            audited(api);
        })
        .await;
    gateway.stop().await;
}
