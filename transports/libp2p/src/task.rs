//! The task of one stream: the opening exchange, then the link until it ends.
//!
//! Of two peers the one with the lower peer id decides which stream becomes their link (it takes
//! the first and calls the others duplicates); the other end only follows. So however the two dial
//! each other, both keep the same one. The owner judges; this task asks it and does the IO.

use std::net::SocketAddr;
use std::time::Duration;

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use hundi_transports::frame::{self, Decoder};
use hundi_transports::limits::{MESSAGE_BYTES_MAX, SIGNAL_BYTES_MAX};
use hundi_transports::link::{CloseReason, HandshakeHash, LinkId, LinkInfo};
use hundi_transports::rate::Bucket;
use hundi_transports::signal::{self, Farewell, Signal};
use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::event::Event;
use crate::limits::{GOODBYE_TIMEOUT, KEEP_ALIVE_INTERVAL, Limits, OPENING_TIMEOUT, SILENCE_MAX};
use crate::opening::{self, Admission, Binding, OPENING_BYTES_MAX, Opening};

/// Bytes read at once: below the yamux window, and several small frames.
const READ_BYTES: usize = 16 * 1024;

/// What a task tells the owner.
#[derive(Debug)]
pub(crate) enum Report {
    /// May this stream become a link?
    Judge {
        connection: ConnectionId,
        listening: Vec<SocketAddr>,
        reply: oneshot::Sender<Judgement>,
    },
    /// The driver has been told of the link.
    Up { connection: ConnectionId },
    /// The stream is done with; nothing more comes from it.
    Ended { connection: ConnectionId, outcome: Outcome },
}

/// The owner's answer to [`Report::Judge`].
#[derive(Debug)]
pub(crate) enum Judgement {
    Admit(Admitted),
    Refuse(Admission),
}

/// What a task needs to run an admitted link.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) link: LinkId,
    pub(crate) window: mpsc::Receiver<Vec<u8>>,
    /// Set once, when the owner wants the link to end.
    pub(crate) orders: watch::Receiver<Option<CloseReason>>,
}

/// How a stream ended, as far as dialling again is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was a link.
    WasLink(CloseReason),
    /// One of the two ends refused it.
    Refused(Admission),
    /// The opening exchange broke or took too long.
    Failed,
}

/// Everything about a stream that does not change.
pub(crate) struct Context {
    pub(crate) connection: ConnectionId,
    pub(crate) me: PeerId,
    pub(crate) peer: PeerId,
    pub(crate) dialled: bool,
    pub(crate) remote: SocketAddr,
    pub(crate) network_tag: String,
    pub(crate) nonce: [u8; 32],
    pub(crate) listening: Vec<SocketAddr>,
    pub(crate) limits: Limits,
    pub(crate) reports: mpsc::Sender<Report>,
    pub(crate) events: mpsc::Sender<Event>,
}

/// A stream whose opening exchange is done.
struct Opened {
    admitted: Admitted,
    handshake_hash: HandshakeHash,
    listening: Vec<SocketAddr>,
}

/// Runs a stream from its opening to its end.
pub(crate) async fn run<S>(stream: S, context: Context)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let (read, mut write) = stream.split();
    let mut reader = Reader::new(read);
    let opening = timeout(OPENING_TIMEOUT, open(&mut reader, &mut write, &context)).await;
    let outcome = match opening.unwrap_or(Err(Outcome::Failed)) {
        Ok(opened) => Outcome::WasLink(link(reader, write, opened, &context).await),
        Err(outcome) => {
            if outcome != Outcome::Failed {
                // Whoever refused waits for the other end to read why before the connection goes.
                let _ = timeout(GOODBYE_TIMEOUT, reader.until_end()).await;
            }
            outcome
        }
    };
    // The owner is gone only if everything stops.
    let _ = context.reports.send(Report::Ended { connection: context.connection, outcome }).await;
}

async fn open<S>(
    reader: &mut Reader<S>,
    write: &mut WriteHalf<S>,
    context: &Context,
) -> Result<Opened, Outcome>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let ours = Opening { nonce: context.nonce, listening: context.listening.clone() };
    write_frame(write, &opening::encode(&ours)).await?;
    let frame = reader.next().await.map_err(|_| Outcome::Failed)?;
    let theirs = opening::decode(&frame).map_err(|_| Outcome::Failed)?;
    let decides = context.me.to_bytes() < context.peer.to_bytes();
    let admitted = if decides {
        let admitted = admit(write, context, theirs.listening.clone()).await?;
        hear(reader, write).await?;
        admitted
    } else {
        hear(reader, write).await?;
        admit(write, context, theirs.listening.clone()).await?
    };
    reader.raise_limit();
    let (me, peer) = (context.me.to_bytes(), context.peer.to_bytes());
    let (initiator, responder, initiator_nonce, responder_nonce) = if context.dialled {
        (&me, &peer, ours.nonce, theirs.nonce)
    } else {
        (&peer, &me, theirs.nonce, ours.nonce)
    };
    let network_tag = &context.network_tag;
    let binding = Binding { network_tag, initiator, responder, initiator_nonce, responder_nonce };
    let handshake_hash = binding.handshake_hash();
    Ok(Opened { admitted, handshake_hash, listening: theirs.listening })
}

/// Asks the owner and tells the other end.
async fn admit<S: AsyncWrite>(
    write: &mut WriteHalf<S>,
    context: &Context,
    listening: Vec<SocketAddr>,
) -> Result<Admitted, Outcome> {
    let (reply, answer) = oneshot::channel();
    let ask = Report::Judge { connection: context.connection, listening, reply };
    context.reports.send(ask).await.map_err(|_| Outcome::Failed)?;
    match answer.await.map_err(|_| Outcome::Failed)? {
        Judgement::Admit(admitted) => {
            write_frame(write, &opening::encode_admission(Admission::Accept)).await?;
            Ok(admitted)
        }
        Judgement::Refuse(admission) => {
            write_frame(write, &opening::encode_admission(admission)).await?;
            write.close().await.map_err(|_| Outcome::Failed)?;
            Err(Outcome::Refused(admission))
        }
    }
}

/// Waits for the other end's admission.
async fn hear<S: AsyncRead + AsyncWrite + Unpin>(
    reader: &mut Reader<S>,
    write: &mut WriteHalf<S>,
) -> Result<(), Outcome> {
    let frame = reader.next().await.map_err(|_| Outcome::Failed)?;
    match opening::decode_admission(&frame).map_err(|_| Outcome::Failed)? {
        Admission::Accept => Ok(()),
        refusal => {
            write.close().await.map_err(|_| Outcome::Failed)?;
            Err(Outcome::Refused(refusal))
        }
    }
}

/// A link from its first to its last event.
async fn link<S>(
    mut reader: Reader<S>,
    mut write: WriteHalf<S>,
    opened: Opened,
    context: &Context,
) -> CloseReason
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Opened { mut admitted, handshake_hash, listening } = opened;
    let link = admitted.link;
    let info = LinkInfo {
        link,
        handshake_hash,
        initiator: context.dialled,
        message_bytes_max: MESSAGE_BYTES_MAX,
    };
    let up = Event::LinkUp { info, remote: context.remote, listening };
    if context.events.send(up).await.is_err() {
        return CloseReason::Stopped;
    }
    let _ = context.reports.send(Report::Up { connection: context.connection }).await;
    let mut orders = admitted.orders.clone();
    let reason = {
        let reading = read_link(&mut reader, link, context);
        let writing = write_link(&mut write, &mut admitted);
        let too_late = async {
            if Farewell::of(ordered(&mut orders).await).is_some() {
                sleep(GOODBYE_TIMEOUT).await;
            }
        };
        tokio::pin!(reading, writing, too_late);
        tokio::select! {
            biased;
            () = &mut too_late => CloseReason::ClosedHere,
            reason = &mut reading => reason,
            reason = &mut writing => match reason {
                // The goodbye is written: the other end answers by ending the stream.
                Some(reason) => tokio::select! {
                    _ = &mut reading => reason,
                    () = &mut too_late => reason,
                },
                // It cannot be written to; what the other end said before may still be read.
                None => timeout(GOODBYE_TIMEOUT, &mut reading).await.unwrap_or(CloseReason::Cut),
            },
        }
    };
    // What the owner ordered is the reason, whatever the end looked like from here.
    let reason = (*admitted.orders.borrow()).unwrap_or(reason);
    if reason == CloseReason::Misbehaved {
        let goodbye = Signal::Goodbye(Farewell::Misbehaved).encode();
        let _ = timeout(GOODBYE_TIMEOUT, write_frame(&mut write, &goodbye)).await;
    }
    admitted.window.close();
    let _ = context.events.send(Event::LinkDown { link, reason }).await;
    if Farewell::of(reason).is_some() || reason == CloseReason::ClosedThere {
        let _ = timeout(GOODBYE_TIMEOUT, write.close()).await;
    }
    reason
}

/// Reads until the link ends, at the pace that the limits and the driver allow.
async fn read_link<S: AsyncRead + AsyncWrite>(
    reader: &mut Reader<S>,
    link: LinkId,
    context: &Context,
) -> CloseReason {
    let started = Instant::now();
    let mut bytes_bucket = Bucket::new(context.limits.bytes_per_link, Duration::ZERO);
    let mut messages_bucket = Bucket::new(context.limits.messages_per_link, Duration::ZERO);
    loop {
        let frame = match timeout(SILENCE_MAX, reader.next()).await {
            Err(_) => return CloseReason::Silent,
            Ok(Err(reason)) => return reason,
            Ok(Ok(frame)) => frame,
        };
        let now = started.elapsed();
        let wait = messages_bucket.take(now, 1).max(bytes_bucket.take(now, frame.len() as u64));
        match signal::decode(&frame) {
            Ok(Signal::Message(bytes)) => {
                if context.events.send(Event::Message { link, bytes }).await.is_err() {
                    return CloseReason::Stopped;
                }
            }
            Ok(Signal::KeepAlive) => {}
            Ok(Signal::Goodbye(farewell)) => return farewell.reason(),
            Err(_) => return CloseReason::Misbehaved,
        }
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }
}

/// Writes what the window holds, keep-alives in silence, and a goodbye when ordered to end.
/// `None` if the stream broke.
async fn write_link<S: AsyncWrite>(
    write: &mut WriteHalf<S>,
    admitted: &mut Admitted,
) -> Option<CloseReason> {
    loop {
        tokio::select! {
            biased;
            reason = ordered(&mut admitted.orders) => {
                admitted.window.close();
                while let Some(message) = admitted.window.recv().await {
                    write_frame(write, &signal::encode_message(&message)).await.ok()?;
                }
                if let Some(farewell) = Farewell::of(reason) {
                    write_frame(write, &Signal::Goodbye(farewell).encode()).await.ok()?;
                }
                write.close().await.ok()?;
                return Some(reason);
            }
            message = admitted.window.recv() => {
                // The owner keeps a sender for as long as the link may be used.
                let message = message?;
                write_frame(write, &signal::encode_message(&message)).await.ok()?;
            }
            () = sleep(KEEP_ALIVE_INTERVAL) => {
                write_frame(write, &Signal::KeepAlive.encode()).await.ok()?;
            }
        }
    }
}

/// Waits for the owner's order to end.
async fn ordered(orders: &mut watch::Receiver<Option<CloseReason>>) -> CloseReason {
    match orders.wait_for(Option::is_some).await {
        Ok(reason) => reason.unwrap_or(CloseReason::Stopped),
        // The owner is gone.
        Err(_) => CloseReason::Stopped,
    }
}

async fn write_frame<S: AsyncWrite>(write: &mut WriteHalf<S>, body: &[u8]) -> Result<(), Outcome> {
    let frame = frame::encode(body, SIGNAL_BYTES_MAX).map_err(|_| Outcome::Failed)?;
    write.write_all(&frame).await.map_err(|_| Outcome::Failed)?;
    write.flush().await.map_err(|_| Outcome::Failed)
}

/// Frames from a stream.
struct Reader<S> {
    read: ReadHalf<S>,
    decoder: Decoder,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

impl<S: AsyncRead + AsyncWrite> Reader<S> {
    /// Begins with the small limit of the opening exchange.
    fn new(read: ReadHalf<S>) -> Self {
        let decoder = Decoder::new(OPENING_BYTES_MAX);
        Reader { read, decoder, buffer: vec![0; READ_BYTES], from: 0, to: 0 }
    }

    /// From the next frame on, takes signals. Call between two frames.
    fn raise_limit(&mut self) {
        self.decoder = Decoder::new(SIGNAL_BYTES_MAX);
    }

    /// The next frame, or why there is none.
    async fn next(&mut self) -> Result<Vec<u8>, CloseReason> {
        loop {
            let mut input = &self.buffer[self.from..self.to];
            let decoded = self.decoder.next(&mut input);
            self.from = self.to - input.len();
            match decoded {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(_) => return Err(CloseReason::Misbehaved),
            }
            match self.read.read(&mut self.buffer).await {
                // An end without a goodbye, within a frame or not.
                Ok(0) | Err(_) => return Err(CloseReason::Cut),
                Ok(length) => (self.from, self.to) = (0, length),
            }
        }
    }

    /// Reads and discards until the other end has closed.
    async fn until_end(&mut self) {
        while matches!(self.read.read(&mut self.buffer).await, Ok(length) if length > 0) {}
    }
}

#[cfg(test)]
mod tests;
