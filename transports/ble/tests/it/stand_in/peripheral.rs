//! Centrals at the driver's service: two strangers at once over one notifier, a payer, one that
//! goes.

use std::time::{Duration, Instant};

use hundi_transport_ble::{Config, Event, Events, start};
use hundi_transports::ble::advertisement::{INFO, NOTIFY, WRITE, fingerprint};
use hundi_transports::ble::hint::Session;
use hundi_transports::ble::info;
use hundi_transports::ble::link::{Callee, Event as Said, Link, Setting};
use hundi_transports::channel::LinkKey;
use hundi_transports::link::{CloseReason, LinkEvent, LinkId};
use tokio::sync::mpsc;

use crate::kit::{next, run_on_a_bus, wait_for};
use crate::stand_in::bluez::{Bluez, Characteristic};

/// A central: the pure end of a link, whose fragments BlueZ's stand-in passes on.
struct Central {
    number: u8,
    link: Link,
}

/// Centrals, and what the driver notifies all of them of.
struct Centrals {
    started: Instant,
    write: Characteristic,
    notified: mpsc::Receiver<Vec<u8>>,
    centrals: Vec<Central>,
}

impl Centrals {
    fn add(&mut self, number: u8, callee: Callee) {
        let setting = Setting { network: b"net", greeting: [number; 4], entropy: [number; 32] };
        let link = Link::initiate(self.now_ms(), &setting, callee);
        self.centrals.push(Central { number, link });
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap()
    }

    /// Passes on what all have to say, until something was said to one of them.
    async fn until_said(&mut self) -> (u8, Said) {
        loop {
            let now_ms = self.now_ms();
            for central in &mut self.centrals {
                central.link.on_time(now_ms);
                while let Some(bytes) = central.link.transmit(now_ms, 182) {
                    self.write.write(central.number, bytes).await;
                }
                if let Some(said) = central.link.next_event(now_ms) {
                    return (central.number, said);
                }
            }
            let wait = tokio::time::sleep(Duration::from_millis(20));
            tokio::select! {
                Some(value) = self.notified.recv() => for central in &mut self.centrals {
                    central.link.receive(now_ms, &value);
                },
                () = wait => {}
            }
            assert!(self.started.elapsed() < Duration::from_secs(60), "nothing happens any more");
        }
    }
}

async fn up(events: &mut Events) -> LinkId {
    wait_for(events, |event| match event {
        Event::Link(LinkEvent::Up(info)) => Some(info.link),
        _ => None,
    })
    .await
}

#[test]
fn strangers_and_a_payer_share_one_service() {
    run_on_a_bus("stand_in::peripheral::strangers_and_a_payer_share_one_service", async {
        let bluez = Bluez::start().await;
        bluez.asked.lock().unwrap().powered = true;
        bluez.plug_in();
        let config = Config { channels: false, ..Config::new(b"net") };
        let (handle, mut events) = start(config).unwrap();
        assert!(matches!(next(&mut events).await, Some(Event::On { .. })));
        handle.hold([9; 32]).await.unwrap();
        for number in [1, 2, 3] {
            bluez.appear(number, [0x77; 16], true);
        }
        let notify = bluez.characteristic(NOTIFY).await;
        let (_matching, notified) = bluez.notifications(&notify).await;
        notify.subscribe().await;
        let write = bluez.characteristic(WRITE).await;
        let mut centrals = Centrals { started: Instant::now(), write, notified, centrals: vec![] };

        // INFO says what the advertisement says, under the id of now.
        let value = bluez.characteristic(INFO).await.read(1).await;
        let beacon = info::decode(&value).unwrap().beacon.unwrap();
        assert_eq!(beacon.fingerprint, fingerprint(&[9; 32], beacon.id));

        // Two strangers at once.
        centrals.add(1, Callee::Stranger);
        centrals.add(2, Callee::Stranger);
        let mut greetings = Vec::new();
        while greetings.len() < 2 {
            let (_, Said::Up { greeting, .. }) = centrals.until_said().await else { panic!() };
            greetings.push(greeting);
        }
        assert_eq!(greetings, [Some(beacon.id); 2]);
        for central in &mut centrals.centrals {
            central.link.send(&vec![central.number; 3_000]).unwrap();
        }
        let talk = async {
            let mut links = Vec::new();
            while links.len() < 2 {
                let (link, bytes) = wait_for(&mut events, |event| match event {
                    Event::Link(LinkEvent::Message { link, bytes }) => Some((link, bytes)),
                    _ => None,
                })
                .await;
                assert_eq!(bytes, vec![bytes[0]; 3_000]);
                handle.send(link, vec![bytes[0] + 100; 2_000]).await.unwrap();
                links.push((bytes[0], link));
            }
            links
        };
        let hear = async {
            for _ in 0..2 {
                let (number, said) = centrals.until_said().await;
                assert_eq!(said, Said::Message(vec![number + 100; 2_000]));
            }
        };
        let (links, ()) = tokio::join!(talk, hear);

        // One closes, one goes away.
        let now_ms = centrals.now_ms();
        let at = centrals.centrals.iter().position(|central| central.number == 1).unwrap();
        centrals.centrals[at].link.close(now_ms);
        let (number, said) = centrals.until_said().await;
        assert_eq!((number, said), (1, Said::Down(CloseReason::ClosedHere)));
        bluez.disappear(2);
        centrals.centrals.clear();
        let mut downs = Vec::new();
        while downs.len() < 2 {
            downs.push(
                wait_for(&mut events, |event| match event {
                    Event::Link(LinkEvent::Down { link, reason }) => Some((link, reason)),
                    _ => None,
                })
                .await,
            );
        }
        let link_of = |number| links.iter().find(|(of, _)| *of == number).unwrap().1;
        assert!(downs.contains(&(link_of(1), CloseReason::ClosedThere)), "{downs:?}");
        assert!(downs.contains(&(link_of(2), CloseReason::Cut)), "{downs:?}");

        // A payer: the offer in the first message, the receipt in the answer.
        let key = LinkKey::from_bytes([77; 32]);
        let session = Session { uuid: [5; 16], key: key.public(), psm: None };
        handle.invite(Some((session, key))).await.unwrap();
        centrals.add(3, Callee::Payee { session, first: vec![16; 1_496] });
        let pay = async {
            let link = up(&mut events).await;
            let first = next(&mut events).await;
            assert_eq!(first, Some(Event::First { link, bytes: vec![16; 1_496] }));
            handle.send(link, vec![17; 243]).await.unwrap();
        };
        let answer = async {
            assert!(matches!(centrals.until_said().await, (3, Said::Up { .. })));
            assert_eq!(centrals.until_said().await, (3, Said::Message(vec![17; 243])));
        };
        tokio::join!(pay, answer);
        let value = bluez.characteristic(INFO).await.read(3).await;
        assert_eq!(info::decode(&value).unwrap().beacon, None, "nothing says whose session it is");
        handle.stop().await;
        while next(&mut events).await.is_some() {}
    });
}

/// BlueZ numbers advertisements, and an earlier one must have gone for the next to have its number.
#[test]
fn one_advertisement_goes_before_the_next_one_comes() {
    let name = "stand_in::peripheral::one_advertisement_goes_before_the_next_one_comes";
    run_on_a_bus(name, async {
        let bluez = Bluez::start().await;
        bluez.asked.lock().unwrap().powered = true;
        bluez.plug_in();
        let config = Config { channels: false, ..Config::new(b"net") };
        let (handle, mut events) = start(config).unwrap();
        assert!(matches!(next(&mut events).await, Some(Event::On { .. })));
        let mut shown = String::new();
        for number in 0..11 {
            let key = LinkKey::from_bytes([number + 1; 32]);
            let session = Session { uuid: [number; 16], key: key.public(), psm: None };
            // The last one comes by itself: whatever took the tenth off the air unnoticed.
            if number < 10 {
                handle.invite(Some((session, key))).await.unwrap();
            }
            let before = core::mem::take(&mut shown);
            while shown.is_empty() || shown == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let asked = bluez.asked.lock().unwrap();
                shown = asked.advertisements.first().map(|of| of.1.clone()).unwrap_or_default();
            }
        }
        handle.stop().await;
        assert_eq!(next(&mut events).await, None);
        assert_eq!(bluez.asked.lock().unwrap().advertisements_max, 1);
    });
}

/// BlueZ never takes back what it was putting on the air when its owner went, and has five places.
#[test]
fn who_stops_while_it_is_put_on_the_air_waits_and_takes_it_back() {
    let name = "stand_in::peripheral::who_stops_while_it_is_put_on_the_air_waits_and_takes_it_back";
    run_on_a_bus(name, async {
        let bluez = Bluez::start().await;
        bluez.asked.lock().unwrap().powered = true;
        bluez.asked.lock().unwrap().registering = Duration::from_millis(300);
        bluez.plug_in();
        let config = Config { channels: false, ..Config::new(b"net") };
        let (handle, mut events) = start(config).unwrap();
        assert!(matches!(next(&mut events).await, Some(Event::On { .. })));
        handle.stop().await;
        assert_eq!(next(&mut events).await, None);
        tokio::time::sleep(Duration::from_millis(600)).await;
        let asked = bluez.asked.lock().unwrap();
        assert_eq!(asked.advertisements_max, 1, "it was put on the air");
        assert!(asked.advertisements.is_empty(), "and is there still");
    });
}
