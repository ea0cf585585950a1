#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""traffic.py - UDP servers and clients, and floods, for demo.sh and tests/e2e.

All that it sends is bounded in number and time.
"""
import argparse
import os
import select
import signal
import socket
import struct
import sys
import time

# Also addresses that only a route of type local makes ours.
FREEBIND = {
    socket.AF_INET: (socket.IPPROTO_IP, 15),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 78),
}


def udp_socket(family, source=None, port=0):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if source:
        sock.bind((source, port))
    elif port:
        sock.bind(("", port))
    return sock


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def echo(args):
    """Answer each datagram with our name; print who sent it: "ADDRESS PORT"."""
    socks = [udp_socket(family_of(a), a, p) for a in args.address for p in args.port]
    print("ready", flush=True)
    while True:
        for sock in select.select(socks, [], [])[0]:
            _, peer = sock.recvfrom(65535)
            sock.sendto(args.name.encode(), peer)
            print(peer[0], peer[1], flush=True)


def ask(args):
    """One datagram from each of `count` source ports, then print "PORT ANSWER" for each,
    "-" where none came."""
    waiting, answers, ports = {}, {}, range(args.first_port, args.first_port + args.count)
    poll = select.poll()
    for port in ports:
        sock = udp_socket(family_of(args.address), args.source, port)
        sock.connect((args.address, args.port))
        waiting[sock.fileno()] = (sock, port)
        poll.register(sock, select.POLLIN)
        sock.send(b"x" * args.size)
        time.sleep(args.interval)

    deadline = time.monotonic() + args.wait
    while waiting and time.monotonic() < deadline:
        for fd, _ in poll.poll(100):
            sock, port = waiting.pop(fd)
            poll.unregister(fd)
            try:
                answers[port] = sock.recv(2048).decode()
            except OSError:
                pass  # an ICMP error is no answer
    for port in ports:
        print(port, answers.get(port, "-"))


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def tcp_syn(source, destination, source_port, port):
    family = family_of(destination)
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    header = struct.pack("!HHIIBBHHH", source_port, port, 0, 0, 5 << 4, 2, 65535, 0, 0)
    total = checksum(addresses + struct.pack("!HH", socket.IPPROTO_TCP, len(header)) + header)
    return header[:16] + struct.pack("!H", total) + header[18:]


def flood_senders(args):
    """Functions that send one packet each, from all sources in turn."""
    family, senders = family_of(args.address), []
    for source in args.source:
        if args.syn:
            sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
            packets = [tcp_syn(source, args.address, p, args.port) for p in range(1024, 2048)]
        else:
            sock = socket.socket(family, socket.SOCK_DGRAM)
            packets = [b"flood"]
        sock.setsockopt(*FREEBIND[family], 1)
        sock.bind((source, 0))
        sock.connect((args.address, 0 if args.syn else args.port))
        senders.append((sock, packets))
    return senders


class Bucket:
    """What a limiter that never errs would admit of what is sent."""

    def __init__(self, rate, burst):
        self.rate, self.burst, self.level = rate, burst, burst
        self.last, self.admitted = time.monotonic(), 0

    def offer(self):
        now = time.monotonic()
        self.level = min(self.burst, self.level + (now - self.last) * self.rate)
        self.last = now
        if self.level >= 1:
            self.level -= 1
            self.admitted += 1


def flood(args):
    """`rate` packets a second for `seconds`; then print "SENT SECONDS ADMITTED", the
    last being what an exact limit admits of packets sent at these times."""
    senders = flood_senders(args)
    buckets = [Bucket(*args.limit) for _ in senders[: 1 if args.shared else None]]
    start, sent, total = time.monotonic(), 0, int(args.rate * args.seconds)
    while sent < total and time.monotonic() - start < 2 * args.seconds:
        due = min(total, int((time.monotonic() - start) * args.rate) + 1)
        while sent < due:
            sock, packets = senders[sent % len(senders)]
            buckets[sent % len(buckets)].offer()
            try:
                sock.send(packets[sent % len(packets)])
            except OSError:
                pass  # the ICMP error of an earlier one
            sent += 1
        time.sleep(0.001)
    admitted = sum(bucket.admitted for bucket in buckets)
    print(sent, f"{time.monotonic() - start:.1f}", admitted)


def notified(args):
    """Start a command as systemd does a service of type notify; print what it notifies."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(args.socket)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for it
    if not os.fork():
        sock.close()
        os.environ["NOTIFY_SOCKET"] = args.socket
        os.execvp(args.command[0], args.command)
    while True:
        print(sock.recv(4096).decode(), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(required=True)

    verb = verbs.add_parser("echo", help=echo.__doc__)
    verb.add_argument("name")
    verb.add_argument("--address", nargs="+", required=True)
    verb.add_argument("--port", nargs="+", type=int, required=True)
    verb.set_defaults(run=echo)

    verb = verbs.add_parser("ask", help=ask.__doc__)
    verb.add_argument("address")
    verb.add_argument("port", type=int)
    verb.add_argument("--count", type=int, default=1)
    verb.add_argument("--source", default=None)
    verb.add_argument("--first-port", type=int, default=20000)
    verb.add_argument("--interval", type=float, default=0)
    verb.add_argument("--size", type=int, default=1)
    verb.add_argument("--wait", type=float, default=3)
    verb.set_defaults(run=ask)

    verb = verbs.add_parser("flood", help=flood.__doc__)
    verb.add_argument("address")
    verb.add_argument("port", type=int)
    verb.add_argument("--source", nargs="+", required=True)
    verb.add_argument("--rate", type=int, required=True)
    verb.add_argument("--seconds", type=float, required=True)
    verb.add_argument("--limit", nargs=2, type=float, required=True, help="rate and burst")
    verb.add_argument("--shared", action="store_true", help="one limit for all sources")
    verb.add_argument("--syn", action="store_true", help="TCP SYNs, not UDP")
    verb.set_defaults(run=flood)

    verb = verbs.add_parser("notified", help=notified.__doc__)
    verb.add_argument("socket")
    verb.add_argument("command", nargs=argparse.REMAINDER)
    verb.set_defaults(run=notified)

    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
