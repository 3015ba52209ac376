//! A device whose store cannot be read any more stops. To go on as if nothing were stored there
//! would make what it knows durably wrong.

use crate::device::TestBank;
use hundi_ledger::id::{AuthorId, BankNumber};
use hundi_ledger::seal::SealingSecret;
use hundi_ledger::sign::SecretKey;
use hundi_node::daemon::{Config, Daemon, StoreFailed};
use hundi_node::engine::output::Published;
use hundi_node::engine::{Answer, Command, Config as EngineConfig};
use std::path::Path;

/// Changes what the segments hold, behind the back of the store that has them open.
fn damage(store: &Path) {
    let mut pending = vec![store.to_path_buf()];
    let mut segments = Vec::new();
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|it| it == "segment") {
                segments.push(path);
            }
        }
    }
    for path in segments {
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.iter_mut().skip(64).for_each(|byte| *byte ^= 0x55);
        std::fs::write(&path, bytes).unwrap();
    }
}

fn config(bank: &TestBank, store: &Path) -> Config {
    Config {
        network: bank.network.clone(),
        store: store.to_owned(),
        keys: None,
        listen: Vec::new(),
        mdns: false,
        reach: None,
        bluetooth: None,
        // Every author is read from the store when it is asked for.
        engine: EngineConfig { resident_authors: 0, ..EngineConfig::default() },
    }
}

#[tokio::test]
async fn who_stops_a_daemon_waits_until_it_has_ended() {
    let bank = TestBank::new("stopped");
    let dir = tempfile::tempdir().unwrap();
    let config = config(&bank, &dir.path().join("store"));
    let (daemon, _listener, task) = Daemon::start(config).await.unwrap();
    daemon.stop().await;
    assert!(task.is_finished());
    daemon.stop().await;
}

#[tokio::test]
async fn a_read_that_fails_ends_the_daemon_and_nothing_rests_on_it() {
    let bank = TestBank::new("unreadable");
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let (daemon, _listener, task) = Daemon::start(config(&bank, &store)).await.unwrap();
    let key = SecretKey::from_seed(&[7; 32]).public();
    let author = AuthorId { bank: BankNumber(1), key };
    let sealing = SealingSecret::from_bytes(&[7; 32]).public();
    let items = bank.items(author, sealing, &[(0, 0), (1, 1_000)]);
    let answer = daemon.command(Command::Publish { items }).await.unwrap();
    assert_eq!(answer, Answer::Publish(vec![Published::Taken; 3]));
    damage(&store);
    let items = bank.items(author, sealing, &[(2, 1_000)]);
    let answer = daemon.command(Command::Publish { items }).await;
    assert!(answer.is_err(), "decided without what it could not read: {answer:?}");
    let ended = task.await.unwrap();
    assert!(matches!(ended, Err(StoreFailed::Read(_))), "{ended:?}");
}
