//! What the Bluetooth side reports to its driver.

use hundi_transports::link::{LinkEvent, LinkId};

use crate::error::AdapterError;

/// What the Bluetooth side reports. For each link: once `Up`, any number of `Message` (and at most
/// one `First`, right behind `Up`), once `Down`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The adapter is in use.
    On {
        /// Its name.
        adapter: String,
        /// The number (PSM) of this end's L2CAP channel, for the hint of a payment request.
        psm: Option<u16>,
    },
    /// There is no adapter (any more); all links are gone. It is tried again by itself, and said
    /// again only if the reason becomes another one.
    Off(AdapterError),
    /// The link whose `Up` comes right behind is one of a session: with the payee that was looked
    /// for, or with a payer that has seen the session.
    Session {
        /// The link.
        link: LinkId,
    },
    /// A link came up, brought a message, or ended.
    Link(LinkEvent),
    /// The first message of a payer. It may be a repetition: it may only lead to what is harmless
    /// twice.
    First {
        /// The link that brought it.
        link: LinkId,
        /// The offer.
        bytes: Vec<u8>,
    },
    /// The payee was not found, or did not answer, in time. The payment may have arrived.
    NoAnswer,
}
