"""A python-can node for the tests.

    peer.py GROUP send             sends the frames that stdin has, one JSON object a line
    peer.py GROUP threads N        the same, from N threads at once
    peer.py GROUP periodic P D     sends the first of them every P seconds, for D seconds
    peer.py GROUP recv [FILTERS]   prints those that it receives, until 7FE#E0 comes

The objects have the keys of the vectors in this folder; those received also have
the time at which they came. Filters are python-can's, as a JSON list. The first
line of the output says that the node is on the bus, and which versions it is
made of.
"""

import json
import os
import socket
import sys
import threading
import time
from importlib.metadata import version

import can


def to_frame(m):
    return {
        "id": m.arbitration_id,
        "extended": m.is_extended_id,
        "rtr": m.is_remote_frame,
        "error": m.is_error_frame,
        "fd": m.is_fd,
        "brs": m.bitrate_switch,
        "esi": m.error_state_indicator,
        "dlc": m.dlc,
        "data_hex": m.data.hex(),
        "received": m.timestamp,
    }


def to_message(f):
    return can.Message(
        timestamp=f["timestamp"],
        arbitration_id=f["id"],
        is_extended_id=f["extended"],
        is_remote_frame=f["rtr"],
        is_error_frame=f["error"],
        is_fd=f["fd"],
        bitrate_switch=f["brs"],
        error_state_indicator=f["esi"],
        dlc=f["dlc"],
        data=bytes.fromhex(f["data_hex"]),
        check=True,
    )


def send(bus, messages):
    for m in messages:
        bus.send(m)


def main():
    group, mode, *args = sys.argv[1:]
    with can.ThreadSafeBus(group, interface="udp_multicast", fd=True) as bus:
        filters = json.loads(args[0]) if mode == "recv" and args else None
        bus.set_filters(filters)
        with socket.socket(fileno=os.dup(bus.fileno())) as s:  # the machine may be busy
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        print("python-can", version("python-can"), "msgpack", version("msgpack"), flush=True)
        if mode != "recv":
            messages = [to_message(json.loads(line)) for line in sys.stdin]
        if mode == "send":
            send(bus, messages)
        elif mode == "threads":
            n = int(args[0])
            threads = [threading.Thread(target=send, args=(bus, messages[i::n])) for i in range(n)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        elif mode == "periodic":
            period, duration = map(float, args)
            bus.send_periodic(messages[0], period, duration)
            time.sleep(duration + 2 * period)
        elif mode == "recv":
            receive(bus)


def receive(bus):
    received = []
    while True:
        m = bus.recv(timeout=30)
        if m is None:
            sys.exit("nothing comes")
        if m.arbitration_id == 0x7FE and m.data == b"\xe0":
            break
        received.append(m)
    for m in received:
        print(json.dumps(to_frame(m)))


main()
