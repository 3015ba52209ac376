//! Bluetooth as the rest of the daemon sees it: how it is configured and how it is, the session that
//! a payment request shows, and the task that asks the transport.

use hundi_ledger::id::RequestId;
use hundi_transport_ble as ble;
use hundi_transports::ble::hint::Session;
use hundi_transports::channel::LinkKey;
use thiserror::Error;
use tokio::sync::{mpsc, watch};

/// How long a payee nearby is looked for; then its payer is told to pay again to resume.
pub const SEARCH_S: u64 = 30;
/// What waits for the transport's task, which takes everything at once: people do not ask faster.
const ASKS_MAX: usize = 64;

/// How a daemon uses Bluetooth.
#[derive(Clone, Debug, Default)]
pub struct Bluetooth {
    /// The adapter, as BlueZ names it (`hci0`); none takes the first one.
    pub adapter: Option<String>,
    /// Whether to do without L2CAP channels.
    pub gatt_only: bool,
}

/// How the adapter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// Not known yet.
    Starting,
    /// In use.
    On {
        /// Its name.
        name: String,
        /// The number (PSM) of its L2CAP channel.
        psm: Option<u16>,
    },
    /// Not to be had at present. It is tried again by itself.
    Off(ble::AdapterError),
}

/// Why no session can be shown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoBluetooth {
    /// It was not asked for.
    #[error("this device runs without Bluetooth: start it with `run --ble`")]
    NotStarted,
    /// It has not found its adapter yet.
    #[error("Bluetooth is still starting: try again in a moment")]
    Starting,
    /// There is no adapter.
    #[error(transparent)]
    Off(#[from] ble::AdapterError),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    NoRandomness,
}

/// A session for one payment request: what its hint says, and the key that only the payee has.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// What the payer learns from the request.
    pub session: Session,
    pub(super) key: LinkKey,
}

impl Invitation {
    /// A session of this moment, on the adapter that is in use.
    pub(super) fn new(adapter: &Adapter) -> Result<Self, NoBluetooth> {
        let psm = match adapter {
            Adapter::Starting => return Err(NoBluetooth::Starting),
            Adapter::On { psm, .. } => *psm,
            Adapter::Off(error) => return Err(error.clone().into()),
        };
        let (mut uuid, mut private) = ([0; 16], [0; 32]);
        getrandom::fill(&mut uuid).map_err(|_| NoBluetooth::NoRandomness)?;
        getrandom::fill(&mut private).map_err(|_| NoBluetooth::NoRandomness)?;
        let key = LinkKey::from_bytes(private);
        Ok(Self { session: Session { uuid, key: key.public(), psm }, key })
    }
}

/// How long an answered request stays on the air, for a payer whom the answer has not reached.
const ANSWERED_S: u32 = 60;

/// Whose payer is awaited, and until when.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) invitation: Invitation,
    pub(super) request: RequestId,
    /// When the request expires, Unix seconds.
    pub(super) expires: u32,
}

impl Shown {
    /// Whether it stays on the air at `now` (Unix seconds); `awaited` says whether the request still
    /// waits for its payment. One that does not stays a little longer, once.
    pub(super) fn stays(&mut self, awaited: bool, now: u32) -> bool {
        if !awaited {
            self.expires = self.expires.min(now.saturating_add(ANSWERED_S));
        }
        now <= self.expires
    }
}

/// What the transport is asked.
pub(super) enum Ask {
    Invite(Option<Invitation>),
    Pay { session: Session, first: Vec<u8> },
}

/// What decides which of its neighbours a node connects to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Holding {
    /// What stands for all that it holds.
    pub(super) held: [u8; 32],
    /// Whether a payment of this device has no answer yet.
    pub(super) awaits: Option<u32>,
}

/// The transport's tasks of a daemon: whom to ask, and what it holds.
pub(super) struct Tasks {
    pub(super) asks: mpsc::Sender<Ask>,
    pub(super) holding: watch::Sender<Holding>,
    pub(super) adapter: watch::Sender<Adapter>,
}

/// Starts the transport and what asks it.
pub(super) fn start(
    network: &[u8],
    wanted: Bluetooth,
) -> Result<(ble::Handle, ble::Events, Tasks), ble::StartError> {
    let mut config = ble::Config::new(network);
    (config.adapter, config.channels) = (wanted.adapter, !wanted.gatt_only);
    let (handle, events) = ble::start(config)?;
    let (asks, inbox) = mpsc::channel(ASKS_MAX);
    let (holding, holds) = watch::channel(Holding::default());
    tokio::spawn(ask(handle.clone(), inbox, holds));
    Ok((handle, events, Tasks { asks, holding, adapter: watch::Sender::new(Adapter::Starting) }))
}

/// Asks until the daemon is gone, then stops the transport.
async fn ask(
    handle: ble::Handle,
    mut asks: mpsc::Receiver<Ask>,
    mut holds: watch::Receiver<Holding>,
) {
    loop {
        let asked = tokio::select! {
            ask = asks.recv() => match ask {
                Some(Ask::Invite(invitation)) => {
                    let shown = invitation.map(|shown| (shown.session, shown.key));
                    handle.invite(shown).await
                }
                Some(Ask::Pay { session, first }) => {
                    handle.pay(session, first, SEARCH_S * 1_000).await
                }
                None => break,
            },
            Ok(()) = holds.changed() => {
                let Holding { held, awaits } = *holds.borrow_and_update();
                match handle.hold(held).await {
                    Ok(()) => handle.await_answer(awaits).await,
                    stopped => stopped,
                }
            }
        };
        if let Err(error) = asked {
            tracing::debug!(%error, "Bluetooth was not asked");
            return;
        }
    }
    handle.stop().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on() -> Adapter {
        Adapter::On { name: "hci0".to_owned(), psm: Some(129) }
    }

    #[test]
    fn a_session_leaves_the_air_when_it_expires_or_a_minute_after_it_was_answered() {
        let shown = |expires| Shown {
            invitation: Invitation::new(&on()).unwrap(),
            request: RequestId([1; 8]),
            expires,
        };
        let mut open = shown(1_000);
        assert!(open.stays(true, 999) && open.stays(true, 1_000) && !open.stays(true, 1_001));
        let mut answered = shown(1_000);
        assert!(answered.stays(false, 100) && answered.stays(false, 160));
        assert!(!answered.stays(false, 161), "asking again does not make it longer");
        let mut late = shown(1_000);
        assert!(late.stays(false, 990) && !late.stays(false, 1_001), "nor than the request");
        assert!(shown(u32::MAX).stays(false, u32::MAX), "no time overflows");
    }

    #[test]
    fn every_session_is_another_and_none_is_without_an_adapter() {
        let [one, other] = [(); 2].map(|()| Invitation::new(&on()).unwrap().session);
        assert!(one.uuid != other.uuid && one.key != other.key);
        assert_eq!(one.psm, Some(129));
        assert_eq!(Invitation::new(&Adapter::Starting).unwrap_err(), NoBluetooth::Starting);
        let error = ble::AdapterError::NoDaemon;
        let off = Invitation::new(&Adapter::Off(error.clone())).unwrap_err();
        assert_eq!(off, NoBluetooth::Off(error));
    }
}
