//! Checkpoints come after the answers: few under load, all of them before a gateway ends, and after
//! a kill by the next run.

use crate::crowd::enrol;
use crate::device::{Device, Made};
use crate::gateway::init;
use hundi_gateway::app::{journal_dir, replay};
use hundi_gateway::bank_task::{self, BankHandle, BankTaskError};
use hundi_gateway::journal_store::JournalStore;
use hundi_gateway::keys;
use hundi_journal::event::{Change, Event};
use hundi_journal::input::Input;
use hundi_journal::output::Verdict;
use hundi_ledger::id::NetworkId;
use hundi_ledger::record::checkpoint::{Checkpoint, Outcome};
use hundi_ledger::record::item::Item;
use hundi_ledger::replica::Key;
use hundi_node::home::Home;
use std::sync::{Arc, mpsc as blocking};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A bank's thread over its store, without a node or an API.
struct Run {
    bank: BankHandle,
    task: JoinHandle<Result<(), BankTaskError>>,
    device: Box<dyn Fn(u8) -> Device>,
}

impl Run {
    async fn start(home: &Home) -> Self {
        let (network, loaded) = (home.network().unwrap(), keys::load(home).unwrap());
        let (id, sealing) = (network.id(), loaded.keys.sealing[0].public());
        let (journal, events) = JournalStore::open(&journal_dir(home), id).unwrap();
        let bank = replay(&network, loaded.number, &events).unwrap();
        let (publish, mut published) = mpsc::channel(4);
        tokio::spawn(async move { while published.recv().await.is_some() {} });
        let (bank, task) = bank_task::start(bank, loaded.keys, Arc::new(journal), publish);
        for record in loaded.certificates {
            bank.handle(vec![Input::InstallCertificate { record }]).await.unwrap();
        }
        let device = move |seed| Device::new(id, sealing, seed);
        Self { bank, task, device: Box::new(device) }
    }

    /// Pays and submits so many times, one payment each.
    async fn pay(&self, payer: &mut Device, payee: &Device, times: usize) -> Vec<Made> {
        let made: Vec<Made> = (0..times).map(|_| payer.pay(payee, 1)).collect();
        for made in &made {
            let input = Input::Submit { items: vec![made.item.clone()] };
            let outputs = self.bank.handle(vec![input]).await.unwrap();
            assert!(settles(&outputs[0].verdicts[0]), "{outputs:?}");
        }
        made
    }

    async fn stop(self) {
        self.bank.stop().await;
        self.task.await.unwrap().unwrap();
    }
}

fn settles(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Decided { outcome: Outcome::Settled, duplicate: false, .. })
}

/// What a store holds: how many checkpoints were signed, whether one is due, and the newest one of an
/// author.
pub struct Stored {
    pub signed: usize,
    pub due: bool,
    pub newest: Option<Checkpoint>,
}

pub fn stored(home: &Home, author: &Device) -> Stored {
    let (network, number) = (home.network().unwrap(), keys::load(home).unwrap().number);
    let (journal, events) = JournalStore::open(&journal_dir(home), network.id()).unwrap();
    let is_signed = |event: &&Event| matches!(event.change, Change::CheckpointSigned { .. });
    let signed = events.iter().filter(is_signed).count();
    let due = replay(&network, number, &events).unwrap().checkpoint_due().is_some();
    let record = journal.record(&Key::Checkpoint(author.author)).unwrap();
    Stored { signed, due, newest: record.map(|record| checkpoint(&network.id(), &record)) }
}

fn checkpoint(network: &NetworkId, record: &[u8]) -> Checkpoint {
    match Item::decode(network, record).unwrap() {
        Item::Checkpoint(record) => Checkpoint::clone(&record),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_due_at_the_end_of_a_run_is_signed_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let home = init(&dir.path().join("bank"));
    // As if it were killed before it came to signing: nothing lets it sign.
    let run = Run::start(&home).await;
    let (mut payer, payee) = ((run.device)(1), (run.device)(2));
    enrol(&run.bank, 1, &payer).await;
    let made = run.pay(&mut payer, &payee, 3).await;
    run.stop().await;
    let left = stored(&home, &payer);
    assert!(left.due && left.newest.is_none());

    let run = Run::start(&home).await;
    run.bank.begin_signing().await;
    run.stop().await;
    let ended = stored(&home, &payer);
    assert!(!ended.due, "who ends has told everything");
    assert_eq!(ended.newest.unwrap().frontier.unwrap().hash, made[2].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_one_author_gets_few_checkpoints() {
    const BURST: usize = 32;
    let dir = tempfile::tempdir().unwrap();
    let home = init(&dir.path().join("bank"));
    let run = Run::start(&home).await;
    run.bank.begin_signing().await;
    let (mut payer, payee) = ((run.device)(1), (run.device)(2));
    enrol(&run.bank, 1, &payer).await;
    // Everything queues up behind a question that takes its time.
    let (ask, asked) = blocking::channel();
    let (go, held) = blocking::channel::<()>();
    let bank = run.bank.clone();
    let question = tokio::spawn(async move {
        bank.ask(move |_| {
            ask.send(()).unwrap();
            held.recv().unwrap();
        })
        .await
    });
    tokio::task::spawn_blocking(move || asked.recv().unwrap()).await.unwrap();
    let mut answers = Vec::new();
    for _ in 0..BURST {
        let input = Input::Submit { items: vec![payer.pay(&payee, 1).item] };
        let mut answer = Box::pin(run.bank.handle(vec![input]));
        // Asked once, it is in the queue.
        tokio::select! {
            biased;
            early = &mut answer => panic!("answered while the bank was busy: {early:?}"),
            () = std::future::ready(()) => answers.push(answer),
        }
    }
    go.send(()).unwrap();
    question.await.unwrap().unwrap();
    for answer in answers {
        assert!(settles(&answer.await.unwrap()[0].verdicts[0]));
    }
    run.stop().await;
    let ended = stored(&home, &payer);
    assert!(!ended.due);
    assert_eq!(ended.newest.unwrap().frontier.unwrap().sequence, BURST as u32 - 1);
    assert!(ended.signed <= 2, "{} checkpoints for {BURST} submissions", ended.signed);
}
