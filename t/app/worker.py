#!/usr/bin/env python3
"""An application that answers one request at a time, and can misbehave in every way that a supervisor has to know.

    worker.py WHERE [HABIT ...]
        WHERE   a port, a Unix socket's path, or fd (LISTEN_FDS)
    habits
        start=S      listens after S seconds
        exit=N       ends at once with this status
        deaf         never listens
        stubborn     ignores SIGTERM
        family       has a child in its process group, and one that has left it
        chatty       writes without end, and does nothing else
        talks        writes without end, and serves
        pidfile=F    adds its pid to F when it begins
        broken=F     ends at once with status 3 while F exists

    GET /pid  /sleep/MS  /leak/MB  /exit/N  /hang  /big/MB  /say/WORDS  /env/NAME  /cwd  /ids  /status/N
"""
# SPDX-License-Identifier: Apache-2.0
import os
import signal
import socket
import sys
import time

where, habits = sys.argv[1], dict((h.split('=', 1) + [''])[:2] for h in sys.argv[2:])
leaked = []


def family():
    if os.fork() == 0:
        time.sleep(1000)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
    os.wait()


def listener():
    if where == 'fd':
        assert os.environ['LISTEN_FDS'] == '1' and int(os.environ['LISTEN_PID']) == os.getpid()
        return socket.socket(fileno=3)
    if where.startswith('/'):
        s = socket.socket(socket.AF_UNIX)
        s.bind(where)
    else:
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(('127.0.0.1', int(where)))
    s.listen(64)
    return s


def answer(path):
    what, _, value = path.lstrip('/').partition('/')
    if what == 'sleep':
        time.sleep(int(value) / 1000)
    elif what == 'leak':
        leaked.append(bytearray(os.urandom(4096) * (256 * int(value))))
    elif what == 'exit':
        os._exit(int(value))
    elif what == 'hang':
        time.sleep(1000)
    elif what == 'say':
        print(value, flush=True)
    elif what == 'big':
        return 200, 'x' * (int(value) << 20)
    elif what == 'env':
        return 200, os.environ.get(value, '(none)')
    elif what == 'cwd':
        return 200, os.getcwd()
    elif what == 'ids':
        umask = os.umask(0)
        os.umask(umask)
        return 200, '%d %d %o %d' % (os.getuid(), os.getgid(), umask, os.nice(0))
    elif what == 'status':
        return int(value), what
    return 200, '%d' % os.getpid()


def serve(client):
    head = b''
    while b'\r\n\r\n' not in head:
        more = client.recv(65536)
        if not more:
            return
        head += more
    status, body = answer(head.split(b' ', 2)[1].decode())
    client.sendall(('HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' % (status, len(body), body)).encode())


if 'pidfile' in habits:
    with open(habits['pidfile'], 'a') as f:
        f.write('%d\n' % os.getpid())
if 'broken' in habits and os.path.exists(habits['broken']):
    print('something is broken', flush=True)
    sys.exit(3)
if 'exit' in habits:
    print('what a pity', flush=True)
    sys.exit(int(habits['exit']))
if 'stubborn' in habits:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if 'family' in habits:
    family()
while 'chatty' in habits:
    print('x' * 1000)
if 'talks' in habits and os.fork() == 0:
    while os.getppid() != 1:
        print('y' * 200)
time.sleep(float(habits.get('start', 0)))
while 'deaf' in habits:
    time.sleep(1000)
s = listener()
while True:
    client, _ = s.accept()
    with client:
        try:
            serve(client)
        except OSError:
            pass
