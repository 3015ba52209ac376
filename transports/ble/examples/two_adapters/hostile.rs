//! What a hostile central can do to a payee, and what a payee that vanishes can do to its payer.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use hundi_transports::ble::fragment::{Data, Fragment};
use hundi_transports::ble::hint::Session;
use hundi_transports::ble::link::{Callee, Event};
use hundi_transports::channel::LinkKey;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::node::{Node, WITHIN};
use crate::puppet::{Puppet, VALUE_BYTES};
use crate::scenarios::{OFFER_BYTES, RECEIPT_BYTES, Setup};

/// Connections one after another.
const CONNECTIONS: usize = 100;

/// A session that nobody else has.
fn session(number: u8) -> (Session, LinkKey) {
    let key = LinkKey::from_bytes([number; 32]);
    (Session { uuid: [number; 16], key: key.public(), psm: None }, key)
}

/// Garbage, silence, a stream without end, a wrong key, a replay, a hundred connections: the payee
/// ends each, hears of no link and no other offer, and is paid afterwards.
pub(crate) async fn central(setup: &Setup) -> anyhow::Result<Value> {
    let [here, there] = &setup.adapters;
    let mut payee = Node::start(here, true, 7).await?;
    let mut puppet = Puppet::new(there).await?;
    let (session, key) = session(0xb1);
    payee.handle.invite(Some((session, key))).await?;

    let mut over = puppet.connect(session.uuid).await?;
    for length in [1, 2, 3, 20, VALUE_BYTES] {
        over.write(vec![0xff; length]).await;
    }
    let garbage = over.ended().await?;

    let mut over = puppet.connect(session.uuid).await?;
    over.write(data(0, &[0x10, 1, 2])).await;
    let slow = over.ended().await?;

    let endless = endless(&puppet, session.uuid).await?;

    let mut over = puppet.connect(session.uuid).await?;
    let stranger = Session { key: LinkKey::from_bytes([1; 32]).public(), ..session };
    let first = vec![1; OFFER_BYTES];
    let mut link = puppet.begin(Callee::Payee { session: stranger, first });
    let event = puppet.until_said(&mut link, &mut over).await;
    ensure!(matches!(event, Event::Down(_)), "a wrong key: {event:?}");
    let wrong_key = over.ended().await?;
    ensure!(payee.ups == 0, "a link is up");

    let said = pay(&mut puppet, &mut payee, session, 2).await?;
    let mut over = puppet.connect(session.uuid).await?;
    for value in said {
        over.write(value).await;
    }
    let (link, again) = payee.offer().await?;
    ensure!(again == vec![2; OFFER_BYTES], "the replay brings another offer");
    payee.handle.send(link, vec![2; RECEIPT_BYTES]).await?;
    let replay = over.ended().await?;
    let why = payee.down().await?.to_string();

    let crowd = crowd(&puppet, &mut payee, session).await?;
    pay(&mut puppet, &mut payee, session, 3).await?;
    ensure!(payee.ups == 3, "{} links came up, of two payments and a replay", payee.ups);
    payee.stop().await;
    Ok(json!({
        "ended_after_ms": {
            "garbage": garbage, "slow": slow, "endless": endless, "wrong_key": wrong_key,
            "replay": replay,
        },
        "replay_ended": why, "connections": crowd,
    }))
}

/// A fragment of a stream.
fn data(number: u16, bytes: &[u8]) -> Vec<u8> {
    let data = Data { number, first: number == 0, bytes };
    Fragment::Parts { ack: None, data: Some(data) }.encode()
}

/// Fragments as fast as BlueZ takes them, until the node has enough.
async fn endless(puppet: &Puppet, session: [u8; 16]) -> anyhow::Result<u128> {
    let mut over = puppet.connect(session).await?;
    let began = Instant::now();
    // A hello, and a frame of the longest length that a handshake may have.
    over.write(data(0, &[0x10, 3, 4, 0x00, 0x10])).await;
    let mut number = 1;
    while over.device.is_connected().await.unwrap_or(false) {
        over.write(data(number, &[5; VALUE_BYTES - 2])).await;
        number = (number + 1) % 4_096;
        ensure!(began.elapsed() < WITHIN, "the node never has enough");
    }
    Ok(began.elapsed().as_millis())
}

/// An honest payment of the puppet; what it wrote until the receipt was there.
async fn pay(
    puppet: &mut Puppet,
    payee: &mut Node,
    session: Session,
    number: u8,
) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut over = puppet.connect(session.uuid).await?;
    let mut link = puppet.begin(Callee::Payee { session, first: vec![number; OFFER_BYTES] });
    let paying = async {
        let (link, offer) = payee.offer().await?;
        ensure!(offer == vec![number; OFFER_BYTES], "the offer is another one");
        payee.handle.send(link, vec![number; RECEIPT_BYTES]).await?;
        anyhow::Ok(())
    };
    let answer = async {
        let up = puppet.until_said(&mut link, &mut over).await;
        ensure!(matches!(up, Event::Up { .. }), "{up:?} before a link");
        // What a replay repeats: all up to here, and nothing that proves a key.
        let said = over.said.clone();
        match puppet.until_said(&mut link, &mut over).await {
            Event::Message(receipt) if receipt == vec![number; RECEIPT_BYTES] => Ok(said),
            other => bail!("{other:?} before the receipt"),
        }
    };
    let (offered, said) = tokio::join!(paying, answer);
    offered?;
    over.leave().await?;
    payee.down().await?;
    said
}

/// One connection after the other, over the channel: every second one says something.
async fn crowd(puppet: &Puppet, payee: &mut Node, session: Session) -> anyhow::Result<Value> {
    let psm = payee.psm.context("the payee has no channel")?;
    let device = puppet.find(session.uuid, WITHIN).await?;
    let began = Instant::now();
    let mut refused = 0;
    for number in 0..CONNECTIONS {
        match puppet.channel(device.address(), psm).await {
            Ok(channel) if number % 2 == 1 => drop(channel.send(&[0xff; 20]).await),
            Ok(_) => {}
            Err(_) => refused += 1,
        }
        sleep(Duration::from_millis(1)).await;
    }
    ensure!(refused < CONNECTIONS / 2, "{refused} of {CONNECTIONS} were not even accepted");
    Ok(json!({ "made": CONNECTIONS, "refused": refused, "ms": began.elapsed().as_millis() }))
}

/// A payee vanishes after the first, a middle and the last value of the offer, and comes back: the
/// payer, who goes on looking, pays it with the same offer.
pub(crate) async fn vanish(setup: &Setup, with_daemon: bool) -> anyhow::Result<Value> {
    let [here, there] = &setup.adapters;
    let command = setup.daemon.as_deref().filter(|_| with_daemon);
    ensure!(command.is_some() || !with_daemon, "HUNDI_DAEMON is not given");
    let mut payer = Node::start(there, false, 7).await?;
    let mut figures = Vec::new();
    // The offer takes four values of 510 bytes.
    for (number, after) in (0xc1..).zip([1, 2, 4]) {
        let (session, key) = session(number);
        let offer = vec![number; OFFER_BYTES];
        payer.handle.pay(session, offer.clone(), 120_000).await?;
        let puppet = Puppet::new(here).await?;
        let had_offer = puppet.vanish(session, key.clone(), after, command).await?;
        ensure!(had_offer == (after == 4), "after {after} values the offer was there: {had_offer}");
        let began = Instant::now();
        let mut payee = Node::start(here, false, 7).await?;
        payee.handle.invite(Some((session, key))).await?;
        let (link, heard) = payee.offer().await?;
        ensure!(heard == offer, "another offer");
        payee.handle.send(link, vec![number; RECEIPT_BYTES]).await?;
        let (paid, receipt) = payer.message().await?;
        ensure!(receipt == vec![number; RECEIPT_BYTES], "another receipt");
        payer.handle.close(paid).await;
        payer.down().await?;
        payee.down().await?;
        payee.stop().await;
        let figure = json!({ "after": after, "paid_ms": began.elapsed().as_millis() });
        println!("{figure}");
        figures.push(figure);
    }
    payer.stop().await;
    Ok(json!(figures))
}
