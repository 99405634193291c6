"""virtualcan's ZeroMQ server and client, as its protocol is described.

    peer.py serve                    a server; the first line has its two ports
    peer.py send CALLS PUBLISH N     a client; sends the frames that stdin has, one
                                     JSON object a line, N times over
    peer.py recv CALLS PUBLISH       a client; prints what it receives as JSON, until
                                     7FE with no data comes
    peer.py echo CALLS PUBLISH       a client; answers each 100 that it receives with a
                                     101 that has the same data, until 7FE comes
    peer.py raw CALLS                makes the calls that stdin has in hex, a line
                                     each, and prints the replies
    peer.py ways CALLS PUBLISH       asks for the version in all the ways that ZeroMQ
                                     has, and then receives through a proxy; prints
                                     what comes

The objects have the keys of the vectors in this folder. The first line of the
output says that the peer is ready.
"""

import json
import os
import sys

import msgpack
import zmq
from zmq.devices import ThreadProxy

TIMEOUT = 20_000  # ms


def say(*words):
    print(*words, flush=True)


def serve(context):
    rep, pub = context.socket(zmq.REP), context.socket(zmq.PUB)
    calls = rep.bind_to_random_port("tcp://127.0.0.1")
    publish = pub.bind_to_random_port("tcp://127.0.0.1")
    pub.sndhwm = 0
    say(calls, publish)
    names = 0
    while True:
        code, args = msgpack.unpackb(rep.recv())
        result = None
        if code == 1:
            result = 1
        elif code == 2:
            result, names = f"client{names}", names + 1
        elif code == 3:
            name, ident, extended, data = args
            assert isinstance(name, str) and isinstance(ident, int) and isinstance(extended, bool), args
            assert isinstance(data, list), args
            pub.send(msgpack.packb(args))
        else:
            raise KeyError(code)
        rep.send(msgpack.packb([0, result]))


class Client:
    def __init__(self, context, calls, publish):
        self.req, self.sub = context.socket(zmq.REQ), context.socket(zmq.SUB)
        for s in (self.req, self.sub):
            s.linger, s.rcvtimeo, s.sndtimeo = 0, TIMEOUT, TIMEOUT
        self.sub.rcvhwm = 0
        self.req.connect(calls)
        self.sub.connect(publish)
        self.sub.subscribe(b"")
        if self.call(1) != 1:
            raise ValueError("version")
        self.name = self.call(2)

    def call(self, code, *args):
        self.req.send(msgpack.packb([code, args]))
        status, result = msgpack.unpackb(self.req.recv())
        if status != 0:
            raise RuntimeError(f"status {status}: {result}")
        return result

    def send(self, f):
        self.call(3, self.name, f["id"], f["extended"], list(bytes.fromhex(f["data_hex"])))

    def recv(self):
        while True:
            name, ident, extended, data = msgpack.unpackb(self.sub.recv())
            if name != self.name:
                return {"id": ident, "extended": extended, "dlc": len(data), "data_hex": bytes(data).hex()}


def ways(context, calls, publish):
    def ask(address, *call, **options):
        with context.socket(zmq.REQ) as req:
            req.linger, req.rcvtimeo = 0, TIMEOUT
            for option, value in options.items():
                setattr(req, option, value)
            req.connect(address)
            req.send(msgpack.packb(call))
            return msgpack.unpackb(req.recv())

    def proxy(front, back, address):
        p = ThreadProxy(front, back)
        port = p.bind_in_to_random_port("tcp://127.0.0.1")
        p.connect_out(address)
        p.start()
        return f"tcp://127.0.0.1:{port}"

    say("plain", ask(calls, 1, []))
    say("correlated", ask(calls, 1, [], req_correlate=1, req_relaxed=1))
    say("heartbeat", ask(calls, 1, [], heartbeat_ivl=50, heartbeat_timeout=2000, heartbeat_ttl=2000))
    once = proxy(zmq.ROUTER, zmq.DEALER, calls)
    say("by a proxy", ask(once, 1, []))
    say("by two", ask(proxy(zmq.ROUTER, zmq.DEALER, once), 1, [], req_correlate=1, req_relaxed=1))
    sub = context.socket(zmq.SUB)
    sub.connect(proxy(zmq.XPUB, zmq.XSUB, publish))
    sub.subscribe(b"")
    while not sub.poll(20):  # the subscription is in force some time
        ask(calls, 3, ["x", 5, False, [1, 2]])
    say("publication", msgpack.unpackb(sub.recv()))
    os._exit(0)  # the proxies have no end


def main(mode, *args):
    context = zmq.Context()
    if mode == "serve":
        serve(context)
    elif mode == "send":
        client = Client(context, args[0], args[1])
        say(client.name, "pyzmq", zmq.pyzmq_version(), "libzmq", zmq.zmq_version())
        frames = [json.loads(line) for line in sys.stdin]
        for _ in range(int(args[2])):
            for f in frames:
                client.send(f)
    elif mode == "recv":
        client = Client(context, args[0], args[1])
        say(client.name, "pyzmq", zmq.pyzmq_version(), "libzmq", zmq.zmq_version())
        while (f := client.recv())["id"] != 0x7FE or f["dlc"]:
            say(json.dumps(f))
    elif mode == "echo":
        client = Client(context, args[0], args[1])
        say(client.name, "pyzmq", zmq.pyzmq_version(), "libzmq", zmq.zmq_version())
        while (f := client.recv())["id"] != 0x7FE:
            if f["id"] == 0x100:
                client.send({**f, "id": 0x101})
    elif mode == "ways":
        say("pyzmq", zmq.pyzmq_version(), "libzmq", zmq.zmq_version())
        ways(context, args[0], args[1])
    elif mode == "raw":
        req = context.socket(zmq.REQ)
        req.linger, req.rcvtimeo = 0, TIMEOUT
        req.connect(args[0])
        say("ready")
        for line in sys.stdin:
            req.send(bytes.fromhex(line))
            say(req.recv().hex())


main(*sys.argv[1:])
