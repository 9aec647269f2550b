#!/usr/bin/env python3
"""Clients for t/bench/parked.

  crowd.py siege PORT N TARGET          N clients ask again and again, until the input ends
  crowd.py burst PORT N TARGET          N clients ask once, all at the same time; those that are answered are counted
  crowd.py idle PORT N                  N WebSockets are opened and do nothing until the input ends; then each says something
  crowd.py slow PORT N TARGET RATE [BODY]   N clients that take the answer, or send BODY bytes, at RATE bytes/s, until the
                                        input ends
Says "ready" when all of them wait (siege, idle: are connected; slow: have begun), then at the end one line of JSON.
SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import json
import sys
import time

seen = {"answered": 0, "failed": 0, "why": ""}
stop = asyncio.Event()


def head(target, extra=""):
    return f"GET {target} HTTP/1.1\r\nHost: bench\r\n{extra}\r\n".encode()


async def response(reader):
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(text.split("content-length:")[1].split("\r\n")[0]) if "content-length:" in text else 0
    await reader.readexactly(length)
    return text.split(" ")[1]


def note(status):
    if status in ("200", "101"):
        seen["answered"] += 1
    else:
        fail(f"status {status}")


def fail(why):
    if not stop.is_set():
        seen["failed"] += 1
        seen["why"] = seen["why"] or str(why)


async def siege(port, target, ready):
    while not stop.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            ready()
            while not stop.is_set():
                writer.write(head(target))
                note(await response(reader))
        except (OSError, asyncio.IncompleteReadError) as why:
            fail(why)
            await asyncio.sleep(0.1)


async def burst(port, target, ready):
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(target))
        await writer.drain()
        ready()
        note(await response(reader))
        writer.close()
    except (OSError, asyncio.IncompleteReadError) as why:
        fail(why)


async def idle(port, ready):
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head("/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"))
        note(await response(reader))
        ready()
        await stop.wait()
        writer.write(b"hello")
        if await asyncio.wait_for(reader.readexactly(5), 60) != b"hello":
            raise OSError("something else came back")
        seen["echoed"] = seen.get("echoed", 0) + 1
        writer.close()
    except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as why:
        seen["failed"] += 1
        seen["why"] = seen["why"] or repr(why)


async def slow(port, target, rate, body, ready):
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
        if body:
            writer.write(f"POST {target} HTTP/1.1\r\nHost: bench\r\nContent-Length: {body}\r\n\r\n".encode())
            ready()
            while body > 0 and not stop.is_set():
                writer.write(b"y" * min(body, rate // 5))
                await writer.drain()
                body -= min(body, rate // 5)
                await asyncio.sleep(0.2)
        else:
            writer.write(head(target))
            await reader.readuntil(b"\r\n\r\n")
            ready()
            while not stop.is_set() and await reader.read(rate // 10):
                await asyncio.sleep(0.1)
        seen["answered"] += 1
    except (OSError, asyncio.IncompleteReadError) as why:
        fail(why)


async def input_ends():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    stop.set()


async def main(kind, port, n, *rest):
    begun = time.monotonic()
    left = n

    def ready():
        nonlocal left
        left -= 1
        if left == 0:
            print("ready", flush=True)

    what = {"siege": siege, "burst": burst, "idle": idle, "slow": slow}[kind]
    ending = asyncio.create_task(input_ends())
    tasks = []
    for _ in range(n):
        tasks.append(asyncio.create_task(what(port, *rest, ready)))
        await asyncio.sleep(0)
        if len(tasks) % 50 == 0:
            await asyncio.sleep(0.01)
    if kind in ("siege", "slow"):
        await ending
        await asyncio.wait(tasks, timeout=1)
    else:
        await asyncio.wait(tasks)
    print(json.dumps(dict(seen, seconds=time.monotonic() - begun)), flush=True)


arguments = [sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]]
if arguments[0] == "slow":
    arguments[4:] = [int(sys.argv[5]), int(sys.argv[6]) if len(sys.argv) > 6 else 0]
asyncio.run(main(*arguments))
