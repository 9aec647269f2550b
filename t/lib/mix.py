#!/usr/bin/env python3
"""Traffic of every kind at once, for t/85-mixed.t.

  mix.py mixed  PORT CLIENTS SECONDS SEED     clients that ask for all sorts of things, one after the other, and check the answers;
                                              some leave in the middle
  mix.py vanish PORT CLIENTS SEED             each asks once, and leaves at a random moment, with a FIN or a reset
Prints one line of JSON: asked, answered, left, and what was wrong (bad: how often, and the first five).
SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import json
import random
import socket
import struct
import sys
import time

seen = {"asked": 0, "answered": 0, "left": 0, "again": 0, "bad": 0, "why": []}
PORT = int(sys.argv[2])


def bad(why):
    seen["bad"] += 1
    if len(seen["why"]) < 5:
        seen["why"].append(why)


class Client:
    def __init__(self):
        self.reader = self.writer = None
        self.used = False

    async def connect(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", PORT)
        self.used = False

    def leave(self, reset):
        if self.writer is not None:
            if reset:
                sock = self.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.close()
        self.reader = self.writer = None

    async def send(self, data, pause):
        cut = random.randrange(len(data)) if pause else len(data)
        self.writer.write(data[:cut])
        if pause:
            await asyncio.sleep(pause)
            self.writer.write(data[cut:])
        await self.writer.drain()

    async def response(self):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0]) if "content-length:" in head else 0
        body = await self.reader.readexactly(length)
        return int(head.split(" ")[1]), body, "connection: close" in head


def request(target, body=b"", fields=""):
    if body:
        return f"POST {target} HTTP/1.1\r\nHost: h\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body
    return f"GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n".encode()


def something():
    """(request, length of the answer)"""
    way = random.choice(["", "/one"])  # members without a limit, and of one request at a time
    kind = random.randrange(11)
    if kind < 2:
        return request("/static/a.txt"), 5
    if kind < 5:
        return request(f"{way}/bytes?n=19"), 19
    if kind < 6:
        n = random.choice([0, 1, 8000, 70_000, 700_000])
        return request(f"{way}/bytes?n={n}"), n
    if kind < 8:
        ms = random.choice([1, 3, 8, 20, 60])
        return request(f"{way}/sleep?ms={ms}"), 6
    if kind < 9:
        n = random.choice([5, 500, 100_000])
        every = random.choice([1, 5, 20])
        return request(f"{way}/bytes?n={n}&every={every}"), n
    n = random.choice([1, 1000, 20_000, 300_000])
    return request(f"{way}/bytes?n=19", b"b" * n), 19


async def ask(client, data, length, pause):
    if client.writer is None:
        await client.connect()
    seen["asked"] += 1
    await client.send(data, pause)
    status, body, closes = await client.response()
    if status != 200 or len(body) != length:
        bad(f"status {status}, {len(body)} of {length} bytes for {data[:40]!r}")
    else:
        seen["answered"] += 1
    client.used = True
    if closes:
        client.leave(False)


async def ask_and_leave(client, data):
    try:
        if client.writer is None:
            await client.connect()
        seen["asked"] += 1
        part = data[: random.choice([len(data), random.randrange(len(data)) + 1])]
        await client.send(part, 0)
        if random.randrange(2):
            await asyncio.wait_for(client.reader.read(random.choice([1, 100, 100_000])), random.random() * 0.1)
        else:
            await asyncio.sleep(random.random() * 0.1)
    except (OSError, asyncio.TimeoutError):
        pass
    seen["left"] += 1
    client.leave(random.randrange(2))


async def one_after_the_other(until):
    client = Client()
    while time.monotonic() < until:
        data, length = something()
        if random.randrange(8) == 0:
            await ask_and_leave(client, data)
            continue
        pause = random.choice([0, 0, 0, 0, 0.001, 0.01, 0.05])
        try:
            try:
                await ask(client, data, length, pause)
            except (OSError, asyncio.IncompleteReadError):
                # a kept connection may be closed just when it is used again; a fresh one may not
                if not client.used:
                    raise
                client.leave(False)
                seen["again"] += 1
                await ask(client, data, length, 0)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as why:
            bad(f"{why!r} for {data[:40]!r}")
            client.leave(True)
        if random.randrange(6) == 0:
            client.leave(False)
        if random.randrange(10) == 0:
            await asyncio.sleep(random.random() * 0.2)
    client.leave(False)


async def vanish():
    client = Client()
    await asyncio.sleep(random.random())
    await ask_and_leave(client, something()[0])


async def main():
    n = int(sys.argv[3])
    random.seed(int(sys.argv[-1]))
    if sys.argv[1] == "mixed":
        until = time.monotonic() + float(sys.argv[4])
        await asyncio.gather(*(one_after_the_other(until) for _ in range(n)))
    else:
        await asyncio.gather(*(vanish() for _ in range(n)))
    print(json.dumps(seen))


asyncio.run(main())
