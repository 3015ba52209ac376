//! Another stack as the payer's radio, written from `docs/ble.md` alone (`testnet/ble/foreign`): what
//! our wallet has signed it takes to our payee, and brings the answer. And the same stack as an
//! attacker.

use super::super::node::{Node, until};
use super::super::{Guest, Seen};
use anyhow::{Context, Result, ensure};
use hundi_engine::{Input, LinkId, LinkKind};
use hundi_node::daemon::{Overlay, open_engine};
use hundi_node::device;
use hundi_node::home::Home;
use hundi_node::store::{Store, StoreOptions};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

/// The adapter that the other stack takes for itself.
const ADAPTER: &str = "hci1";
/// What it does to a payee; after each, somebody honest must be able to pay.
const ATTACKS: [&str; 6] =
    ["garbage", "slow", "endless", "wrong_key", "replay", "hundred_connections"];
/// The attack that makes a payment, once.
const PAYS: &str = "replay";

/// What the foreign central prints.
#[derive(Debug, Deserialize)]
struct Paid {
    found_ms: u64,
    connected_ms: u64,
    answered_ms: u64,
    writes: u64,
    notifications: u64,
    receipt_hex: String,
}

/// What an attack prints.
#[derive(Debug, Deserialize)]
struct Attacked {
    held: bool,
    #[serde(default)]
    why: String,
    #[serde(default)]
    figures: serde_json::Value,
}

/// The wallet signs and is switched off; the other stack pays with what it signed.
pub(super) fn pays(guest: &mut Guest, bearer: &str) -> Result<Seen> {
    let payee = guest.start("ravi", "hci0", &[])?;
    let uri = payee.request("4.00")?;
    let mut signed = sign(guest, &uri)?;
    let args = ["--link", &uri, "--bearer", bearer, "--offer"].map(PathBuf::from);
    let output = on_its_own(guest, "payer.py", &[&args[..], &[signed.offer.clone()]].concat())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it could not pay: {}", said.trim());
    let paid: Paid = serde_json::from_slice(&output.stdout).context("what it printed")?;
    signed.is_received_with(&paid.receipt_hex, &payee)?;
    guest.accepted.push(signed.id);
    payee.stop()?;
    let mut seen = Seen::from("paid, and its receipt is one to our wallet".to_owned());
    for (name, value) in [
        ("found_ms", paid.found_ms),
        ("connected_ms", paid.connected_ms),
        ("answered_ms", paid.answered_ms),
        ("writes", paid.writes),
        ("notifications", paid.notifications),
    ] {
        seen.figures.insert(format!("foreign_{bearer}_{name}"), value);
    }
    Ok(seen)
}

/// A payee under attack, in one way after the other; after each somebody honest pays it.
pub(super) fn attacks(guest: &mut Guest) -> Result<Seen> {
    let payee = guest.start("ravi", "hci0", &[])?;
    for attack in ATTACKS {
        attacked(guest, &payee, attack).with_context(|| format!("attacked: {attack}"))?;
    }
    payee.stop()?;
    Ok(format!("an honest payment after each of {}", ATTACKS.join(", ")).into())
}

fn attacked(guest: &mut Guest, payee: &Node, attack: &str) -> Result<()> {
    let uri = payee.request("4.00")?;
    let mut signed = sign(guest, &uri)?;
    let args = [
        "--link".into(),
        PathBuf::from(&uri),
        "--offer".into(),
        signed.offer.clone(),
        "--log".into(),
        payee.log().to_owned(),
        attack.into(),
    ];
    let output = on_its_own(guest, "attacker.py", &args)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let attacked: Attacked = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("what it printed; it said: {}", said.trim()))?;
    eprintln!("{attack}: {}", attacked.figures);
    ensure!(attacked.held, "{}", attacked.why);
    let mut honest = uri;
    if attack == PAYS {
        let receipt = attacked.figures["answer_hex"].as_str().context("no answer")?;
        signed.is_received_with(receipt, payee)?;
        guest.accepted.push(signed.id.clone());
        honest = payee.request("4.00")?;
    }
    // Its device needs the store.
    drop(signed);
    let payer = guest.start("asha", ADAPTER, &[])?;
    guest.accepted.push(payer.pay_received(&honest)?.id);
    payer.stop()
}

/// What a wallet has signed, for others to take to its payee.
struct Signed {
    id: String,
    offer: PathBuf,
    wallet: Wallet,
}

fn sign(guest: &mut Guest, uri: &str) -> Result<Signed> {
    let device = guest.start_plain("asha", &["--reach", "none"])?;
    let id = device.pay(uri, 0)?.id;
    device.stop()?;
    let wallet = Wallet::open(&guest.dir("asha"))?;
    let offer = guest.payload.join("offer");
    std::fs::write(&offer, wallet.offer(&id)?).context("the offer")?;
    Ok(Signed { id, offer, wallet })
}

impl Signed {
    /// What somebody brought is a receipt to the wallet, and the payee has the payment once.
    fn is_received_with(&mut self, receipt_hex: &str, payee: &Node) -> Result<()> {
        self.wallet.take_answer(receipt_hex)?;
        ensure!(self.wallet.state(&self.id)? == "received", "what it brought is no receipt");
        let rows: Vec<_> = payee.rows()?.into_iter().filter(|row| row.id == self.id).collect();
        ensure!(rows.len() == 1 && rows[0].state == "received", "the payee has {rows:?}");
        Ok(())
    }
}

/// Runs one of its programs while it has the adapter, and gives the adapter back.
fn on_its_own(guest: &Guest, program: &str, args: &[PathBuf]) -> Result<Output> {
    adapter("down")?;
    let mut command = Command::new(guest.payload.join("python/python"));
    command.arg(guest.payload.join("foreign").join(program)).args(args);
    let output = command.stdin(Stdio::null()).output().context("the foreign central")?;
    until(|| Ok(adapter("up").is_ok())).context("its adapter does not come back")?;
    Ok(output)
}

fn adapter(what: &str) -> Result<()> {
    let status = Command::new("hciconfig").args([ADAPTER, what]).status().context("hciconfig")?;
    ensure!(status.success(), "hciconfig {ADAPTER} {what}");
    Ok(())
}

/// A wallet without its daemon: what it offers, and what it makes of an answer. Nothing that it is
/// shown here is kept.
struct Wallet {
    engine: hundi_engine::Engine,
    shelf: Overlay,
}

impl Wallet {
    fn open(dir: &Path) -> Result<Self> {
        let home = Home::open(dir)?;
        let (store, _) = Store::open(&home.store(), StoreOptions::default())?;
        let store = Arc::new(store);
        let keys = device::keys(&home)?;
        let config = hundi_engine::Config::default();
        let engine = open_engine(config, home.network()?, Some(keys), &store, true)?;
        Ok(Self { engine, shelf: Overlay::new(store) })
    }

    fn offer(&self, id: &str) -> Result<Vec<u8>> {
        let id = id.parse().map_err(|error| anyhow::anyhow!("{id}: {error}"))?;
        self.engine.offer_of(&id, &self.shelf).context("there is nothing to offer")
    }

    fn take_answer(&mut self, hex: &str) -> Result<()> {
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).context("the answer")?;
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_ms = u64::try_from(since.context("the clock")?.as_millis())?;
        let (link, handshake_hash) = (LinkId(0), [0; 32]);
        let up = Input::LinkUp { link, handshake_hash, initiator: true, kind: LinkKind::Payment };
        for (at, input) in [up, Input::Message { link, bytes }].into_iter().enumerate() {
            let mut entropy = [0; 32];
            entropy[0] = u8::try_from(at)?;
            let outputs = self.engine.handle(now_ms, entropy, input, &self.shelf);
            for output in outputs {
                if let hundi_engine::Output::Persist { number, writes } = output {
                    let _for_the_store = self.shelf.add(number, writes);
                }
            }
        }
        Ok(())
    }

    fn state(&self, id: &str) -> Result<&'static str> {
        let id = id.parse().map_err(|error| anyhow::anyhow!("{id}: {error}"))?;
        let view = self.engine.payment(&id, &self.shelf).context("no such payment")?;
        Ok(view.state.word())
    }
}
