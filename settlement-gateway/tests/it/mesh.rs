//! The gateway on the mesh: a payment that a device carries settles, and the outcome comes back.

use crate::gateway::{Running, audited, balance, init, open, until};
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::entry::Class;
use hundi_ledger::replica::Shelf;
use hundi_node::daemon::{Config, Daemon};
use hundi_node::engine::output::Published;
use hundi_node::engine::{self, Answer, Command};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_carries_settles_and_the_outcome_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let home = init(&dir.path().join("bank"));
    let gateway = Running::start(&home).await;
    let (mut payer, payee, account) = gateway
        .with(|api| {
            let (payer, _) = open(api, "Asha", 51, 1_000, 900);
            let (payee, account) = open(api, "Binu", 52, 1_000, 500);
            (payer, payee, account)
        })
        .await;
    let status = gateway
        .with(|api| until(api, "/v1/status", |it| it["listen"].as_array().unwrap().len() == 1))
        .await;
    let address: SocketAddr = status["listen"][0].as_str().unwrap().parse().unwrap();
    let (carrier, _listener, task) = Daemon::start(Config {
        network: home.network().unwrap(),
        store: dir.path().join("carrier"),
        keys: None,
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        mdns: false,
        bluetooth: None,
        reach: Some([address].into()),
        engine: engine::Config { sync_interval_ms: 200, ..engine::Config::default() },
    })
    .await
    .unwrap();

    // The carrier hears the grants from the gateway, then takes the payments and carries them.
    let author = payer.author;
    wait(&carrier, move |engine, shelf| {
        let held = engine.author(&author, shelf);
        held.is_some_and(|held| held.grants().count() == 2)
    })
    .await;
    let made: Vec<_> = (0..5).map(|_| payer.pay(&payee, 30)).collect();
    let items: Vec<Vec<u8>> = made.iter().map(|made| made.item.clone()).collect();
    let count = items.len();
    let answer = carrier.command(Command::Publish { items }).await.unwrap();
    assert_eq!(answer, Answer::Publish(vec![Published::Taken; count]));
    gateway
        .with(move |api| {
            until(api, "/v1/status", |status| status["settled"] == 5);
            assert_eq!(balance(api, &account), 500 + 150);
            audited(api);
        })
        .await;
    // The checkpoint that names the last of them reaches the carrier.
    let last = made.last().unwrap().id;
    wait(&carrier, move |engine, shelf| {
        let checkpoint = engine.author(&author, shelf).and_then(|held| held.checkpoint());
        checkpoint.is_some_and(|it| it.outcome(4, &last) == Some(Outcome::Settled))
    })
    .await;
    assert_eq!(payer.log.next_sequence(), Some(5));
    assert_eq!(payer.log.last().unwrap().kind.class(), Class::Money);
    carrier.stop().await;
    task.await.unwrap().unwrap();
    gateway.stop().await;
}

/// Asks again and again until it holds.
async fn wait(
    daemon: &Daemon,
    holds: impl Fn(&engine::Engine, &dyn Shelf) -> bool + Clone + Send + 'static,
) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !daemon.ask(holds.clone()).await.unwrap() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
