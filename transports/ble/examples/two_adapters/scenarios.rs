//! The scenarios, each of which proves what the next one needs.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hundi_transports::ble::hint::Session;
use hundi_transports::channel::LinkKey;
use hundi_transports::link::LinkId;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::sleep;

use crate::hostile;
use crate::node::Node;
use crate::raw;
use crate::watcher::Watcher;

/// All scenarios, in order.
pub(crate) const NAMES: [&str; 14] = [
    "seen",
    "strangers_gatt",
    "payment_gatt",
    "strangers_l2cap",
    "payment_l2cap_info",
    "payment_l2cap_hint",
    "power",
    "daemon",
    "linked_payment",
    "hostile",
    "vanish",
    "vanish_daemon",
    "goodput",
    "floor",
];

/// An offer of the size that `docs/ble.md` counts for a payee that knows nothing.
pub(crate) const OFFER_BYTES: usize = 1_496;

/// A receipt's size, about.
pub(crate) const RECEIPT_BYTES: usize = 300;

/// How often what is compared is sent.
const ROUNDS: usize = 3;

/// What each side sends to a stranger, in messages.
const MESSAGES: usize = 50;
const MESSAGE_BYTES: usize = 4_000;

/// Payments of one scenario, unless `HUNDI_PAYMENTS` says how many.
const PAYMENTS: u8 = 5;

/// What a scenario runs on.
pub(crate) struct Setup {
    pub(crate) adapters: [String; 2],
    pub(crate) daemon: Option<String>,
    pub(crate) watcher: Watcher,
}

/// Runs a scenario; its figures, or what did not hold.
pub(crate) async fn run(name: &str, setup: &Setup) -> anyhow::Result<Value> {
    match name {
        "seen" => seen(setup).await,
        "strangers_gatt" => strangers(setup, false).await,
        "strangers_l2cap" => strangers(setup, true).await,
        "payment_gatt" => payments(setup, Way::Gatt).await,
        "payment_l2cap_info" => payments(setup, Way::Info).await,
        "payment_l2cap_hint" => payments(setup, Way::Hint).await,
        "power" => power(setup).await,
        "daemon" => daemon(setup).await,
        "linked_payment" => linked_payment(setup).await,
        "hostile" => hostile::central(setup).await,
        "vanish" => hostile::vanish(setup, false).await,
        "vanish_daemon" => hostile::vanish(setup, true).await,
        "goodput" => goodput(setup).await,
        "floor" => floor(setup).await,
        _ => unreachable!("main knows the names"),
    }
}

/// A payer's way to the payee's channel, if any.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Gatt,
    Info,
    Hint,
}

/// Two nodes that hold the same see each other, and leave it at that.
async fn seen(setup: &Setup) -> anyhow::Result<Value> {
    let [mut left, mut right] = pair(setup, false, [7, 7]).await?;
    let began = Instant::now();
    let mut seen_ms = Value::Null;
    while began.elapsed() < Duration::from_secs(60) && seen_ms.is_null() {
        sleep(Duration::from_millis(50)).await;
        if setup.adapters.iter().all(|adapter| setup.watcher.of(adapter).seen > 0) {
            seen_ms = json!(began.elapsed().as_millis());
        }
    }
    ensure!(
        !seen_ms.is_null(),
        "seen: {:?}",
        setup.adapters.each_ref().map(|adapter| setup.watcher.of(adapter).seen)
    );
    let connected = tokio::join!(
        left.hears_of_a_link(Duration::from_secs(12)),
        right.hears_of_a_link(Duration::from_secs(12)),
    );
    ensure!(connected == (false, false), "nodes in sync have connected");
    stop(left, right).await;
    Ok(json!({ "both_seen_ms": seen_ms }))
}

/// Two nodes that hold different things connect and send each other 200 kB.
async fn strangers(setup: &Setup, channels: bool) -> anyhow::Result<Value> {
    let [mut left, mut right] = pair(setup, channels, [1, 2]).await?;
    let began = Instant::now();
    let links = tokio::join!(left.up(), right.up());
    let links = (links.0?, links.1?);
    let up_ms = began.elapsed().as_millis();
    let there = exchange(setup, &left, links.0, &mut right).await?;
    let back = exchange(setup, &right, links.1, &mut left).await?;
    left.handle.close(links.0).await;
    let ends = tokio::join!(left.down(), right.down());
    let (left_end, right_end) = (ends.0?.to_string(), ends.1?.to_string());
    stop(left, right).await;
    let ends = json!([left_end, right_end]);
    Ok(json!({ "up_ms": up_ms, "there": there, "back": back, "ends": ends }))
}

/// Sends 200 kB one way, and looks whether they are what arrives.
async fn exchange(
    setup: &Setup,
    from: &Node,
    link: LinkId,
    to: &mut Node,
) -> anyhow::Result<Value> {
    let values = setup.watcher.of(&from.adapter).values;
    let took = send_all(from, link, to).await?;
    let values = setup.watcher.of(&from.adapter).values - values;
    let (bytes, rate) = (MESSAGES * MESSAGE_BYTES, rate(MESSAGES * MESSAGE_BYTES, took));
    Ok(json!({ "bytes": bytes, "ms": took.as_millis(), "bytes_per_s": rate, "values": values }))
}

/// Bytes in a second.
fn rate(bytes: usize, took: Duration) -> u128 {
    bytes as u128 * 1_000 / took.as_millis().max(1)
}

/// Sends 200 kB in messages; how long until the last has arrived.
async fn send_all(from: &Node, link: LinkId, to: &mut Node) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let handle = from.handle.clone();
    let sending = tokio::spawn(async move {
        for number in 0..MESSAGES {
            handle.send(link, message(number)).await?;
        }
        anyhow::Ok(())
    });
    for number in 0..MESSAGES {
        ensure!(to.message().await?.1 == message(number), "message {number} is another one");
    }
    sending.await??;
    Ok(began.elapsed())
}

/// 200 kB over each bearer, by BlueZ alone and by the driver, central to peripheral and back: the
/// median of some rounds each.
async fn goodput(setup: &Setup) -> anyhow::Result<Value> {
    let bytes = MESSAGES * MESSAGE_BYTES;
    let mut figures = serde_json::Map::new();
    for (bearer, channels) in [("gatt", false), ("l2cap", true)] {
        let raw = match channels {
            false => raw::gatt(setup, bytes, ROUNDS).await,
            true => raw::l2cap(setup, bytes, ROUNDS).await,
        };
        let raw = raw.with_context(|| format!("{bearer}, by BlueZ alone"))?;
        let arrived = raw.iter().map(|transfer| transfer.bytes).min();
        let raw = median(raw.iter().map(|transfer| rate(transfer.bytes, transfer.took)).collect());
        let (ours, sent) =
            driven(setup, channels).await.with_context(|| format!("{bearer}, driven"))?;
        figures.insert(
            bearer.to_owned(),
            json!({
                "raw_bytes_per_s": raw, "raw_arrived_min": arrived, "bytes_per_s": ours,
                "percent": ours * 100 / raw.max(1), "values": sent,
            }),
        );
    }
    Ok(figures.into())
}

/// What the driver sends in a second from the central to the peripheral, and the values of one
/// round there and back.
async fn driven(setup: &Setup, channels: bool) -> anyhow::Result<(u128, [u64; 2])> {
    let [mut left, mut right] = pair(setup, channels, [1, 2]).await?;
    let links = tokio::join!(left.link(), right.link());
    let ((left_link, left_is_central), (right_link, _)) = (links.0?, links.1?);
    let mut rates = Vec::new();
    let mut values = [0, 0];
    for _ in 0..ROUNDS {
        let before = setup.adapters.each_ref().map(|adapter| setup.watcher.of(adapter).values);
        let took = match left_is_central {
            true => send_all(&left, left_link, &mut right).await?,
            false => send_all(&right, right_link, &mut left).await?,
        };
        rates.push(rate(MESSAGES * MESSAGE_BYTES, took));
        let after = setup.adapters.each_ref().map(|adapter| setup.watcher.of(adapter).values);
        values = [after[0] - before[0], after[1] - before[1]];
    }
    left.handle.close(left_link).await;
    let ends = tokio::join!(left.down(), right.down());
    ends.0?;
    ends.1?;
    stop(left, right).await;
    Ok((median(rates), values))
}

fn median(mut values: Vec<u128>) -> u128 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// What connecting with a device that was seen and one value there and back take without us.
async fn floor(setup: &Setup) -> anyhow::Result<Value> {
    let times = usize::from(payments_wanted()?);
    let gatt = raw::echoes(setup, times).await.context("over GATT")?;
    let l2cap = raw::channel_echoes(setup, times).await.context("over a channel")?;
    let of = |took: Vec<Duration>| {
        let mut ms: Vec<u128> = took.iter().map(Duration::as_millis).collect();
        ms.sort_unstable();
        json!({ "p50_ms": percentile(&ms, 50), "p95_ms": percentile(&ms, 95), "max_ms": ms.last() })
    };
    Ok(json!({ "times": times, "gatt": of(gatt), "l2cap": of(l2cap) }))
}

/// The value that so many percent do not exceed; of sorted values.
fn percentile(sorted: &[u128], percent: usize) -> Option<u128> {
    sorted.get((sorted.len() * percent).div_ceil(100).max(1) - 1).copied()
}

fn payments_wanted() -> anyhow::Result<u8> {
    match std::env::var("HUNDI_PAYMENTS") {
        Ok(count) => count.parse().context("HUNDI_PAYMENTS takes a number up to 255"),
        Err(_) => Ok(PAYMENTS),
    }
}

fn message(number: usize) -> Vec<u8> {
    (0..MESSAGE_BYTES).map(|at| (at * 31 + number) as u8).collect()
}

/// Payments from a cold start each, one right after the other: the payee shows a new session, the
/// payer looks for it, and both let go of the link.
async fn payments(setup: &Setup, way: Way) -> anyhow::Result<Value> {
    let count = payments_wanted()?;
    let [mut payee, mut payer] = pair(setup, way != Way::Gatt, [7, 7]).await?;
    let mut receipts_ms = Vec::new();
    for number in 0..count {
        let paid = pay(setup, &mut payee, &mut payer, number, way).await;
        let paid = paid.with_context(|| format!("payment {number}"))?;
        println!("{}", json!({ "payment": number, "figures": paid.figures }));
        receipts_ms.push(paid.receipt_ms);
    }
    stop(payee, payer).await;
    receipts_ms.sort_unstable();
    let at = |percent| percentile(&receipts_ms, percent);
    Ok(json!({
        "payments": count, "receipt_ms_p50": at(50), "receipt_ms_p95": at(95),
        "receipt_ms_max": at(100),
    }))
}

/// What a payment took.
struct Paid {
    receipt_ms: u128,
    figures: Value,
}

/// One payment: the offer is what the payer sent, the receipt what the payee answered.
async fn pay(
    setup: &Setup,
    payee: &mut Node,
    payer: &mut Node,
    number: u8,
    way: Way,
) -> anyhow::Result<Paid> {
    let key = LinkKey::from_bytes([number + 1; 32]);
    let psm = payee.psm.filter(|_| way == Way::Hint);
    ensure!(way != Way::Hint || psm.is_some(), "the payee has no channel");
    // Like no other's, of the driver's either.
    let session = Session { uuid: [number ^ 0xa0; 16], key: key.public(), psm };
    let (offer, receipt) = (vec![number; OFFER_BYTES], vec![number; RECEIPT_BYTES]);
    let before = [setup.watcher.of(&payer.adapter), setup.watcher.of(&payee.adapter)];
    payee.handle.invite(Some((session, key))).await?;
    let began = Instant::now();
    payer.handle.pay(session, offer.clone(), 60_000).await?;
    let mut offers = Vec::new();
    // The payer offers again what was not answered, and the payee answers again.
    let answering = async {
        loop {
            let (link, heard) = payee.offer().await?;
            offers.push((link, began.elapsed().as_millis()));
            ensure!(heard == offer, "the offer is another one");
            payee.handle.send(link, receipt.clone()).await?;
        }
    };
    let (paid, answer) = tokio::select! {
        failed = answering => return failed,
        answer = payer.message() => answer?,
    };
    ensure!(answer == receipt, "the receipt is another one");
    let (link, offer_ms) = *offers.last().context("a receipt without an offer")?;
    let receipt_ms = began.elapsed().as_millis();
    let [there, back] = [&payer, &payee].map(|node| setup.watcher.of(&node.adapter));
    // Either end may be the one that lets go.
    if number.is_multiple_of(2) {
        payer.handle.close(paid).await;
    } else {
        payee.handle.close(link).await;
    }
    payer.down().await?;
    payee.down().await?;
    payee.handle.invite(None).await?;
    let figures = json!({
        "offers": offers.len(), "offer_ms": offer_ms, "receipt_ms": receipt_ms, "over_ms": began.elapsed().as_millis(),
        "writes": there.values - before[0].values, "bytes_there": there.bytes - before[0].bytes,
        "notifications": back.values - before[1].values,
        "bytes_back": back.bytes - before[1].bytes,
    });
    Ok(Paid { receipt_ms, figures })
}

/// Two nodes that have a link of the mesh pay each other: BlueZ shows the payer nothing of what a
/// device that it is connected with advertises.
async fn linked_payment(setup: &Setup) -> anyhow::Result<Value> {
    let [mut left, mut right] = pair(setup, false, [1, 2]).await?;
    let links = tokio::join!(left.up(), right.up());
    links.0?;
    links.1?;
    let key = LinkKey::from_bytes([30; 32]);
    let session = Session { uuid: [30; 16], key: key.public(), psm: None };
    left.handle.invite(Some((session, key))).await?;
    let began = Instant::now();
    right.handle.pay(session, vec![30; OFFER_BYTES], 60_000).await?;
    // The payer lets go of the mesh.
    let ends = tokio::join!(left.down(), right.down());
    let ends = [ends.0?.to_string(), ends.1?.to_string()];
    let (link, _) = left.offer().await?;
    left.handle.send(link, vec![30; RECEIPT_BYTES]).await?;
    right.message().await?;
    let receipt_ms = began.elapsed().as_millis();
    stop(left, right).await;
    Ok(json!({ "mesh_link_ends": ends, "receipt_ms": receipt_ms }))
}

/// An adapter is switched off in the middle of a link, and on again; a payment follows.
async fn power(setup: &Setup) -> anyhow::Result<Value> {
    let [mut left, mut right] = pair(setup, false, [1, 2]).await?;
    let links = tokio::join!(left.up(), right.up());
    links.0?;
    links.1?;
    let adapter = bluer::Session::new().await?.adapter(&setup.adapters[1])?;
    adapter.set_powered(false).await.context("the adapter is not switched off")?;
    let why = right.off_and_down().await?;
    let end = left.down().await?.to_string();
    // A driver that may switches it on by itself; if that is too early, this does.
    right.on().await?;
    left.handle.hold([2; 32]).await?;
    let payment = pay(setup, &mut left, &mut right, 10, Way::Gatt).await?;
    stop(left, right).await;
    Ok(json!({ "off": why, "other_end": end, "payment": payment.figures }))
}

/// Bluetoothd is killed in the middle of a link, and started again; a payment follows.
async fn daemon(setup: &Setup) -> anyhow::Result<Value> {
    let command = setup.daemon.as_deref().context("HUNDI_DAEMON is not given")?;
    let [mut left, mut right] = pair(setup, false, [1, 2]).await?;
    let links = tokio::join!(left.up(), right.up());
    links.0?;
    links.1?;
    order(command, "kill").await?;
    let began = Instant::now();
    let why = tokio::join!(left.off_and_down(), right.off_and_down());
    let why = [why.0?, why.1?];
    let noticed_ms = began.elapsed().as_millis();
    order(command, "start").await?;
    let began = Instant::now();
    let back = tokio::join!(left.on(), right.on());
    back.0?;
    back.1?;
    let back_ms = began.elapsed().as_millis();
    left.handle.hold([2; 32]).await?;
    let payment = pay(setup, &mut left, &mut right, 20, Way::Gatt).await?;
    stop(left, right).await;
    Ok(
        json!({ "off": why, "noticed_ms": noticed_ms, "back_ms": back_ms, "payment": payment.figures }),
    )
}

pub(crate) async fn order(command: &str, what: &str) -> anyhow::Result<()> {
    let status = Command::new(command).arg(what).status().await?;
    ensure!(status.success(), "{command} {what}: {status}");
    Ok(())
}

async fn pair(setup: &Setup, channels: bool, held: [u8; 2]) -> anyhow::Result<[Node; 2]> {
    let [left, right] = &setup.adapters;
    let left = Node::start(left, channels, held[0]).await?;
    let right = Node::start(right, channels, held[1]).await?;
    Ok([left, right])
}

async fn stop(left: Node, right: Node) {
    tokio::join!(left.stop(), right.stop());
}
