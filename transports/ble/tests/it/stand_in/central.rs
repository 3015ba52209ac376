//! The driver as a payer: its payee is not there, or speaks another version.

use std::time::{Duration, Instant};

use hundi_transport_ble::{Config, Event, start};
use hundi_transports::ble::advertisement::SERVICE;
use hundi_transports::ble::hint::Session;

use crate::kit::{next, run_on_a_bus};
use crate::stand_in::bluez::{Bluez, device_path};

#[test]
fn a_payee_that_cannot_be_had_is_tried_with_pauses_and_given_up_in_time() {
    let name =
        "stand_in::central::a_payee_that_cannot_be_had_is_tried_with_pauses_and_given_up_in_time";
    run_on_a_bus(name, async {
        let bluez = Bluez::start().await;
        {
            let mut asked = bluez.asked.lock().unwrap();
            (asked.powered, asked.info) = (true, vec![2; 15]);
        }
        bluez.plug_in();
        let session = Session { uuid: [5; 16], key: [6; 32], psm: None };
        bluez.appear(1, session.uuid, false);
        bluez.appear(2, [9; 16], false);
        let config = Config { channels: false, ..Config::new(b"net") };
        let (handle, mut events) = start(config).unwrap();
        assert!(matches!(next(&mut events).await, Some(Event::On { .. })));
        let started = Instant::now();
        handle.pay(session, vec![16; 1_496], 5_000).await.unwrap();
        assert_eq!(next(&mut events).await, Some(Event::NoAnswer));
        assert!(started.elapsed() >= Duration::from_millis(4_900), "not given up early");
        handle.stop().await;
        assert_eq!(next(&mut events).await, None);
        let asked = bluez.asked.lock().unwrap();
        // Half a second at least between two attempts.
        let attempts = asked.connects.len();
        assert!((1..=10).contains(&attempts), "{attempts} attempts");
        assert!(asked.reads == attempts && asked.disconnects + 1 >= attempts);
        assert!(asked.removed + 1 >= attempts, "BlueZ forgets it each time");
    });
}

#[test]
fn a_payee_that_is_not_seen_is_looked_for_anew_again_and_again() {
    let name = "stand_in::central::a_payee_that_is_not_seen_is_looked_for_anew_again_and_again";
    run_on_a_bus(name, async {
        let bluez = Bluez::start().await;
        bluez.asked.lock().unwrap().powered = true;
        bluez.plug_in();
        let config = Config { channels: false, ..Config::new(b"net") };
        let (handle, mut events) = start(config).unwrap();
        assert!(matches!(next(&mut events).await, Some(Event::On { .. })));
        let session = Session { uuid: [5; 16], key: [6; 32], psm: None };
        handle.pay(session, vec![16; 300], 8_000).await.unwrap();
        assert_eq!(next(&mut events).await, Some(Event::NoAnswer));
        let asked = bluez.asked.lock().unwrap();
        // At 0, 1.5, 3, 4.5, 6 and 7.5 s, and perhaps once for the mesh before.
        assert!((4..=7).contains(&asked.starts), "{} starts", asked.starts);
        assert!(asked.discoveries.len() <= 1, "each was stopped");
    });
}

#[test]
fn only_what_advertises_and_can_be_connected_to_is_connected_to() {
    let name = "stand_in::central::only_what_advertises_and_can_be_connected_to_is_connected_to";
    run_on_a_bus(name, async {
        let bluez = Bluez::start().await;
        {
            let mut asked = bluez.asked.lock().unwrap();
            (asked.powered, asked.info) = (true, vec![2; 15]);
        }
        bluez.plug_in();
        // One that is connected shows its services, not what it advertises; one under a passing
        // address is a peripheral that was connected; one is a node without a beacon.
        bluez.appear_with_services(9);
        bluez.appear_in_passing(8, SERVICE);
        bluez.appear(1, SERVICE, false);
        let config = Config { channels: false, ..Config::new(b"net") };
        let (handle, mut events) = start(config).unwrap();
        assert!(matches!(next(&mut events).await, Some(Event::On { .. })));
        let connects = || bluez.asked.lock().unwrap().connects.clone();
        // Its INFO is that of another version: it fails, and is tried again after the others.
        while connects().iter().filter(|path| **path == device_path(1)).count() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        handle.stop().await;
        assert_eq!(next(&mut events).await, None);
        assert_eq!(connects(), [device_path(1), device_path(1)]);
    });
}
