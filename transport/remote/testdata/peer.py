"""A python-can-remote client or server for the tests.

    peer.py recv URL [NAME=VALUE...]      prints what it receives, up to the marker
    peer.py send URL [NAME=VALUE...]      sends the frames of standard input
    peer.py periodic URL                  sends one periodically, stops, sends the marker
    peer.py serve PORT [CERTIFICATE KEY]  serves a virtual bus until standard input ends

Frames are JSON objects, one per line. NAME=VALUE is for can.Bus, in JSON.
"""

import json
import ssl
import sys
import threading
import time

import can

MARKER = 0x7FF


def frame(msg):
    return {
        "id": msg.arbitration_id,
        "extended": msg.is_extended_id,
        "rtr": msg.is_remote_frame,
        "error": msg.is_error_frame,
        "fd": msg.is_fd,
        "brs": msg.bitrate_switch,
        "esi": msg.error_state_indicator,
        "dlc": msg.dlc,
        "data_hex": bytes(msg.data).hex(),
        "timestamp": msg.timestamp,
    }


def message(f):
    return can.Message(
        timestamp=float(f["timestamp"] or 0),
        arbitration_id=f["id"],
        is_extended_id=f["extended"],
        is_remote_frame=f["rtr"],
        is_error_frame=f["error"],
        is_fd=f["fd"],
        bitrate_switch=f["brs"],
        error_state_indicator=f["esi"],
        dlc=f["dlc"],
        data=None if f["rtr"] else bytes.fromhex(f["data_hex"]),
    )


def say(text):
    print(text, flush=True)


def marker():
    return can.Message(arbitration_id=MARKER, is_extended_id=False, data=[0xE0, 0xE1])


def serve(port, *pem):
    from can_remote.server import RemoteServer

    context = None
    if pem:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pem)
    server = RemoteServer("127.0.0.1", int(port), context, interface="virtual", channel="peer")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say("python-can " + can.__version__)
    sys.stdin.read()


def client(mode, url, *options):
    config = {name: json.loads(value) for name, _, value in (o.partition("=") for o in options)}
    with can.Bus(url, interface="remote", **config) as bus:
        say(f"python-can {can.__version__}, {bus.channel_info}")
        if mode == "recv":
            while True:
                msg = bus.recv(30)
                if msg is None:
                    sys.exit("nothing came for 30 s")
                if msg.arbitration_id == MARKER and msg.data == b"\xe0\xe1":
                    break
                print(json.dumps(frame(msg)))
            sys.stdout.flush()
        elif mode == "send":
            for line in sys.stdin:
                bus.send(message(json.loads(line)))
        elif mode == "periodic":
            task = bus.send_periodic(can.Message(arbitration_id=0x123, is_extended_id=False, data=[1, 2]), 0.02)
            time.sleep(0.3)
            task.stop()
            bus.send(marker())


if sys.argv[1] == "serve":
    serve(*sys.argv[2:])
else:
    client(*sys.argv[1:])
