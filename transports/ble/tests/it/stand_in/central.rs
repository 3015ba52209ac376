//! The driver as a payer that finds its payee's service, and finds that it speaks another version.

use std::time::{Duration, Instant};

use hundi_transport_ble::{Config, Event, start};
use hundi_transports::ble::hint::Session;

use crate::kit::{next, run_on_a_bus};
use crate::stand_in::bluez::Bluez;

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
        assert!((1..=10).contains(&asked.connects), "{} attempts", asked.connects);
        assert!(asked.reads == asked.connects && asked.disconnects + 1 >= asked.connects);
        assert!(asked.removed + 1 >= asked.connects, "BlueZ forgets it each time");
    });
}
