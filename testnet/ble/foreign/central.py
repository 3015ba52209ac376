"""Bumble as the central of docs/ble.md: finds a session on the air, connects, and moves values over
GATT or an L2CAP channel. What the values are is the link's business."""

import asyncio
import secrets
import time

from bumble import core, hci, l2cap
from bumble.device import Device, DeviceConfiguration, Peer
from bumble.transport import open_transport

import wire

CONNECT_S = 10
SCAN_S = 1.5
MTU = 517
WRITE_BYTES_MAX = 510
FRAGMENT_BYTES_MAX = 2_048
GATT, CHANNEL, CHANNEL_OF_INFO = "gatt", "l2cap", "l2cap-info"


class Lost(Exception):
    """The connection did not come about, or is gone."""


def now_ms():
    return time.monotonic() * 1_000


def bumble_uuid(uuid):
    return core.UUID(uuid.hex())


class Central:
    """One adapter, which nobody else uses meanwhile."""

    def __init__(self, transport, device):
        self.transport, self.device = transport, device

    @staticmethod
    async def open(name):
        """`name` is Bumble's for a controller: `hci-socket:1` is hci1, which must be down."""
        transport = await open_transport(name)
        address = hci.Address.generate_static_address()
        configuration = DeviceConfiguration(name="foreign", address=address)
        device = Device.from_config_with_hci(configuration, transport.source, transport.sink)
        await device.power_on()
        return Central(transport, device)

    async def close(self):
        await self.device.power_off()
        await self.transport.close()

    async def find(self, session, within_s):
        """The address from which a session is advertised."""
        found = asyncio.get_running_loop().create_future()

        def on_advertisement(advertisement):
            # What is connected may go on advertising in a way that cannot be connected to.
            ours = session in wire.services_of(advertisement.data_bytes)
            if ours and advertisement.is_connectable and not found.done():
                found.set_result(advertisement.address)

        self.device.on(Device.EVENT_ADVERTISEMENT, on_advertisement)
        until = now_ms() + within_s * 1_000
        try:
            while not found.done() and now_ms() < until:
                # Virtual controllers report an advertiser once per scan.
                await self.device.start_scanning(active=False, filter_duplicates=False)
                await asyncio.wait([found], timeout=SCAN_S)
                await self.device.stop_scanning()
        finally:
            self.device.remove_listener(Device.EVENT_ADVERTISEMENT, on_advertisement)
        if not found.done():
            raise Lost(f"nobody advertises the session within {within_s:.0f} s")
        return found.result()

    async def connect(self, address, bearer, psm=0):
        """A connection with its bearer, ready for values."""
        try:
            return await asyncio.wait_for(self.open_bearer(address, bearer, psm), CONNECT_S)
        except (core.BaseBumbleError, asyncio.CancelledError, TimeoutError) as error:
            for connection in list(self.device.connections.values()):
                await end(connection)
            # Bumble never forgets a channel that was asked for on a connection that is gone.
            self.device.l2cap_channel_manager.le_coc_requests.clear()
            raise Lost(f"no connection: {type(error).__name__} {error}") from error

    async def open_bearer(self, address, bearer, psm):
        connection = await self.device.connect(address, timeout=CONNECT_S)
        if bearer == CHANNEL:
            return await Channel.open(connection, psm)
        gatt = await Gatt.discover(connection)
        if bearer == GATT:
            await gatt.subscribe()
            return gatt
        psm, _ = wire.read_info(await gatt.info.read_value())
        return await Channel.open(connection, psm)


async def end(connection):
    try:
        await asyncio.wait_for(connection.disconnect(), 5)
    except (core.BaseBumbleError, TimeoutError):
        pass  # it has gone by itself


class Bearer:
    """Values to and from the peripheral of one connection. `came` is set when there are some, and
    when the connection is gone."""

    def __init__(self, connection):
        self.connection = connection
        self.values = []
        self.came = asyncio.Event()
        self.gone = False
        self.values_sent = self.values_received = self.bytes_sent = self.bytes_received = 0
        connection.on(connection.EVENT_DISCONNECTION, self.on_gone)

    def on_gone(self, _reason):
        self.gone = True
        self.came.set()

    def on_value(self, value):
        self.values_received += 1
        self.bytes_received += len(value)
        self.values.append(value)
        self.came.set()

    def take(self):
        values, self.values = self.values, []
        return values

    async def send(self, value):
        self.values_sent += 1
        self.bytes_sent += len(value)
        await self.put(value)

    async def wait(self, seconds):
        """Waits for values, the end of the connection, or the time."""
        try:
            await asyncio.wait_for(self.came.wait(), max(0, seconds))
        except TimeoutError:
            pass
        self.came.clear()

    async def close(self):
        if not self.gone:
            await end(self.connection)


class Gatt(Bearer):
    """WRITE there, NOTIFY back."""

    @staticmethod
    async def discover(connection):
        bearer = Gatt(connection)
        peer = Peer(connection)
        bearer.mtu = await peer.request_mtu(MTU)
        services = await peer.discover_service(bumble_uuid(wire.SERVICE))
        if not services:
            raise Lost("the peripheral does not have the service")
        wanted = [bumble_uuid(uuid) for uuid in (wire.WRITE, wire.NOTIFY, wire.INFO)]
        await peer.discover_characteristics(wanted, services[0])
        found = [peer.get_characteristics_by_uuid(uuid, services[0]) for uuid in wanted]
        if not all(found):
            raise Lost("the service lacks a characteristic")
        bearer.write, bearer.notify, bearer.info = (each[0] for each in found)
        bearer.bytes_max = min(bearer.mtu - 3, WRITE_BYTES_MAX)
        return bearer

    async def subscribe(self):
        await self.notify.subscribe(self.on_value)

    async def put(self, value):
        await self.write.write_value(value, with_response=False)


class Channel(Bearer):
    """An L2CAP channel: a stream of frames, whatever the units are."""

    @staticmethod
    async def open(connection, psm):
        if not psm:
            raise Lost("the peripheral has no channel")
        bearer = Channel(connection)
        spec = l2cap.LeCreditBasedChannelSpec(psm=psm, mtu=FRAGMENT_BYTES_MAX + 2)
        bearer.channel = await connection.create_l2cap_channel(spec)
        bearer.bytes_max = min(bearer.channel.peer_mtu - 2, FRAGMENT_BYTES_MAX)
        bearer.arrived = b""
        bearer.channel.sink = bearer.on_unit
        bearer.channel.on(bearer.channel.EVENT_CLOSE, lambda: bearer.on_gone(0))
        return bearer

    def on_unit(self, unit):
        self.arrived += unit
        while len(self.arrived) >= 2:
            length = int.from_bytes(self.arrived[:2], "little")
            if not 0 < length <= FRAGMENT_BYTES_MAX:
                self.on_gone(0)
                return
            if len(self.arrived) < 2 + length:
                return
            self.on_value(self.arrived[2 : 2 + length])
            self.arrived = self.arrived[2 + length :]

    async def put(self, value):
        self.channel.write(len(value).to_bytes(2, "little") + value)
        await asyncio.wait_for(self.channel.drain(), CONNECT_S)

    async def close(self):
        # The channel goes with its connection.
        if self.connection.handle in self.connection.device.connections:
            await end(self.connection)


def fresh_keys():
    """Static key and tag of one link; the handshake makes its own ephemeral key."""
    return secrets.token_bytes(32), None, secrets.token_bytes(2)
