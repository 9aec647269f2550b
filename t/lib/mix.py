#!/usr/bin/env python3
"""Traffic of every kind at once, for t/85-mixed.t.

  mix.py mixed  PORT TLS CLIENTS STREAMS SECONDS SEED   clients that ask for all sorts of things, one after the other, and check the
                                                        answers; some leave in the middle
  mix.py vanish PORT TLS CLIENTS STREAMS SEED           each asks once, and leaves at a random moment, with a FIN or a reset
PORT: HTTP; TLS: the same, encrypted, for one client in four. STREAMS: so many clients more, of HTTP/2 there, each a curl.
Prints one line of JSON: asked, answered, left; of those answered: tunnels, encrypted, streams; how many curls had a stream without
any answer and asked again (refused); and what was wrong (bad: how often, and the first five).
SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import json
import random
import socket
import ssl
import struct
import sys
import time

seen = {"asked": 0, "answered": 0, "left": 0, "again": 0, "tunnels": 0, "encrypted": 0, "streams": 0, "refused": 0, "bad": 0, "why": []}
PORT, TLS = int(sys.argv[2]), int(sys.argv[3])

anybody = ssl.create_default_context()  # the certificate is the test's own
anybody.check_hostname = False
anybody.verify_mode = ssl.CERT_NONE


def bad(why):
    seen["bad"] += 1
    if len(seen["why"]) < 5:
        seen["why"].append(why)


class Client:
    def __init__(self, encrypted=False):
        self.reader = self.writer = None
        self.encrypted = encrypted
        self.used = False

    async def connect(self):
        port, how = (TLS, anybody) if self.encrypted else (PORT, None)
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port, ssl=how)
        self.used = False

    def leave(self, reset):
        if self.writer is not None and reset:
            sock = self.writer.get_extra_info("socket")
            if sock is not None:  # with TLS it may be gone already
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        elif self.writer is not None:
            self.writer.close()  # with TLS it says so, and waits for the server to say so too
        self.reader = self.writer = None

    def answered(self):
        seen["answered"] += 1
        seen["encrypted"] += self.encrypted

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


def upgrade(way):
    fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    return request(f"{way}/tunnel", fields=fields)


def some_way():
    return random.choice(["", "/one"])  # members without a limit, and of one request at a time


def some_target():
    """(target, length of the answer)"""
    way = some_way()
    kind = random.randrange(9)
    if kind < 2:
        return "/static/a.txt", 5
    if kind < 5:
        return f"{way}/bytes?n=19", 19
    if kind < 6:
        n = random.choice([0, 1, 8000, 70_000, 700_000])
        return f"{way}/bytes?n={n}", n
    if kind < 8:
        ms = random.choice([1, 3, 8, 20, 60])
        return f"{way}/sleep?ms={ms}", 6
    n = random.choice([5, 500, 100_000])
    every = random.choice([1, 5, 20])
    return f"{way}/bytes?n={n}&every={every}", n


def something():
    """(request, length of the answer)"""
    if random.randrange(11) < 9:
        target, length = some_target()
        return request(target), length
    n = random.choice([1, 1000, 20_000, 300_000])
    return request(f"{some_way()}/bytes?n=19", b"b" * n), 19


async def ask(client, data, length, pause):
    if client.writer is None:
        await client.connect()
    seen["asked"] += 1
    await client.send(data, pause)
    status, body, closes = await client.response()
    if status != 200 or len(body) != length:
        bad(f"status {status}, {len(body)} of {length} bytes for {data[:40]!r}")
    else:
        client.answered()
    client.used = True
    if closes:
        client.leave(False)


async def echoed(client, data):
    client.writer.write(data)
    back = await client.reader.readexactly(len(data))
    if back != data:
        bad(f"{len(data)} bytes come back through a tunnel as others")


async def tunnel(client):
    """Whatever is said comes back, whatever httpd's generation; then one of both ends it."""
    if client.writer is None:
        await client.connect()
    seen["asked"] += 1
    early = random.randbytes(random.choice([0, 0, 5, 3000]))
    await client.send(upgrade(some_way()) + early, 0)
    status, _, _ = await client.response()
    client.used = False  # from here on nobody may close it but us
    if status != 101:
        raise asyncio.IncompleteReadError(b"", 101)
    if await client.reader.readexactly(len(early)) != early:
        bad("what came with the upgrade comes back as something else")
    for _ in range(random.randrange(6)):
        await echoed(client, random.randbytes(random.choice([1, 100, 20_000, 200_000])))
        await asyncio.sleep(random.choice([0, 0, 0.01, 0.1]))
    if not client.encrypted and random.randrange(2):
        client.writer.write_eof()
        if await client.reader.read() != b"":
            bad("a tunnel says more than it was told")
    client.answered()
    seen["tunnels"] += 1
    client.leave(random.randrange(2))


async def ask_and_leave(client):
    data = upgrade(some_way()) + random.randbytes(random.choice([1, 300_000])) if random.randrange(5) == 0 else something()[0]
    try:
        if client.writer is None:
            await client.connect()
        seen["asked"] += 1
        part = data[: random.choice([len(data), random.randrange(len(data)) + 1])]
        await asyncio.wait_for(client.send(part, 0), 1)
        if random.randrange(2):
            await asyncio.wait_for(client.reader.read(random.choice([1, 100, 100_000])), random.random() * 0.1)
        else:
            await asyncio.sleep(random.random() * 0.1)
    except (OSError, asyncio.TimeoutError):
        pass
    seen["left"] += 1
    client.leave(random.randrange(2))


async def attempt(client, what, *arguments):
    """A kept connection may be closed just when it is used again; a fresh one may not."""
    try:
        try:
            await what(client, *arguments)
        except (OSError, asyncio.IncompleteReadError):
            if not client.used:
                raise
            client.leave(False)
            seen["again"] += 1
            await what(client, *arguments)
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as why:
        bad(f"{why!r} for {what.__name__}{str(arguments)[:60]}, encrypted: {client.encrypted}")
        client.leave(True)


async def one_after_the_other(client, until):
    while time.monotonic() < until:
        if random.randrange(8) == 0:
            await ask_and_leave(client)
            continue
        if random.randrange(12) == 0:
            await attempt(client, tunnel)
        else:
            await attempt(client, ask, *something(), random.choice([0, 0, 0, 0, 0.001, 0.01, 0.05]))
        if random.randrange(6) == 0:
            client.leave(False)
        if random.randrange(10) == 0:
            await asyncio.sleep(random.random() * 0.2)
    client.leave(False)


# ---- HTTP/2


async def curl(targets, body):
    command = ["curl", "--silent", "--no-progress-meter", "--insecure", "--noproxy", "*", "--http2", "--parallel"]
    command += ["--data-binary", body] if body else []
    for target, _ in targets:
        command += ["-o", "/dev/null", "-w", "%{urlnum} %{http_version} %{http_code} %{size_download}\n", f"https://127.0.0.1:{TLS}{target}"]
    seen["asked"] += len(targets)
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)


def some_streams():
    targets = [some_target() for _ in range(random.randrange(1, 9))]
    if random.randrange(3):
        return targets, ""
    targets = [(target, length) for target, length in targets if "static" not in target] or [("/bytes?n=19", 19)]
    return targets, "b" * random.choice([1, 1000, 20_000])


async def streams(targets, body):
    """Several requests at once on one fresh connection. Those that have not been answered at all."""
    process = await curl(targets, body)
    out, _ = await process.communicate()
    told = [line.split(" ") for line in out.decode().splitlines()]
    right = [i for i, *rest in told if rest == ["2", "200", str(targets[int(i)][1])]]
    none = [targets[int(i)] for i, *rest in told if rest == ["0", "000", "0"]]
    if len(right) + len(none) != len(targets) or (process.returncode != 0) != bool(none):
        bad(f"curl says {process.returncode}, {told} for {targets}")
    seen["answered"] += len(right)
    seen["streams"] += len(right)
    return none


async def streams_after_streams(until):
    while time.monotonic() < until:
        if random.randrange(6) == 0:
            await vanishing_streams(0.3)
        else:
            targets, body = some_streams()
            none = await streams(targets, body)
            if none:
                # mod_http2 does that to a fresh connection when its child is told to end, with static files, too
                seen["refused"] += 1
                if await streams(none, body):
                    bad(f"twice no answer at all for some of {none}")
        await asyncio.sleep(random.random() * 0.2)


async def vanishing_streams(within):
    process = await curl(*some_streams())
    await asyncio.sleep(random.random() * within)
    if process.returncode is None:
        process.kill()
    await process.communicate()
    seen["left"] += 1


# ---- all of them


async def vanish(client):
    await asyncio.sleep(random.random())
    await ask_and_leave(client)


async def main():
    n, n_streams = int(sys.argv[4]), int(sys.argv[5])
    clients = [Client(encrypted=i % 4 == 0) for i in range(n)]
    random.seed(int(sys.argv[-1]))
    if sys.argv[1] == "mixed":
        until = time.monotonic() + float(sys.argv[6])
        all_of_them = [one_after_the_other(client, until) for client in clients] + [streams_after_streams(until) for _ in range(n_streams)]
    else:
        all_of_them = [vanish(client) for client in clients] + [vanishing_streams(1) for _ in range(n_streams)]
    await asyncio.gather(*all_of_them)
    print(json.dumps(seen))


asyncio.run(main())
