"""Virtual controllers on one air, for the system's own Bluetooth: Bumble's, over /dev/vhci. Unlike
btvirt's each holds several connections, and what is advertised is heard again and again.

    radio.py COUNT

makes hci0 and as many others as asked for, and serves them until it is ended. Where Bumble's
controllers are not what Linux expects of one, they are put right here."""

import asyncio
import sys

from bumble import core, hci, link
from bumble.controller import Controller
from bumble.transport import open_transport


class Air(link.LocalLink):
    def send_acl_data(self, sender_controller, destination_address, transport, data):
        """Under the address that the connection was made with; Bumble takes it to be the random one."""
        receiver = self.find_le_controller(destination_address)
        connection = sender_controller.le_connections.get(destination_address)
        if receiver and connection:
            loop = asyncio.get_running_loop()
            loop.call_soon(receiver.on_link_acl_data, connection.self_address, transport, data)

    def send_ll_control_pdu(self, sender_address, receiver_address, packet):
        try:
            super().send_ll_control_pdu(sender_address, receiver_address, packet)
        except core.InvalidArgumentError:
            pass  # both ends have hung up at once


class Adapter(Controller):
    # One data PDU with data length extension; Bumble's 27 bytes are those without.
    le_acl_data_packet_length = 251
    # As an older phone's: advertising is legacy anyway, and what is not there cannot be half there.
    le_features = Controller.le_features & ~(
        hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
        | hci.LeFeatureMask.LL_PRIVACY
    )

    def on_hci_command(self, command):
        """A command that is not known gets an answer all the same: Linux waits for it."""
        unknown = hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR
        if isinstance(command, hci.HCI_SyncCommand):
            return hci.HCI_StatusReturnParameters(unknown)
        self._send_hci_command_status(unknown, command.op_code)
        return None

    def create_le_connection(self, peer_address):
        """Who answers an advertisement at the same time as another gets nothing. Bumble's central
        takes itself to be connected all the same; as on the air, it is told a moment later."""
        before = set(self.le_connections)
        super().create_le_connection(peer_address)
        for made in set(self.le_connections) - before:
            asyncio.get_running_loop().call_later(0.05, self.is_it_there, self.le_connections[made])

    def is_it_there(self, connection):
        if self.le_connections.get(connection.peer_address) is not connection:
            return  # it has ended already
        peer = self.link.find_le_controller(connection.peer_address)
        if not peer or connection.self_address not in peer.le_connections:
            failed = hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR
            self.on_le_disconnected(connection, failed)

    def on_hci_le_create_connection_cancel_command(self, command):
        """What was cancelled also ends: its completion says that it did not come about."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        failed = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=hci.Role.CENTRAL,
            peer_address_type=pending.peer_address_type,
            peer_address=pending.peer_address,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        # Behind the answer to the command.
        asyncio.get_running_loop().call_later(0.01, self.send_hci_packet, failed)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)


async def main(count):
    air = Air()
    for number in range(count):
        transport = await open_transport("vhci")
        address = hci.Address(f"00:AA:01:{number:02X}:00:42", hci.Address.PUBLIC_DEVICE_ADDRESS)
        Adapter(f"hci{number}", transport.source, transport.sink, air, address)
        # The system numbers them in the order in which they are made.
        await asyncio.sleep(0.5)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
