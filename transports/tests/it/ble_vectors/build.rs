//! What the vectors of Bluetooth are, built from the code. Byte strings are lowercase hexadecimal.

use data_encoding::HEXLOWER;
use hundi_transports::ble::advertisement::{self, Advertisement, Beacon, fingerprint};
use hundi_transports::ble::fragment::{self, Ack, Data, Fragment};
use hundi_transports::ble::hello::{Hello, Pattern};
use hundi_transports::ble::hint::{self, Session};
use hundi_transports::ble::info::{self, Info};
use hundi_transports::ble::link::{Callee, Event, Link, Setting};
use hundi_transports::channel::LinkKey;
use serde_json::{Value, json};

pub(crate) const NAME: &str = "ble.json";

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

pub(crate) fn file() -> Value {
    json!({
        "uuids": {
            "service": hex(advertisement::SERVICE),
            "write": hex(advertisement::WRITE),
            "notify": hex(advertisement::NOTIFY),
            "info": hex(advertisement::INFO),
        },
        "fingerprints": fingerprints(),
        "advertisements": advertisements(),
        "sightings": sightings(),
        "infos": infos(),
        "refused_infos": refused_infos(),
        "hints": hints(),
        "refused_hints": refused_hints(),
        "hellos": hellos(),
        "fragments": fragments(),
        "refused_fragments": refused_fragments(),
        "exchanges": [strangers(), payment()],
    })
}

fn beacon() -> Beacon {
    Beacon { fingerprint: fingerprint(&[0x11; 32], [1, 2, 3, 4]), id: [1, 2, 3, 4] }
}

fn fingerprints() -> Vec<Value> {
    let of = |held: [u8; 32], id: [u8; 4]| json!({ "held": hex(held), "id": hex(id), "fingerprint": hex(fingerprint(&held, id)) });
    vec![of([0x11; 32], [1, 2, 3, 4]), of([0x11; 32], [1, 2, 3, 5]), of([0x12; 32], [1, 2, 3, 4])]
}

fn advertisements() -> Vec<Value> {
    let uuid = *b"session of a QR.";
    vec![
        json!({
            "name": "a node of the mesh",
            "fingerprint": hex(beacon().fingerprint),
            "id": hex(beacon().id),
            "bytes": hex(Advertisement::Mesh(beacon()).encode()),
        }),
        json!({ "name": "a node that cannot advertise service data",
            "bytes": hex(Advertisement::Bare.encode()) }),
        json!({ "name": "a payee", "session": hex(uuid),
            "bytes": hex(Advertisement::Payee(uuid).encode()) }),
    ]
}

fn sightings() -> Vec<Value> {
    let mesh = Advertisement::Mesh(beacon()).encode();
    let mut behind = vec![5, 0xff, 0x4c, 0, 1, 2];
    behind.extend_from_slice(&mesh);
    let mut cut = mesh.clone();
    cut.pop();
    let mut short = Advertisement::Mesh(beacon()).encode();
    short[3] -= 1;
    short.pop();
    let named = [
        ("behind a structure of somebody else", behind),
        ("cut", cut),
        ("a beacon that is too short", short),
        ("nothing", vec![]),
    ];
    let of = |(name, bytes): (&str, Vec<u8>)| {
        let sighting = advertisement::decode(&bytes);
        let beacon = sighting.beacon.map(|beacon| hex(beacon.encode()));
        let services: Vec<String> = sighting.services.iter().map(hex).collect();
        json!({ "name": name, "bytes": hex(bytes), "beacon": beacon, "services": services })
    };
    named.into_iter().map(of).collect()
}

fn infos() -> Vec<Value> {
    let of = |psm: Option<u16>, unit_bytes_max: u16, beacon: Option<Beacon>, more: &[u8]| {
        let info = Info { psm, unit_bytes_max, beacon };
        let mut bytes = info.encode().to_vec();
        bytes.extend_from_slice(more);
        assert_eq!(info::decode(&bytes), Ok(info));
        json!({ "psm": psm, "unit_bytes_max": unit_bytes_max, "beacon": beacon.map(|beacon| hex(beacon.encode())),
            "bytes": hex(bytes) })
    };
    let plain = Some(beacon());
    vec![
        of(Some(0x85), 2_048, plain, &[]),
        of(None, 0, plain, &[]),
        of(Some(0x85), 2_048, plain, &[1, 2, 3]),
        of(Some(0x85), 2_048, None, &[]),
    ]
}

fn refused_infos() -> Vec<Value> {
    let of = |name: &str, bytes: &[u8]| {
        assert!(info::decode(bytes).is_err());
        json!({ "name": name, "bytes": hex(bytes) })
    };
    vec![of("too short", &[1; 14]), of("version 2", &[2; 15]), of("nothing", &[])]
}

fn session() -> (Session, LinkKey) {
    let key = LinkKey::from_bytes([0x77; 32]);
    (Session { uuid: *b"session of a QR.", key: key.public(), psm: None }, key)
}

fn hints() -> Vec<Value> {
    let of = |session: Session| {
        json!({ "session": hex(session.uuid), "key": hex(session.key), "psm": session.psm,
            "text": session.encode() })
    };
    let plain = session().0;
    vec![of(plain), of(Session { psm: Some(0x85), ..plain })]
}

fn refused_hints() -> Vec<Value> {
    let text = session().0.encode();
    let named = [
        ("an address", "/ip4/192.168.1.7/tcp/4001".to_owned()),
        ("upper case", text.to_uppercase()),
        ("cut", text[..70].to_owned()),
        ("padded", format!("{text}=")),
        ("a byte more", format!("{text}A")),
        ("bits behind the last byte", format!("{}B", &text[..70])),
    ];
    let of = |(name, text): (&str, String)| {
        assert!(hint::decode(&text).is_err(), "{name}");
        json!({ "name": name, "text": text })
    };
    named.into_iter().map(of).collect()
}

fn hellos() -> Vec<Value> {
    let of = |hello: Hello, network: &[u8], session: Option<[u8; 16]>| {
        json!({
            "pattern": if hello.pattern == Pattern::Payee { "IK" } else { "XX" },
            "tag": hex(hello.tag),
            "network": hex(network),
            "session": session.map(hex),
            "bytes": hex(hello.encode()),
            "prologue": hex(hello.prologue(network, session.as_ref())),
        })
    };
    vec![
        of(Hello { pattern: Pattern::Stranger, tag: [0xab, 0xcd] }, b"testnet", None),
        of(Hello { pattern: Pattern::Payee, tag: [0, 1] }, b"testnet", Some(session().0.uuid)),
    ]
}

fn fragments() -> Vec<Value> {
    let data = |number, first, bytes| Some(Data { number, first, bytes });
    let ack = |next, room, beyond| Some(Ack { next, room, beyond });
    let parts = |ack, data| Fragment::Parts { ack, data };
    let named = [
        ("the first of a stream", parts(None, data(0, true, b"abc"))),
        ("a later one", parts(None, data(300, false, b"abc"))),
        ("number 4096 of a stream", parts(None, data(0, false, b"abc"))),
        ("an acknowledgement", parts(ack(9, 32, 0), None)),
        ("an acknowledgement with fragments beyond a gap", parts(ack(9, 32, 0b101), None)),
        ("the longest bitmap", parts(ack(4_095, 32, 0x4000_0000), None)),
        ("no room", parts(ack(9, 0, 0), None)),
        ("both", parts(ack(9, 32, 0x100), data(4_095, false, b"x"))),
        ("reset", Fragment::Reset),
    ];
    let of = |(name, fragment): (&str, Fragment<'_>)| {
        let (ack, data) = match &fragment {
            Fragment::Parts { ack, data } => (*ack, *data),
            Fragment::Reset => (None, None),
        };
        let ack =
            ack.map(|ack| json!({ "next": ack.next, "room": ack.room, "beyond": ack.beyond }));
        let data = data.map(
            |data| json!({ "number": data.number, "first": data.first, "bytes": hex(data.bytes) }),
        );
        let reset = fragment == Fragment::Reset;
        json!({ "name": name, "reset": reset, "ack": ack, "data": data,
            "bytes": hex(fragment.encode()) })
    };
    named.into_iter().map(of).collect()
}

fn refused_fragments() -> Vec<Value> {
    let named: [(&str, &[u8]); 12] = [
        ("nothing", &[]),
        ("one byte", &[0]),
        ("neither data nor acknowledgement", &[0, 0]),
        ("a number without data", &[5, 0]),
        ("data without bytes", &[0, 0x10]),
        ("first, but not number 0", &[1, 0x90, 7]),
        ("an acknowledgement that is cut", &[0, 0x20, 9, 0]),
        ("room for more than a window", &[0, 0x20, 9, 0, 33]),
        ("a bitmap of five bytes", &[0, 0x20, 9, 0x50, 32, 1, 1, 1, 1, 1]),
        ("a bitmap with a zero at its end", &[0, 0x20, 9, 0x10, 32, 0]),
        ("bytes behind an acknowledgement", &[0, 0x20, 9, 0, 32, 1]),
        ("reset with more", &[0, 0x40, 1]),
    ];
    let of = |(name, bytes): (&str, &[u8])| {
        assert!(fragment::decode(bytes).is_err(), "{name}");
        json!({ "name": name, "bytes": hex(bytes) })
    };
    named.into_iter().map(of).collect()
}

const NETWORK: &[u8] = b"testnet";
const BYTES_MAX: usize = 182;

/// A link on quiet air, 30 ms each way: every value with the time at which it leaves.
fn exchange(name: &str, callee: Callee, answer: impl Fn(&Event) -> Option<Vec<u8>>) -> Value {
    let greetings = [[1, 1, 1, 1], [2, 2, 2, 2]];
    let setting = |side: usize| Setting {
        network: NETWORK,
        greeting: greetings[side],
        entropy: [0xc0 + side as u8; 32],
    };
    let mut links =
        [Link::initiate(0, &setting(0), callee), Link::respond(0, &setting(1), Some(session()))];
    let (mut values, mut events) = (Vec::new(), Vec::new());
    let mut air: Vec<(u64, usize, Vec<u8>)> = Vec::new();
    let mut now_ms = 0;
    while now_ms < 2_000 {
        for side in 0..2 {
            links[side].on_time(now_ms);
            while let Some(event) = links[side].next_event(now_ms) {
                if let Some(message) = answer(&event) {
                    links[side].send(&message).unwrap();
                }
                let who = ["central", "peripheral"][side];
                events.push(match event {
                    Event::Up { handshake_hash, greeting } => {
                        json!({ "at": who, "up": hex(handshake_hash.0),
                        "greeting": greeting.map(hex) })
                    }
                    Event::Replayable(bytes) => json!({ "at": who, "first": hex(bytes) }),
                    Event::Message(bytes) => json!({ "at": who, "message": hex(bytes) }),
                    Event::Down(reason) => json!({ "at": who, "down": reason.to_string() }),
                });
            }
            while let Some(bytes) = links[side].transmit(now_ms, BYTES_MAX) {
                let from = ["central", "peripheral"][side];
                values.push(json!({ "from": from, "ms": now_ms, "bytes": hex(&bytes) }));
                air.push((now_ms + 30, 1 - side, bytes));
            }
        }
        let due = links.iter().filter_map(Link::deadline).chain(air.iter().map(|one| one.0)).min();
        now_ms = due.unwrap_or(u64::MAX).max(now_ms);
        let (arrived, later) = air.into_iter().partition(|(due, ..)| *due <= now_ms);
        air = later;
        for (_, to, bytes) in arrived {
            assert!(!links[to].receive(now_ms, &bytes));
        }
    }
    json!({
        "name": name,
        "network": hex(NETWORK),
        "bytes_max": BYTES_MAX,
        "central": { "entropy": hex([0xc0; 32]), "greeting": hex(greetings[0]) },
        "peripheral": { "entropy": hex([0xc1; 32]), "greeting": hex(greetings[1]) },
        "session": { "uuid": hex(session().0.uuid), "secret": hex([0x77; 32]) },
        "values": values,
        "events": events,
    })
}

fn strangers() -> Value {
    exchange("strangers, and one message each", Callee::Stranger, |event| match event {
        Event::Up { greeting: Some([2, ..]), .. } => Some(b"from the central".to_vec()),
        Event::Message(bytes) if bytes == b"from the central" => {
            Some(b"from the peripheral".to_vec())
        }
        _ => None,
    })
}

fn payment() -> Value {
    let first: Vec<u8> = (0..500_u16).map(|at| (at % 251) as u8).collect();
    let callee = Callee::Payee { session: session().0, first };
    exchange("a payment of 500 bytes and its answer of 243", callee, |event| match event {
        Event::Replayable(_) => Some((0..243_u16).map(|at| (at % 13) as u8).collect()),
        _ => None,
    })
}
