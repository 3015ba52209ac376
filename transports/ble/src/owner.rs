//! The owner: one task that holds the radio, feeds it what tasks and the driver tell, and carries
//! out what it says. It never waits for anything but the next thing to do.

use std::collections::{HashMap, VecDeque};

use hundi_transports::ble::radio::{ConnectionId, Input, Output, Radio, Role};
use hundi_transports::limits::MESSAGE_BYTES_MAX;
use hundi_transports::link::{LinkEvent, LinkId, SendError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep_until, timeout};

use crate::config::Config;
use crate::error::AdapterError;
use crate::event::Event;
use crate::handle::{Command, Windows};
use crate::limits::{
    CALL_TIMEOUT, LINGER, MESSAGES_WINDOW, NOTES_AT_ONCE, RELEASE_TRIES, RELEASED_WITHIN,
};
use crate::note::{Attempt, Note};
use crate::owner::connections::{Attempted, Open};
use crate::station::Station;
use crate::{address, advertiser, client, scanner};

mod connections;

/// The owner's state.
pub(crate) struct Owner {
    config: Config,
    radio: Radio,
    started: Instant,
    station: Option<Box<Station>>,
    notes: mpsc::Sender<Note>,
    events: mpsc::Sender<Event>,
    /// Events that the driver above has had no room for. While there are any all links are paused,
    /// so they are at most what a link holds, for each link.
    pending: VecDeque<Event>,
    paused: bool,
    windows: Windows,
    links: HashMap<LinkId, Outgoing>,
    connections: HashMap<ConnectionId, Open>,
    attempt: Option<Attempted>,
    /// The tasks of connections and attempts; they end with the adapter.
    tasks: JoinSet<()>,
    /// The tasks that forget devices; they outlive what they follow.
    releases: JoinSet<()>,
    /// The devices of these.
    releasing: Vec<bluer::Address>,
    /// An attempt that waits until an earlier connection with its device has ended and the device is
    /// forgotten, which would end it.
    delayed: Option<(bluer::Address, Option<u16>)>,
    /// Inputs that follow from what was carried out.
    inputs: VecDeque<Input>,
    /// The last reason for having no adapter that was told.
    told_off: Option<AdapterError>,
    /// The devices that were connected, or about to be, when the adapter was lost. If it was not,
    /// and BlueZ did not answer for a while, they still are.
    left: Vec<bluer::Address>,
    /// For connections, attempts and orders: each number once.
    numbers: u64,
    stopping: Option<Instant>,
}

/// What a link is still to send.
struct Outgoing {
    window: mpsc::Receiver<Vec<u8>>,
    /// A message that found the link full.
    head: Option<Vec<u8>>,
}

impl Owner {
    pub(crate) fn new(
        config: Config,
        entropy: [u8; 32],
        windows: Windows,
        events: mpsc::Sender<Event>,
        notes: mpsc::Sender<Note>,
    ) -> Self {
        Owner {
            radio: Radio::new(0, config.radio.clone(), entropy),
            config,
            started: Instant::now(),
            station: None,
            notes,
            events,
            pending: VecDeque::new(),
            paused: false,
            windows,
            links: HashMap::new(),
            connections: HashMap::new(),
            attempt: None,
            tasks: JoinSet::new(),
            releases: JoinSet::new(),
            releasing: Vec::new(),
            delayed: None,
            inputs: VecDeque::new(),
            told_off: None,
            left: Vec::new(),
            numbers: 0,
            stopping: None,
        }
    }

    pub(crate) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut notes: mpsc::Receiver<Note>,
    ) {
        let filled = self.windows.filled.clone();
        let mut heard = Vec::new();
        while !self.is_done() {
            let due = self.due();
            let events = self.events.clone();
            tokio::select! {
                command = commands.recv(), if self.stopping.is_none() => {
                    self.obey(command.unwrap_or(Command::Stop));
                }
                count = notes.recv_many(&mut heard, NOTES_AT_ONCE) => {
                    if count == 0 {
                        break;
                    }
                    heard.drain(..).for_each(|note| self.heed(note));
                }
                () = filled.notified() => {}
                () = sleep_until(due) => self.inputs.push_back(Input::Time),
                permit = events.reserve(), if !self.pending.is_empty() => match permit {
                    Ok(permit) => if let Some(event) = self.pending.pop_front() {
                        permit.send(event);
                    },
                    Err(_) => break,
                },
                Some(_) = self.tasks.join_next(), if !self.tasks.is_empty() => {}
                Some(_) = self.releases.join_next(), if !self.releases.is_empty() => {}
                () = events.closed() => break,
            }
            self.settle();
        }
        drop((commands, notes));
        self.finish().await;
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// When the radio is to be called again; never at once, so that time passes whatever it says.
    fn due(&self) -> Instant {
        let far = self.now_ms() + 60_000;
        let due_ms = self.radio.deadline().unwrap_or(far).clamp(self.now_ms() + 1, far);
        let due = self.started + Duration::from_millis(due_ms);
        self.stopping.map_or(due, |stopping| stopping.min(due))
    }

    fn is_done(&self) -> bool {
        self.stopping.is_some_and(|by| self.connections.is_empty() || Instant::now() >= by)
    }

    /// The last words: links that are still up end, and what the driver has not read is given to
    /// it if it reads. Devices are forgotten: BlueZ would hide from the next start what they
    /// advertise.
    async fn finish(mut self) {
        self.tasks.abort_all();
        let attempted = self.attempt.take().map(|attempt| attempt.address);
        let mut left: Vec<_> = self.connections.drain().map(|(_, open)| open.address).collect();
        left.extend(attempted);
        left.into_iter().for_each(|address| self.release(address, Role::Central));
        let mut releases = core::mem::take(&mut self.releases);
        // A daemon that hangs is not waited for.
        let _ =
            timeout(RELEASED_WITHIN, async { while releases.join_next().await.is_some() {} }).await;
        self.inputs.extend(self.links.keys().copied().map(Input::Resume));
        self.inputs.push_back(Input::Powered(false));
        self.settle();
        if let Some(station) = self.station.take() {
            station.close().await;
        }
        let giving = async {
            for event in self.pending {
                if self.events.send(event).await.is_err() {
                    return;
                }
            }
        };
        // A driver that has stopped reading is not waited for.
        let _ = timeout(LINGER, giving).await;
    }

    fn obey(&mut self, command: Command) {
        let now_ms = self.now_ms();
        let input = match command {
            Command::Hold(held) => Input::Hold(held),
            Command::Await(newest) => {
                tracing::debug!(newest, "the newest payment without an answer");
                Input::Await(newest)
            }
            Command::Invite(invited) => Input::Invite(invited),
            Command::Pay { session, first, within_ms } => {
                Input::Pay { session, first, until_ms: now_ms.saturating_add(within_ms) }
            }
            Command::StopPaying => Input::StopPaying,
            Command::Close { link } => {
                self.drain(link);
                Input::Close(link)
            }
            Command::Stop => {
                self.stopping = Some(Instant::now() + 2 * LINGER);
                for link in self.links.keys().copied().collect::<Vec<_>>() {
                    self.drain(link);
                    self.inputs.push_back(Input::Close(link));
                }
                Input::Time
            }
        };
        self.inputs.push_back(input);
    }

    fn heed(&mut self, note: Note) {
        match note {
            Note::On(station) => {
                let (adapter, psm) = (station.adapter.name().to_owned(), station.psm);
                self.station = Some(station);
                self.told_off = None;
                for address in core::mem::take(&mut self.left) {
                    self.release(address, Role::Central);
                }
                self.pending.push_back(Event::On { adapter, psm });
                self.inputs.push_back(Input::Powered(true));
            }
            Note::Off(error) => {
                self.station = None;
                let attempted = self.attempt.take().map(|attempt| attempt.address);
                self.left.extend(attempted);
                self.left.extend(self.connections.drain().map(|(_, open)| open.address));
                self.delayed = None;
                self.tasks.abort_all();
                self.inputs.push_back(Input::Powered(false));
                if self.told_off.as_ref() != Some(&error) {
                    self.told_off = Some(error.clone());
                    self.pending.push_back(Event::Off(error));
                }
            }
            Note::Sighted { address, sighting } => {
                let seen = address::to_radio(address);
                // As of the sighting before; judging costs a hash, and phones see many.
                if tracing::enabled!(tracing::Level::TRACE) {
                    let verdict = self.radio.judge(self.now_ms(), seen);
                    tracing::trace!(%address, ?verdict, "seen again");
                }
                self.inputs.push_back(Input::Sighted { address: seen, sighting });
            }
            Note::ScanLost => self.inputs.push_back(Input::ScanLost),
            Note::Wrote { address, mtu, bytes } => self.wrote(address, mtu, bytes),
            Note::Accepted { address, bearer } => {
                self.open(address, Role::Peripheral, bearer, None);
            }
            Note::Opened { attempt, bearer, beacon } => {
                if let Some(attempted) = self.attempt.take_if(|of| of.number == attempt) {
                    self.open(attempted.address, Role::Central, bearer, beacon);
                }
            }
            Note::Failed { attempt } => {
                if let Some(attempted) = self.attempt.take_if(|of| of.number == attempt) {
                    self.release(attempted.address, Role::Central);
                    let address = address::to_radio(attempted.address);
                    self.inputs.push_back(Input::ConnectFailed { address });
                }
            }
            Note::Received { connection, bytes } => {
                tracing::trace!(connection = connection.0, bytes = bytes.len(), "received");
                if self.connections.contains_key(&connection) {
                    self.inputs.push_back(Input::Received { connection, bytes });
                }
            }
            Note::Sent { connection } => self.inputs.push_back(Input::Sent { connection }),
            Note::Gone { connection } => {
                tracing::debug!(connection = connection.0, "a connection is gone");
                self.gone(connection);
            }
            Note::Released { address } => {
                self.releasing.retain(|releasing| *releasing != address);
                // What was put on the air while it was still connected cannot be connected to: the
                // kernel sends it so, and under a passing address.
                let number = self.number();
                if let Some(station) = &self.station {
                    station.advertising.send_modify(|order| order.number = number);
                }
                self.connect_delayed();
            }
        }
    }

    /// Feeds the radio until nothing follows any more, then lets messages and events go.
    fn settle(&mut self) {
        loop {
            while let Some(input) = self.inputs.pop_front() {
                let outputs = self.radio.handle(self.now_ms(), input);
                outputs.into_iter().for_each(|output| self.carry_out(output));
            }
            while let Some(event) = self.pending.pop_front() {
                if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
                    self.pending.push_front(event);
                    break;
                }
            }
            self.press_back();
            let links: Vec<LinkId> = self.links.keys().copied().collect();
            let sent = links.into_iter().filter(|link| self.drain(*link)).count();
            if sent > 0 {
                self.inputs.push_back(Input::Time);
            }
            if self.inputs.is_empty() {
                break;
            }
        }
        if let Some(station) = &self.station {
            station.set_beacon(self.radio.beacon());
        }
    }

    /// Links are paused while the driver above does not read.
    fn press_back(&mut self) {
        let paused = !self.pending.is_empty();
        if paused != self.paused {
            self.paused = paused;
            for link in self.links.keys().copied() {
                self.inputs.push_back(if paused {
                    Input::Pause(link)
                } else {
                    Input::Resume(link)
                });
            }
        }
    }

    /// Gives the radio what a link is to send, as far as it takes it. True if it took something.
    fn drain(&mut self, link: LinkId) -> bool {
        let now_ms = self.now_ms();
        let Some(outgoing) = self.links.get_mut(&link) else { return false };
        let mut taken = false;
        while let Some(bytes) = outgoing.head.take().or_else(|| outgoing.window.try_recv().ok()) {
            match self.radio.send(now_ms, link, &bytes) {
                Ok(()) => taken = true,
                Err(SendError::Full) => {
                    outgoing.head = Some(bytes);
                    break;
                }
                // The link ends; its last event says so.
                Err(_) => {}
            }
        }
        taken
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Advertise { bytes, fast, .. } => {
                // BlueZ has one address for all of an adapter, and changes it when it wants.
                self.advertise(Some(advertiser::Shown { bytes, fast }));
            }
            Output::StopAdvertising => self.advertise(None),
            // BlueZ listens as fast as it can, always.
            Output::Scan { fast: true } => self.scan(Some(scanner::For::Payee)),
            Output::Scan { fast: false } => self.scan(Some(scanner::For::Mesh)),
            Output::StopScan => self.scan(None),
            Output::Connect { address, psm } => self.connect(address::to_bluez(address), psm),
            Output::Write { connection, bytes } | Output::Notify { connection, bytes } => {
                self.transmit(connection, bytes);
            }
            Output::Disconnect { connection } => self.disconnect(connection),
            Output::Session { link } => self.pending.push_back(Event::Session { link }),
            Output::Link(event) => self.on_link(event),
            Output::First { link, bytes } => {
                tracing::debug!(link = link.0, "an offer");
                self.pending.push_back(Event::First { link, bytes });
            }
            Output::NoAnswer => self.pending.push_back(Event::NoAnswer),
        }
    }

    fn on_link(&mut self, event: LinkEvent) {
        match &event {
            LinkEvent::Up(info) => {
                debug_assert_eq!(info.message_bytes_max, MESSAGE_BYTES_MAX);
                let (sender, window) = mpsc::channel(MESSAGES_WINDOW);
                self.windows.insert(info.link, sender);
                self.links.insert(info.link, Outgoing { window, head: None });
                if self.paused {
                    self.inputs.push_back(Input::Pause(info.link));
                }
            }
            LinkEvent::Message { .. } => {}
            LinkEvent::Down { link, reason } => {
                tracing::debug!(link = link.0, %reason, "a link is over");
                self.windows.remove(*link);
                self.links.remove(link);
            }
        }
        self.pending.push_back(Event::Link(event));
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn advertise(&mut self, shown: Option<advertiser::Shown>) {
        let number = self.number();
        if let Some(station) = &self.station {
            station.advertising.send_replace(advertiser::Order { number, shown });
        }
    }

    fn scan(&mut self, listen: Option<scanner::For>) {
        let number = self.number();
        if let Some(station) = &self.station {
            station.scanning.send_replace(scanner::Order { number, listen });
        }
    }

    /// Begins the attempt that has waited for the end of an earlier connection, if that has come.
    fn connect_delayed(&mut self) {
        if let Some((address, psm)) = self.delayed.take() {
            self.connect(address, psm);
        }
    }

    /// Begins an attempt. Its answer is a note.
    fn connect(&mut self, address: bluer::Address, psm: Option<u16>) {
        if self.releasing.contains(&address) || self.is_ending(address) {
            self.delayed = Some((address, psm));
            return;
        }
        let number = Attempt(self.number());
        let Some(station) = &self.station else {
            let address = address::to_radio(address);
            return self.inputs.push_back(Input::ConnectFailed { address });
        };
        let (adapter, notes) = (station.adapter.clone(), self.notes.clone());
        tracing::debug!(adapter = adapter.name(), %address, "connecting");
        let channels = self.config.channels;
        self.attempt = Some(Attempted { number, address });
        self.tasks.spawn(async move {
            let note = match client::connect(&adapter, address, psm, channels).await {
                Ok((bearer, beacon)) => Note::Opened { attempt: number, bearer, beacon },
                Err(error) => {
                    tracing::debug!(%address, %error, "no connection");
                    Note::Failed { attempt: number }
                }
            };
            // The owner has stopped if nobody listens.
            let _ = notes.send(note).await;
        });
    }

    /// Ends what connects this adapter with a device, unless something else still uses it.
    fn release(&mut self, address: bluer::Address, role: Role) {
        let used = self.connections.values().any(|open| open.address == address)
            || self.attempt.as_ref().is_some_and(|attempt| attempt.address == address)
            || self.releasing.contains(&address);
        let Some(station) = self.station.as_ref().filter(|_| !used) else { return };
        let (adapter, notes) = (station.adapter.clone(), self.notes.clone());
        self.releasing.push(address);
        self.releases.spawn(async move {
            for _ in 0..RELEASE_TRIES {
                let releasing = client::release(&adapter, address, role == Role::Peripheral);
                match timeout(CALL_TIMEOUT, releasing).await {
                    Ok(Ok(())) => tracing::debug!(adapter = adapter.name(), %address, "forgotten"),
                    // Mostly: it is gone already.
                    Ok(Err(error)) => tracing::debug!(%address, %error, "not disconnected"),
                    Err(_) => {
                        tracing::debug!(%address, "not disconnected: BlueZ does not answer");
                        continue;
                    }
                }
                break;
            }
            // The owner has stopped if nobody listens.
            let _ = notes.send(Note::Released { address }).await;
        });
    }
}
