"""A python-can node for the tests.

    peer.py GROUP send     sends the frames that stdin has, one JSON object a line
    peer.py GROUP recv     prints those that it receives, until 7FE#E0 comes

The objects have the keys of the vectors in this folder. The first line of the
output says that the node is on the bus, and which versions it is made of.
"""

import json
import sys
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


def main():
    group, mode = sys.argv[1:]
    with can.Bus(group, interface="udp_multicast", fd=True) as bus:
        print("python-can", version("python-can"), "msgpack", version("msgpack"), flush=True)
        if mode == "send":
            for message in [to_message(json.loads(line)) for line in sys.stdin]:
                bus.send(message)
            return
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
