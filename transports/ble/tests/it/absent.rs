//! Without a bus the driver says what is missing, goes on trying without haste, answers what it can,
//! and stops.

use std::process::Command;
use std::time::{Duration, Instant};

use hundi_transport_ble::{AdapterError, Config, Event, start};
use hundi_transports::ble::hint::Session;
use tokio::time::timeout;

/// Set for the process in which the test runs: where bluer and D-Bus look for the system bus.
const BUS: &str = "DBUS_SYSTEM_BUS_ADDRESS";
const NOWHERE: &str = "unix:path=/nonexistent/hundi-test-bus";

#[test]
fn without_a_bus_it_says_so_goes_on_and_stops() {
    if std::env::var(BUS).is_ok_and(|bus| bus == NOWHERE) {
        return tokio::runtime::Runtime::new().unwrap().block_on(inside());
    }
    let test = std::env::current_exe().unwrap();
    let name = "absent::without_a_bus_it_says_so_goes_on_and_stops";
    let output = Command::new(test).args(["--exact", name]).env(BUS, NOWHERE).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

async fn inside() {
    let started = Instant::now();
    let (handle, mut events) = start(Config::new(b"net")).unwrap();
    let first = next(&mut events).await.unwrap();
    let Event::Off(error @ AdapterError::NoBus { .. }) = first else { panic!("{first:?}") };
    assert!(error.to_string().ends_with("start dbus-daemon"), "{error}");
    // Nobody can be paid, and that is said in time; that there is no bus is said once.
    let session = Session { uuid: [1; 16], key: [2; 32], psm: None };
    handle.pay(session, vec![3; 200], 1_500).await.unwrap();
    assert_eq!(next(&mut events).await, Some(Event::NoAnswer));
    assert!(started.elapsed() >= Duration::from_millis(1_500), "it was not given up early");
    handle.stop().await;
    assert_eq!(next(&mut events).await, None);
    assert!(handle.hold([4; 32]).await.is_err());
}

async fn next(events: &mut hundi_transport_ble::Events) -> Option<Event> {
    timeout(Duration::from_secs(60), events.next()).await.expect("an event")
}
