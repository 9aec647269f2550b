#!/usr/bin/env python3
"""A member for t/bench/parked and t/85-mixed.t: an event loop, so that any number of requests can be at it.

  member.py PORT LIMIT      at most LIMIT requests are worked on at once, the others wait in here (0: no limit)

  /sleep?ms=N   answers after N ms          /bytes?n=N   N bytes at once; &every=MS: in five pieces, one every MS
  /busy         how long it has worked (s)  anything with Upgrade: websocket: 101, then whatever comes goes back
A body is read to its end before any of that.
SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import base64
import hashlib
import sys
import time
from urllib.parse import parse_qs, urlsplit

BLOCK = b"x" * 65536
busy = 0.0


async def read_head(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = dict((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in head[1:]))
    return head[0].split(" ")[1], fields


async def read_body(reader, fields):
    left = int(fields.get("content-length", 0))
    while left > 0:
        left -= len(await reader.read(min(left, 65536)) or b"x" * left)


async def echo(reader, writer, key):
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    writer.write(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def answer(writer, target):
    query = parse_qs(target.query)
    n = int(query.get("n", ["6"])[0])
    if target.path == "/busy":
        body = b"%.6f" % busy
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        return
    if "ms" in query:
        await asyncio.sleep(int(query["ms"][0]) / 1000)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % n)
    piece = max(1, n // 5) if "every" in query else n
    while n > 0:
        size = min(n, piece, len(BLOCK))
        writer.write(BLOCK[:size])
        n -= size
        await writer.drain()
        if "every" in query:
            await asyncio.sleep(int(query["every"][0]) / 1000)


async def serve(reader, writer, limit):
    global busy
    try:
        while True:
            target, fields = await read_head(reader)
            await read_body(reader, fields)
            if fields.get("upgrade", "").lower() == "websocket":
                await echo(reader, writer, fields["sec-websocket-key"])
                break
            if target == "/busy":
                await answer(writer, urlsplit(target))
                continue
            async with limit:
                begun = time.monotonic()
                await answer(writer, urlsplit(target))
                busy += time.monotonic() - begun
            if fields.get("connection", "").lower() == "close":
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port, limit):
    limit = asyncio.Semaphore(limit or 1_000_000)
    server = await asyncio.start_server(lambda r, w: serve(r, w, limit), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
