"""A client of virtualcan's TCP protocol on python-can, for the tests.

    peer.py recv PORT   prints what it receives, up to the marker
    peer.py send PORT   sends the frames of standard input
    peer.py echo PORT   sends back each frame with its identifier plus one, up to the marker

Frames are JSON objects, one per line. The first line that it prints says that it
is connected.
"""

import json
import select
import socket
import struct
import sys
import time

import can

MARKER = 0x7FF


class TCPBus(can.BusABC):
    """The protocol as the tests' server is expected to speak it, strictly."""

    def __init__(self, port):
        super().__init__(channel=port)
        self.channel_info = f"virtualcan on port {port}"
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""

    def send(self, msg, timeout=None):
        data = bytes(msg.data).ljust(8, b"\0")
        flags = 1 if msg.is_extended_id else 0
        self.socket.sendall(struct.pack(">IIBB", 14, msg.arbitration_id, flags, msg.dlc) + data)

    def _recv_internal(self, timeout):
        end = None if timeout is None else time.monotonic() + timeout
        while len(self.pending) < 18:
            left = None if end is None else max(0, end - time.monotonic())
            if not select.select([self.socket], [], [], left)[0]:
                return None, False
            more = self.socket.recv(65536)
            if not more:
                raise can.CanOperationError("the server has closed the connection")
            self.pending += more
        length, id_, flags, dlc, data = struct.unpack(">IIBB8s", self.pending[:18])
        self.pending = self.pending[18:]
        if length != 14 or flags > 1 or dlc > 8 or any(data[dlc:]):
            raise can.CanOperationError(f"odd packet: {length} {id_:x} {flags} {dlc} {data.hex()}")
        msg = can.Message(timestamp=time.time(), arbitration_id=id_, is_extended_id=flags == 1, data=data[:dlc])
        return msg, False

    def shutdown(self):
        super().shutdown()
        self.socket.close()


def receive(bus):
    """Yields what comes before the marker."""
    while True:
        msg = bus.recv(30)
        if msg is None:
            sys.exit("nothing came for 30 s")
        if msg.arbitration_id == MARKER and not msg.is_extended_id:
            return
        yield msg


def main(mode, port):
    with TCPBus(int(port)) as bus:
        print("python-can " + can.__version__, flush=True)
        if mode == "recv":
            for msg in receive(bus):
                print(json.dumps({
                    "id": msg.arbitration_id,
                    "extended": msg.is_extended_id,
                    "dlc": msg.dlc,
                    "data_hex": bytes(msg.data).hex(),
                }))
        elif mode == "send":
            for line in sys.stdin:
                f = json.loads(line)
                data = bytes.fromhex(f["data_hex"])
                bus.send(can.Message(arbitration_id=f["id"], is_extended_id=f["extended"], data=data))
        elif mode == "echo":
            for msg in receive(bus):
                msg.arbitration_id += 1
                bus.send(msg)


main(*sys.argv[1:])
