//! The adapter is missing, off, pulled out, back; the daemon dies, is started again, hangs.

use std::time::Duration;

use hundi_transport_ble::{AdapterError, Config, Event, start};
use hundi_transports::ble::advertisement::WRITE;

use crate::kit::{next, run_on_a_bus};
use crate::stand_in::bluez::Bluez;

fn config() -> Config {
    let channels = false;
    Config { adapter: Some("hci0".to_owned()), channels, ..Config::new(b"net") }
}

fn on() -> Option<Event> {
    Some(Event::On { adapter: "hci0".to_owned(), psm: None })
}

/// Waits until the driver advertises and listens.
async fn until_at_work(bluez: &Bluez) {
    for _ in 0..3_000 {
        let at_work = {
            let asked = bluez.asked.lock().unwrap();
            (asked.applications.len(), asked.advertisements.len(), asked.discoveries.len())
        };
        if at_work == (1, 1, 1) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing was registered");
}

#[test]
fn whatever_goes_and_comes_back_is_named_and_used_again() {
    run_on_a_bus(
        "stand_in::recovery::whatever_goes_and_comes_back_is_named_and_used_again",
        async {
            let name = "hci0".to_owned();
            let (handle, mut events) = start(config()).unwrap();
            assert_eq!(next(&mut events).await, Some(Event::Off(AdapterError::NoDaemon)));
            let bluez = Bluez::start().await;
            let (wanted, there) = (Some(name.clone()), Vec::new());
            let missing = AdapterError::NoAdapter { wanted, there };
            assert_eq!(next(&mut events).await, Some(Event::Off(missing)));
            bluez.plug_in();
            let off = AdapterError::PoweredOff { name: name.clone() };
            assert_eq!(next(&mut events).await, Some(Event::Off(off.clone())));
            bluez.set_powered(true);
            assert_eq!(next(&mut events).await, on());
            until_at_work(&bluez).await;
            bluez.set_powered(false);
            assert_eq!(next(&mut events).await, Some(Event::Off(off)));
            bluez.set_powered(true);
            assert_eq!(next(&mut events).await, on());
            until_at_work(&bluez).await;
            bluez.pull_out();
            let gone = next(&mut events).await;
            assert!(matches!(gone, Some(Event::Off(AdapterError::Removed { .. }))), "{gone:?}");
            let gone = next(&mut events).await;
            assert!(matches!(gone, Some(Event::Off(AdapterError::NoAdapter { .. }))), "{gone:?}");
            bluez.plug_in();
            assert_eq!(next(&mut events).await, on());
            // Killed, and soon there again: nothing tells, but everything registered is gone.
            bluez.kill().await;
            let bluez = Bluez::start().await;
            bluez.asked.lock().unwrap().powered = true;
            bluez.plug_in();
            let restarted = next(&mut events).await;
            let Some(Event::Off(AdapterError::DaemonRestarted | AdapterError::NoDaemon)) =
                restarted
            else {
                panic!("{restarted:?}");
            };
            assert_eq!(next(&mut events).await, on());
            until_at_work(&bluez).await;
            // Killed for longer.
            bluez.kill().await;
            let dead = next(&mut events).await;
            assert_eq!(dead, Some(Event::Off(AdapterError::NoDaemon)));
            let bluez = Bluez::start().await;
            bluez.asked.lock().unwrap().powered = true;
            bluez.plug_in();
            assert_eq!(next(&mut events).await, on());
            bluez.hang();
            assert_eq!(next(&mut events).await, Some(Event::Off(AdapterError::NoAnswer)));
            handle.stop().await;
            assert_eq!(next(&mut events).await, None);
        },
    );
}

/// BlueZ may have been silent only, and then still holds the connection: it would tell of that
/// device what it is connected with, and never again what it advertises.
#[test]
fn who_was_connected_when_the_adapter_was_lost_is_forgotten_when_it_is_back() {
    let name = "stand_in::recovery::who_was_connected_when_the_adapter_was_lost_is_forgotten_when_it_is_back";
    run_on_a_bus(name, async {
        let bluez = Bluez::start().await;
        bluez.asked.lock().unwrap().powered = true;
        bluez.plug_in();
        let (handle, mut events) = start(config()).unwrap();
        assert_eq!(next(&mut events).await, on());
        until_at_work(&bluez).await;
        bluez.appear_with_services(1);
        // An acknowledgement of nothing: a link that waits for its beginning.
        bluez.characteristic(WRITE).await.write(1, vec![0x00, 0x20, 0, 0, 32]).await;
        bluez.set_powered(false);
        assert!(matches!(next(&mut events).await, Some(Event::Off(_))));
        assert_eq!(bluez.asked.lock().unwrap().removed, 0);
        bluez.set_powered(true);
        assert_eq!(next(&mut events).await, on());
        for _ in 0..500 {
            let asked = {
                let asked = bluez.asked.lock().unwrap();
                (asked.disconnects, asked.removed)
            };
            // A scan forgets it, too, once it is not connected.
            if asked.0 == 1 && asked.1 >= 1 {
                handle.stop().await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it is still held");
    });
}
