//! What carries the values of one connection that has sockets of its own: an L2CAP channel, or a
//! GATT client's write and notify sockets.
//!
//! A connection of this end's GATT server has none: all centrals share the service, see
//! [`crate::server`].

use bluer::gatt::{CharacteristicReader, CharacteristicWriter};
use bluer::l2cap::SeqPacket;
use hundi_transports::ble::limits::FRAGMENT_BYTES_MAX;
use hundi_transports::ble::radio::ConnectionId;
use hundi_transports::frame::{self, Decoder};
use hundi_transports::limits::FRAME_PREFIX_BYTES;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::limits::{LAST_VALUE, LINGER, UNIT_BYTES_MAX, WRITE_BYTES_MAX};
use crate::note::Note;

/// The sockets of one connection.
#[derive(Debug)]
pub(crate) enum Bearer {
    Channel(SeqPacket),
    Gatt { writer: CharacteristicWriter, reader: CharacteristicReader },
}

impl Bearer {
    /// Bytes of the longest value that it carries.
    pub(crate) fn bytes_max(&self) -> usize {
        match self {
            Bearer::Channel(channel) => channel_bytes_max(channel.send_mtu().unwrap_or_default()),
            Bearer::Gatt { writer, .. } => writer.mtu().min(WRITE_BYTES_MAX),
        }
    }

    /// Carries values both ways until the other end goes, the owner has no more to send, or it has
    /// ended the connection and [`LINGER`] is over; then says that the connection is gone.
    pub(crate) async fn run(
        self,
        connection: ConnectionId,
        values: mpsc::Receiver<Vec<u8>>,
        closing: oneshot::Receiver<()>,
        notes: mpsc::Sender<Note>,
    ) {
        let hurry = async {
            // Dropped by the owner: it has ended the connection.
            let _ = closing.await;
            sleep(LINGER).await;
        };
        tokio::select! {
            () = self.read(connection, &notes) => {}
            () = self.write(connection, values, &notes) => {}
            () = hurry => {}
        }
        drop(self);
        // The owner has stopped if nobody listens.
        let _ = notes.send(Note::Gone { connection }).await;
    }

    async fn write(
        &self,
        connection: ConnectionId,
        mut values: mpsc::Receiver<Vec<u8>>,
        notes: &mpsc::Sender<Note>,
    ) {
        while let Some(value) = values.recv().await {
            let sent = match self {
                Bearer::Channel(channel) => {
                    let Ok(unit) = frame::encode(&value, FRAGMENT_BYTES_MAX) else { return };
                    channel.send(&unit).await.map(drop)
                }
                Bearer::Gatt { writer, .. } => writer.send(&value).await,
            };
            if let Err(error) = sent {
                tracing::debug!(%error, "a connection takes nothing any more");
                return;
            }
            if notes.send(Note::Sent { connection }).await.is_err() {
                return;
            }
        }
        // The other side of the socket takes what it holds a moment later.
        sleep(LAST_VALUE).await;
    }

    async fn read(&self, connection: ConnectionId, notes: &mpsc::Sender<Note>) {
        let mut decoder = Decoder::new(FRAGMENT_BYTES_MAX);
        let mut unit = vec![0; usize::from(UNIT_BYTES_MAX)];
        loop {
            let values = match self {
                Bearer::Channel(channel) => {
                    let length = channel.recv(&mut unit).await.unwrap_or(0);
                    let Some(values) = split(&mut decoder, &unit[..length]) else { return };
                    values
                }
                // What is empty is the end of the socket.
                Bearer::Gatt { reader, .. } => match reader.recv().await {
                    Ok(value) if !value.is_empty() => vec![value],
                    end => return tracing::debug!(?end, "notifications end"),
                },
            };
            for bytes in values {
                if notes.send(Note::Received { connection, bytes }).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The bytes that a fragment may have on a channel whose other end takes units of so many.
fn channel_bytes_max(unit_bytes_max: usize) -> usize {
    unit_bytes_max.saturating_sub(FRAME_PREFIX_BYTES).min(FRAGMENT_BYTES_MAX)
}

/// The fragments that a unit completes; none if it ends the connection: it is empty (the end of the
/// socket), or holds a length that no fragment has.
fn split(decoder: &mut Decoder, unit: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut input = Some(unit).filter(|unit| !unit.is_empty())?;
    let mut fragments = Vec::new();
    while !input.is_empty() {
        match decoder.next(&mut input) {
            Ok(Some(fragment)) if fragment.is_empty() => return None,
            Ok(fragment) => fragments.extend(fragment),
            Err(_) => return None,
        }
    }
    Some(fragments)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fragment_and_its_length_fit_the_other_ends_unit() {
        assert_eq!(channel_bytes_max(672), 670);
        assert_eq!(channel_bytes_max(65_535), FRAGMENT_BYTES_MAX);
        assert_eq!(channel_bytes_max(1), 0, "the radio takes the shortest that there is");
        assert_eq!(channel_bytes_max(usize::from(UNIT_BYTES_MAX)), FRAGMENT_BYTES_MAX);
    }

    #[test]
    fn what_is_no_unit_ends_the_connection() {
        let fresh = || Decoder::new(FRAGMENT_BYTES_MAX);
        assert_eq!(split(&mut fresh(), &[]), None);
        assert_eq!(split(&mut fresh(), &[0, 0]), None);
        assert_eq!(split(&mut fresh(), &[1, 8, 0]), None, "2,049 bytes");
        assert_eq!(split(&mut fresh(), &[1, 0]), Some(vec![]));
    }

    proptest! {
        /// However a system cuts the stream into units, the fragments are the same.
        #[test]
        fn fragments_come_back_however_they_were_cut(
            fragments in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 1..300), 1..8),
            unit_bytes in 1_usize..700,
        ) {
            let stream: Vec<u8> = fragments
                .iter()
                .flat_map(|fragment| frame::encode(fragment, FRAGMENT_BYTES_MAX).unwrap())
                .collect();
            let mut decoder = Decoder::new(FRAGMENT_BYTES_MAX);
            let mut got = Vec::new();
            for unit in stream.chunks(unit_bytes) {
                got.extend(split(&mut decoder, unit).unwrap());
            }
            prop_assert_eq!(got, fragments);
        }
    }
}
