"""python-can's udp_multicast bus as a sender or a receiver.

Usage: pythoncan_udp.py GROUP recv          ends when nothing has come for a while
       pythoncan_udp.py GROUP send SECONDS

Both say when they are on the bus. The receiver prints how many messages came,
how many of them out of order, and when the last one did; the sender how many it
sent, and when it began and ended. Times are those of the system's steady clock.
"""

import sys
import time

import can


def receive(bus):
    count = disorder = following = 0
    last = 0.0
    while True:
        msg = bus.recv(timeout=0.3 if count else 10)
        if msg is None:
            print(count, disorder, last)
            return
        last = time.monotonic()
        n = int.from_bytes(msg.data, "little")
        count += 1
        disorder += n < following
        following = n + 1


def send(bus, seconds):
    start = now = time.monotonic()
    n = 0
    while now - start < seconds:
        for _ in range(16):
            bus.send(
                can.Message(
                    arbitration_id=n & 0x7FF,
                    is_extended_id=False,
                    data=n.to_bytes(8, "little"),
                )
            )
            n += 1
        now = time.monotonic()
    print(n, start, now)


def main():
    with can.Bus(sys.argv[1], interface="udp_multicast") as bus:
        print("ready", flush=True)
        if sys.argv[2] == "recv":
            receive(bus)
        else:
            send(bus, float(sys.argv[3]))


main()
