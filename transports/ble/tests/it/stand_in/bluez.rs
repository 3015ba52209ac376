//! A stand-in for BlueZ's daemon: the part of its D-Bus interface that the driver uses, without any
//! radio. It does what it is told and keeps what it was asked. It hands out no sockets, so what a
//! GATT client sends and hears is left to the rig.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dbus::Message;
use dbus::arg::{PropMap, RefArg, Variant};
use dbus::channel::{MatchingReceiver, Sender};
use dbus::message::{MatchRule, SignalArgs};
use dbus::nonblock::stdintf::org_freedesktop_dbus::ObjectManager;
use dbus::nonblock::stdintf::org_freedesktop_dbus::PropertiesPropertiesChanged as Changed;
use dbus::nonblock::{MsgMatch, Proxy, SyncConnection};
use dbus_crossroads::{Context, Crossroads, IfaceBuilder};
use hundi_transports::ble::advertisement::{INFO, NOTIFY, SERVICE, WRITE};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const ADAPTER: &str = "/org/bluez/hci0";

/// What the daemon was asked, and what it answers.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) powered: bool,
    /// The programs' names on the bus, and the paths, of what is registered.
    pub(crate) applications: Vec<(String, String)>,
    pub(crate) advertisements: Vec<(String, String)>,
    /// How long registering takes.
    pub(crate) registering: Duration,
    /// How many of these there were at once.
    pub(crate) advertisements_max: usize,
    /// The programs that have started a discovery and not stopped it.
    pub(crate) discoveries: Vec<String>,
    /// How often one was started.
    pub(crate) starts: usize,
    /// The paths of the devices that were connected to.
    pub(crate) connects: Vec<String>,
    pub(crate) disconnects: usize,
    pub(crate) removed: usize,
    /// What the INFO of remote devices holds.
    pub(crate) info: Vec<u8>,
    /// How often it was read.
    pub(crate) reads: usize,
}

/// The daemon.
pub(crate) struct Bluez {
    pub(crate) asked: Arc<Mutex<Asked>>,
    connection: Arc<SyncConnection>,
    objects: Arc<Mutex<Crossroads>>,
    reader: JoinHandle<()>,
}

/// One of a remote device's characteristics.
struct Remote {
    uuid: [u8; 16],
    asked: Arc<Mutex<Asked>>,
}

/// A remote device.
struct Device {
    uuids: Vec<String>,
    connected: bool,
    asked: Arc<Mutex<Asked>>,
}

pub(crate) fn text(uuid: [u8; 16]) -> String {
    let hex: Vec<String> = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..4], &hex[4..6], &hex[6..8], &hex[8..10], &hex[10..]].map(|part| part.concat()).join("-")
}

/// Who asks.
fn sender(context: &Context) -> String {
    context.message().sender().map(|name| name.to_string()).unwrap_or_default()
}

/// A static random address, if `first` has its two highest bits set.
fn path_of(first: u8, number: u8) -> String {
    format!("{ADAPTER}/dev_{first:02X}_00_00_00_00_{number:02X}")
}

pub(crate) fn device_path(number: u8) -> String {
    path_of(0xc0, number)
}

type Shared = Arc<Mutex<Asked>>;

impl Bluez {
    /// A daemon without an adapter.
    pub(crate) async fn start() -> Self {
        let (resource, connection) = dbus_tokio::connection::new_system_sync().unwrap();
        let reader = tokio::spawn(async move {
            resource.await;
        });
        let mut objects = Crossroads::new();
        objects.set_object_manager_support(Some(connection.clone()));
        let spawn = Box::new(|work| drop(tokio::spawn(work)));
        objects.set_async_support(Some((connection.clone(), spawn)));
        let manager = objects.object_manager();
        objects.insert("/", &[manager], ());
        let objects = Arc::new(Mutex::new(objects));
        let handler = objects.clone();
        connection.start_receive(
            MatchRule::new_method_call(),
            Box::new(move |message, connection| {
                let _ = handler.lock().unwrap().handle_message(message, connection);
                true
            }),
        );
        // Now and then dbus-tokio never sees the answer to a call that is made on one thread while its
        // reader begins on another: ask again.
        let mut named = connection.request_name("org.bluez", false, true, false).await;
        for _ in 0..3 {
            if named.is_err() {
                named = connection.request_name("org.bluez", false, true, false).await;
            }
        }
        named.unwrap();
        Bluez { asked: Shared::default(), connection, objects, reader }
    }

    /// It is gone from the bus, and what it was asked with it.
    pub(crate) async fn kill(self) {
        self.connection.release_name("org.bluez").await.unwrap();
        self.hang();
    }

    /// It is there and answers nobody.
    pub(crate) fn hang(self) {
        self.reader.abort();
    }

    /// Plugs the adapter in.
    pub(crate) fn plug_in(&self) {
        let mut objects = self.objects.lock().unwrap();
        let adapter = objects.register("org.bluez.Adapter1", adapter);
        let gatt = objects.register("org.bluez.GattManager1", |b: &mut IfaceBuilder<Shared>| {
            register(b, "Application", |asked| &mut asked.applications);
        });
        let advertising = "org.bluez.LEAdvertisingManager1";
        let advertising = objects.register(advertising, |b: &mut IfaceBuilder<Shared>| {
            register(b, "Advertisement", |asked| &mut asked.advertisements);
            b.property("ActiveInstances").get(|_, asked| {
                Ok(u8::try_from(asked.lock().unwrap().advertisements.len()).unwrap())
            });
        });
        objects.insert(ADAPTER, &[adapter, gatt, advertising], self.asked.clone());
    }

    /// Pulls it out.
    pub(crate) fn pull_out(&self) {
        let _: Option<Shared> = self.objects.lock().unwrap().remove(&ADAPTER.into());
    }

    /// Switches it.
    pub(crate) fn set_powered(&self, powered: bool) {
        self.asked.lock().unwrap().powered = powered;
        self.tell(ADAPTER, "org.bluez.Adapter1", "Powered", Box::new(powered));
    }

    fn tell(&self, path: &str, interface: &str, property: &str, value: Box<dyn RefArg>) {
        let changed = Changed {
            interface_name: interface.to_owned(),
            changed_properties: PropMap::from([(property.to_owned(), Variant(value))]),
            invalidated_properties: Vec::new(),
        };
        let path = dbus::Path::new(path.to_owned()).unwrap();
        self.connection.send(changed.to_emit_message(&path)).unwrap();
    }

    /// A device comes into reach: it advertises this session, or has connected to this end. Its
    /// service is there, too.
    pub(crate) fn appear(&self, number: u8, session: [u8; 16], connected: bool) {
        self.insert(device_path(number), vec![text(session)], connected);
    }

    /// The device that a peripheral is seen as which cannot be connected to.
    pub(crate) fn appear_in_passing(&self, number: u8, session: [u8; 16]) {
        self.insert(path_of(0x3b, number), vec![text(session)], false);
    }

    /// A node that is connected, and of which the daemon tells the services that were found.
    pub(crate) fn appear_with_services(&self, number: u8) {
        let generic_access = "00001800-0000-1000-8000-00805f9b34fb".to_owned();
        self.insert(device_path(number), vec![generic_access, text(SERVICE)], true);
    }

    fn insert(&self, path: String, uuids: Vec<String>, connected: bool) {
        let mut objects = self.objects.lock().unwrap();
        let device = objects.register("org.bluez.Device1", device);
        let of = Device { uuids, connected, asked: self.asked.clone() };
        objects.insert(path.clone(), &[device], of);
        let service = objects.register("org.bluez.GattService1", |b: &mut IfaceBuilder<()>| {
            b.property("UUID").get(|_, ()| Ok(text(SERVICE)));
            b.property("Primary").get(|_, ()| Ok(true));
        });
        objects.insert(format!("{path}/service0001"), &[service], ());
        let characteristic = objects.register("org.bluez.GattCharacteristic1", characteristic);
        for (at, uuid) in (2..).zip([WRITE, NOTIFY, INFO]) {
            let remote = Remote { uuid, asked: self.asked.clone() };
            objects.insert(format!("{path}/service0001/char000{at}"), &[characteristic], remote);
        }
    }

    /// A device goes out of reach.
    pub(crate) fn disappear(&self, number: u8) {
        let path: dbus::Path<'static> = device_path(number).into();
        if let Some(device) = self.objects.lock().unwrap().data_mut::<Device>(&path) {
            device.connected = false;
        }
        self.tell(&path, "org.bluez.Device1", "Connected", Box::new(false));
    }

    /// What the driver has registered as its characteristic.
    pub(crate) async fn characteristic(&self, uuid: [u8; 16]) -> Characteristic {
        let (program, path) = loop {
            if let Some(known) = self.asked.lock().unwrap().applications.last() {
                break known.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let proxy = self.proxy(&program, &path);
        let objects = proxy.get_managed_objects().await.unwrap();
        let wanted = text(uuid);
        let is_it = |interfaces: &HashMap<String, PropMap>| {
            let characteristic = interfaces.get("org.bluez.GattCharacteristic1");
            characteristic.is_some_and(|of| of["UUID"].0.as_str() == Some(&wanted))
        };
        let (path, _) = objects.into_iter().find(|(_, interfaces)| is_it(interfaces)).unwrap();
        Characteristic { proxy: self.proxy(&program, &path), path: path.to_string() }
    }

    fn proxy(&self, program: &str, path: &str) -> Proxy<'static, Arc<SyncConnection>> {
        let timeout = Duration::from_secs(10);
        Proxy::new(program.to_owned(), path.to_owned(), timeout, self.connection.clone())
    }

    /// What is notified from now on, to all centrals.
    pub(crate) async fn notifications(
        &self,
        of: &Characteristic,
    ) -> (MsgMatch, mpsc::Receiver<Vec<u8>>) {
        let (sender, receiver) = mpsc::channel(1_000);
        let path = of.path.clone();
        let rule = MatchRule::new_signal("org.freedesktop.DBus.Properties", "PropertiesChanged");
        let matching =
            self.connection.add_match(rule).await.unwrap().msg_cb(move |message: Message| {
                if message.path().is_some_and(|from| *from == *path)
                    && let Some(changed) = Changed::from_message(&message)
                    && let Some(value) =
                        dbus::arg::prop_cast::<Vec<u8>>(&changed.changed_properties, "Value")
                {
                    sender.try_send(value.clone()).unwrap();
                }
                true
            });
        (matching, receiver)
    }
}

/// A characteristic of the driver's.
pub(crate) struct Characteristic {
    proxy: Proxy<'static, Arc<SyncConnection>>,
    path: String,
}

impl Characteristic {
    fn options(number: u8) -> PropMap {
        let device: dbus::Path<'static> = device_path(number).into();
        let mut options = PropMap::new();
        options.insert("device".to_owned(), Variant(Box::new(device)));
        options.insert("mtu".to_owned(), Variant(Box::new(185_u16)));
        options.insert("link".to_owned(), Variant(Box::new("LE".to_owned())));
        options
    }

    /// A central writes, as BlueZ passes it on.
    pub(crate) async fn write(&self, number: u8, bytes: Vec<u8>) {
        let options = Characteristic::options(number);
        let interface = "org.bluez.GattCharacteristic1";
        let () = self.proxy.method_call(interface, "WriteValue", (bytes, options)).await.unwrap();
    }

    pub(crate) async fn read(&self, number: u8) -> Vec<u8> {
        let options = (Characteristic::options(number),);
        let interface = "org.bluez.GattCharacteristic1";
        let (value,): (Vec<u8>,) =
            self.proxy.method_call(interface, "ReadValue", options).await.unwrap();
        value
    }

    pub(crate) async fn subscribe(&self) {
        let interface = "org.bluez.GattCharacteristic1";
        let () = self.proxy.method_call(interface, "StartNotify", ()).await.unwrap();
    }
}

/// The pair of methods that keep a list of what is registered.
fn register(
    b: &mut IfaceBuilder<Shared>,
    what: &str,
    list: fn(&mut Asked) -> &mut Vec<(String, String)>,
) {
    type Options = (dbus::Path<'static>, PropMap);
    let (register, unregister) = (format!("Register{what}"), format!("Unregister{what}"));
    b.method_with_cr_async(
        register,
        ("path", "options"),
        (),
        move |mut context, objects, asked| {
            let (path, _): Options = asked;
            let asked = objects.data_mut::<Shared>(context.path()).unwrap().clone();
            let owner = sender(&context);
            async move {
                let registering = asked.lock().unwrap().registering;
                tokio::time::sleep(registering).await;
                let mut asked = asked.lock().unwrap();
                list(&mut asked).push((owner, path.to_string()));
                let advertisements = asked.advertisements.len();
                asked.advertisements_max = asked.advertisements_max.max(advertisements);
                context.reply(Ok(()))
            }
        },
    );
    b.method(unregister, ("path",), (), move |_, asked, (path,): (dbus::Path<'static>,)| {
        list(&mut asked.lock().unwrap()).retain(|(_, known)| *known != *path);
        Ok(())
    });
}

fn adapter(b: &mut IfaceBuilder<Shared>) {
    b.property("Address").get(|_, _| Ok("00:00:00:00:00:FF".to_owned()));
    b.property("AddressType").get(|_, _| Ok("public".to_owned()));
    b.property("Powered").get(|_, asked| Ok(asked.lock().unwrap().powered));
    b.property("Discovering").get(|_, asked| Ok(!asked.lock().unwrap().discoveries.is_empty()));
    b.method("SetDiscoveryFilter", ("filter",), (), |_, _, (_,): (PropMap,)| Ok(()));
    b.method("StartDiscovery", (), (), |context, asked, ()| {
        let mut asked = asked.lock().unwrap();
        asked.discoveries.push(sender(context));
        asked.starts += 1;
        Ok(())
    });
    b.method("StopDiscovery", (), (), |context, asked, ()| {
        // Also of an earlier daemon's: that one is not known here.
        asked.lock().unwrap().discoveries.retain(|known| *known != sender(context));
        Ok(())
    });
    b.method("RemoveDevice", ("device",), (), |_, asked, (_,): (dbus::Path<'static>,)| {
        asked.lock().unwrap().removed += 1;
        Ok(())
    });
}

fn device(b: &mut IfaceBuilder<Device>) {
    b.property("AddressType").get(|_, _| Ok("random".to_owned()));
    b.property("Paired").get(|_, _| Ok(false));
    b.property("Trusted").get(|_, _| Ok(false));
    b.property("RSSI").get(|_, _| Ok(-40_i16));
    b.property("UUIDs").get(|_, device| Ok(device.uuids.clone()));
    b.property("ServiceData").get(|_, _| Ok(PropMap::new()));
    b.property("Connected").get(|_, device| Ok(device.connected));
    b.property("ServicesResolved").get(|_, device| Ok(device.connected));
    b.method("Connect", (), (), |context, device, ()| {
        device.connected = true;
        device.asked.lock().unwrap().connects.push(context.path().to_string());
        Ok(())
    });
    b.method("Disconnect", (), (), |_, device, ()| {
        device.connected = false;
        device.asked.lock().unwrap().disconnects += 1;
        Ok(())
    });
}

fn characteristic(b: &mut IfaceBuilder<Remote>) {
    b.property("UUID").get(|_, remote| Ok(text(remote.uuid)));
    b.method("ReadValue", ("options",), ("value",), |_, remote, (_,): (PropMap,)| {
        let mut asked = remote.asked.lock().unwrap();
        asked.reads += 1;
        Ok((asked.info.clone(),))
    });
}
