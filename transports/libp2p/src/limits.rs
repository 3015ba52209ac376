//! Every number that bounds what a peer on the network can make this node hold or do.
//!
//! [`Limits`] are those that a driver may set; the constants are fixed. What every kind of link
//! shares is in [`hundi_transports::limits`].

use core::time::Duration;

use hundi_transports::limits::MESSAGE_BYTES_MAX;
use hundi_transports::rate::Rate;

/// What a driver may set. [`Limits::default`] is for a phone or laptop in a village.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Links held at once. Each costs two queues and the sessions above it; a market square on one
    /// Wi-Fi network has some dozens of phones, and gossip reaches the rest.
    pub links: u32,
    /// Connections that one IP address may open, so that one device cannot keep this one busy with
    /// handshakes (0.3 ms each). A village behind one address redials at most 64 × once in five
    /// seconds while it cannot be reached.
    pub connections_per_address: Rate,
    /// Bytes that one link may bring in. A first meeting moves some megabytes; the excess waits in
    /// the sender (back-pressure), it is not lost.
    pub bytes_per_link: Rate,
    /// Messages that one link may bring in: bounds the work per message, which the bytes do not.
    pub messages_per_link: Rate,
    /// Gossip messages that one link may bring in. The excess is ignored; reconciliation brings
    /// what was lost by it. A busy market makes a few payments per second in all.
    pub gossip_per_link: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            links: 64,
            connections_per_address: Rate { per_second: 16, burst: 256 },
            bytes_per_link: Rate { per_second: 4 * 1024 * 1024, burst: 8 * 1024 * 1024 },
            messages_per_link: Rate { per_second: 500, burst: 1_000 },
            gossip_per_link: Rate { per_second: 100, burst: 1_000 },
        }
    }
}

/// Connections at the Noise and Yamux handshake at once, each way: twice a busy minute's arrivals
/// would queue in the listen backlog instead.
pub const PENDING_CONNECTIONS: u32 = 64;

/// Connections with one peer at once. One is kept; both ends dialling at the same moment, twice,
/// is the most that an honest pair produces.
pub const CONNECTIONS_PER_PEER: u32 = 4;

/// Connections that are not links yet (the opening exchange is under way), beyond the links.
pub const OPENING_CONNECTIONS: u32 = 32;

/// IP addresses whose connection rate is remembered. A bucket that is full again is forgotten;
/// when this many are not, strangers' addresses have to wait.
pub const RATED_ADDRESSES_MAX: usize = 1_024;

/// Time for the opening exchange, from the connection to both verdicts: a few round trips on the
/// slowest network that TCP still works on.
pub const OPENING_TIMEOUT: Duration = Duration::from_secs(10);

/// A silent link says that it is there this often.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// A link that brings nothing for this long is gone: three keep-alives were lost.
pub const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Time for the other end to take a goodbye, and what was accepted before it, when a link closes.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// Messages accepted for sending on one link that the network has not taken yet: enough to keep a
/// fast link busy between two wake-ups, and half a megabyte at most.
pub const SEND_WINDOW_MESSAGES: usize = 8;

/// Events that wait for the driver. Links stop reading, and the swarm is no longer polled, when it
/// falls behind by more.
pub const EVENTS_WINDOW: usize = 64;

/// Commands that wait for the owner task; senders wait when it is full.
pub const COMMANDS_WINDOW: usize = 64;

/// Listen addresses that a peer may state in its opening message: one per interface and family.
pub const LISTEN_ADDRESSES_MAX: usize = 8;

/// Bytes of the longest network tag.
pub const NETWORK_TAG_BYTES_MAX: usize = 64;

/// Bytes of one gossip message: fresh entries with what is needed to verify them. The largest
/// record of the layer above is 16 KiB.
pub const GOSSIP_BYTES_MAX: usize = 32 * 1024;

/// Gossip messages that wait for the driver's verdict. Older ones lose theirs and are not
/// forwarded; gossipsub itself keeps them no longer than [`GOSSIP_HISTORY`] heartbeats.
pub const GOSSIP_PENDING_MAX: usize = 1_024;

/// Heartbeats (one per second) for which gossipsub keeps a message that it may have to forward.
pub const GOSSIP_HISTORY: usize = 20;

/// How long a gossip message is remembered as seen. Content addressed: the same bytes come through
/// again after it, and the driver knows them by then.
pub const GOSSIP_SEEN: Duration = Duration::from_secs(120);

/// Rejected gossip messages that one link may bring before it is closed. A peer of an honest
/// program never brings one, so this is only room for disagreement between versions.
pub const GOSSIP_REJECTS: Rate = Rate { per_second: 1, burst: 16 };

/// First wait before an address is dialled again.
pub const REDIAL_FIRST: Duration = Duration::from_millis(200);

/// Longest wait before an address is dialled again. Courier and village meet within this.
pub const REDIAL_MAX: Duration = Duration::from_secs(5);

/// Addresses on a reach list.
pub const REACH_MAX: usize = 256;

/// Addresses learnt by mDNS that are kept and dialled. Anyone on the LAN can announce any number.
pub const DISCOVERED_MAX: usize = 256;

const _: () = assert!(GOSSIP_BYTES_MAX <= MESSAGE_BYTES_MAX);
const _: () = assert!(SILENCE_MAX.as_secs() >= 3 * KEEP_ALIVE_INTERVAL.as_secs());
const _: () = assert!(REDIAL_FIRST.as_millis() < REDIAL_MAX.as_millis());
const _: () = assert!(CONNECTIONS_PER_PEER >= 2);
