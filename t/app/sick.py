#!/usr/bin/env python3
"""A member for t/bench/resilience and t/106-resilience.t that falls ill when it is told to.

  sick.py HOST PORT MS HEALTH
                         answers after MS milliseconds, at first, and /health with this status; 0: as the mode says

  /-/be?mode=MODE&ms=N   from now on; MODE: ok (answers after N ms), 500 (at once), hang (never), reset (reads the request,
                         then resets), reuse (the first request of a connection is answered, the second one closes it)
                         health=STATUS: what /health answers from now on, whatever the mode; 0: as the mode says
  /-/seen?since=T        how many requests have come since T (Unix time); &ids=1: their targets; how many of /health
                         (checks), and how many there were at once at most
  anything else          as the mode says
SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import json
import socket
import sys
import time
from urllib.parse import parse_qs, urlsplit

mode, delay, health = "ok", int(sys.argv[3]) / 1000, int(sys.argv[4])
seen = []  # (when, target)
checks, now, most = 0, 0, 0


class Member(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.buffer = b""
        self.answered = 0
        self.busy = 0
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        self.buffer += data
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].decode("latin-1")
            lower = head.lower()
            at = lower.find("\r\ncontent-length:")
            length = int(lower[at + 17:].split("\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length:]
            self.request(head.split(" ", 2)[1], "connection: close" in lower)

    def request(self, target, close):
        if target.startswith("/-/"):
            return self.reply(200, control(urlsplit(target)), close)
        self.count(target)
        if target.startswith("/health") and health:
            return self.reply(health, b"healthy\n" if health == 200 else b"ill\n", close)
        if mode == "hang":
            return None
        if mode == "reset":
            return self.transport.abort()
        if mode == "reuse" and self.answered:
            return self.transport.close()
        if mode == "500":
            return self.reply(500, b"ill\n", close)
        if delay:
            asyncio.get_running_loop().call_later(delay, self.reply, 200, b"well\n", close)
            return None
        return self.reply(200, b"well\n", close)

    def count(self, target):
        global checks, now, most
        if target.startswith("/health"):
            checks += 1
        else:
            seen.append((time.time(), target))
        self.busy += 1
        now += 1
        most = max(most, now)

    def connection_lost(self, exc):
        global now
        now -= self.busy
        self.busy = 0

    def reply(self, status, body, close):
        global now
        if self.busy:
            self.busy -= 1
            now -= 1
        if self.transport.is_closing():
            return
        self.answered += 1
        self.transport.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), b"Connection: close\r\n" if close else b"", body))
        if close:
            self.transport.close()


def control(target):
    global mode, delay, health
    query = {name: values[0] for name, values in parse_qs(target.query).items()}
    if target.path == "/-/be":
        mode, delay = query["mode"], int(query.get("ms", "0")) / 1000
        health = int(query.get("health", health))
        return b"{}"
    since = float(query.get("since", "0"))
    which = [name for at, name in seen if at >= since]
    times = [at for at, name in seen if at >= since]
    return json.dumps({"n": len(which), "first": min(times, default=0), "last": max(times, default=0), "checks": checks, "most": most, "ids": which if "ids" in query else []}).encode()


async def main():
    server = await asyncio.get_running_loop().create_server(Member, sys.argv[1], int(sys.argv[2]), backlog=1024)
    await server.serve_forever()


asyncio.run(main())
