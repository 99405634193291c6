"""python-can's virtual interface at the job of the other contenders.

Usage: pythoncan_virtual.py SUBSCRIBERS SECONDS

One thread sends, one thread per subscriber receives every message and checks
its place in the order. Prints how many were delivered and how long it took.
"""

import sys
import threading
import time

import can


def run(subscribers, count):
    tx = can.Bus(interface="virtual", channel="can0")
    buses = [can.Bus(interface="virtual", channel="can0") for _ in range(subscribers)]
    wrong = []

    def receive(bus):
        for n in range(count):
            msg = bus.recv(timeout=30)
            if msg is None or int.from_bytes(msg.data[:8], "little") != n:
                wrong.append(f"want message {n}, got {msg}")
                return

    threads = [threading.Thread(target=receive, args=(bus,)) for bus in buses]
    for thread in threads:
        thread.start()
    start = time.perf_counter()
    for n in range(count):
        tx.send(
            can.Message(
                arbitration_id=n & 0x7FF,
                is_extended_id=False,
                is_fd=True,
                data=n.to_bytes(64, "little"),
            )
        )
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    for bus in [tx, *buses]:
        bus.shutdown()
    if wrong:
        sys.exit(wrong[0])
    return took


def main():
    subscribers, seconds = int(sys.argv[1]), float(sys.argv[2])
    count, took = 10, 0.0
    while True:
        took = run(subscribers, count)
        if took >= seconds / 2:
            break
        count = int(count * min(10, 1.2 * seconds / took)) + 1
    print(count * subscribers, took)


main()
