//! A pipe: a reliable stream of bytes over fragments that are lost, doubled and out of order.
//!
//! Pure: bytes in, bytes out, time is an argument. Whoever drives it calls [`Pipe::transmit`]
//! until it says nothing whenever the radio takes another fragment, and [`Pipe::on_time`] at
//! [`Pipe::deadline`]. Messages, keys and the end of a link are left to the layer above.

use crate::ble::fragment::{Data, Fragment, HEADER_BYTES, wire};
use crate::ble::receiver::Receiver;
use crate::ble::sender::Sender;

/// One end of the stream: both directions.
#[derive(Debug)]
pub struct Pipe {
    sender: Sender,
    receiver: Receiver,
}

impl Default for Pipe {
    fn default() -> Self {
        Pipe { sender: Sender::new(), receiver: Receiver::new() }
    }
}

impl Pipe {
    /// Takes bytes for sending.
    pub fn queue(&mut self, bytes: &[u8]) {
        self.sender.queue(bytes);
    }

    /// Bytes that may be queued without passing the bound; whoever queues keeps to it.
    pub fn room(&self) -> usize {
        self.sender.room()
    }

    /// Whether the other end has acknowledged everything that was queued.
    pub fn is_drained(&self) -> bool {
        self.sender.is_drained()
    }

    /// The other end is authenticated: from here on it may fill a whole window.
    pub fn trust(&mut self) {
        self.receiver.trust();
    }

    /// Takes a fragment's acknowledgement and its piece of the stream.
    pub fn receive(&mut self, now_ms: u64, fragment: &Fragment<'_>) {
        let Fragment::Parts { ack, data } = fragment else {
            return;
        };
        if let Some(ack) = ack {
            self.sender.on_ack(now_ms, *ack);
        }
        if let Some(data) = data {
            self.receiver.on_data(now_ms, data);
        }
    }

    /// The stream as far as it arrived in order since the last call. Not calling this is how
    /// back-pressure begins.
    pub fn take(&mut self, now_ms: u64) -> Vec<u8> {
        self.receiver.take(now_ms)
    }

    /// What has arrived is acknowledged by the next fragment, data or not.
    pub fn acknowledge(&mut self, now_ms: u64) {
        self.receiver.acknowledge(now_ms);
    }

    /// The next fragment to send, of at most `bytes_max` bytes; call again until there is none.
    /// `hold` keeps back new data (not acknowledgements), so that what follows soon rides with it.
    pub fn transmit(&mut self, now_ms: u64, bytes_max: usize, hold: bool) -> Option<Vec<u8>> {
        let ack = self.receiver.ack();
        let capacity = bytes_max.saturating_sub(HEADER_BYTES);
        let beside = capacity.saturating_sub(ack.map_or(0, |ack| ack.encoded_bytes()));
        let piece = if hold { None } else { self.sender.transmit(now_ms, capacity, beside) };
        let Some(piece) = piece else {
            self.receiver.ack_at().filter(|at| *at <= now_ms)?;
            self.receiver.acknowledged();
            return Some(Fragment::Parts { ack, data: None }.encode());
        };
        let (number, first) = (wire(piece.number), piece.number == 0);
        let data = Some(Data { number, first, bytes: &piece.bytes });
        let ack = ack.filter(|_| piece.bytes.len() <= beside);
        if ack.is_some() {
            self.receiver.acknowledged();
        }
        Some(Fragment::Parts { ack, data }.encode())
    }

    /// Lets happen what is due; then call [`Pipe::transmit`].
    pub fn on_time(&mut self, now_ms: u64) {
        self.sender.on_time(now_ms);
    }

    /// When something happens by itself.
    pub fn deadline(&self) -> Option<u64> {
        self.sender.deadline().into_iter().chain(self.receiver.ack_at()).min()
    }

    /// Bytes held of both directions, for tests of the bounds.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.sender.held_bytes() + self.receiver.held_bytes()
    }
}

#[cfg(test)]
mod tests;
