//! Without a bus the driver says what is missing, goes on trying without haste, answers what it can,
//! and stops.

use std::time::{Duration, Instant};

use hundi_transport_ble::{AdapterError, Config, Event, start};
use hundi_transports::ble::hint::Session;

use crate::kit::{next, run_at};

#[test]
fn without_a_bus_it_says_so_goes_on_and_stops() {
    let nowhere = "unix:path=/nonexistent/hundi-test-bus";
    run_at(nowhere, "absent::without_a_bus_it_says_so_goes_on_and_stops", async {
        let started = Instant::now();
        let (handle, mut events) = start(Config::new(b"net")).unwrap();
        let first = next(&mut events).await.unwrap();
        let Event::Off(error @ AdapterError::NoBus { .. }) = first else { panic!("{first:?}") };
        assert!(error.to_string().ends_with("start dbus-daemon"), "{error}");
        // Nobody can be paid, and that is said in time; that there is no bus is said once.
        let session = Session { uuid: [1; 16], key: [2; 32], psm: None };
        handle.pay(session, vec![3; 200], 1_500).await.unwrap();
        assert_eq!(next(&mut events).await, Some(Event::NoAnswer));
        assert!(started.elapsed() >= Duration::from_millis(1_400), "it was not given up early");
        handle.stop().await;
        assert_eq!(next(&mut events).await, None);
        assert!(handle.hold([4; 32]).await.is_err());
    });
}
