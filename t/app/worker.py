#!/usr/bin/env python3
"""An application that answers one request at a time, and can misbehave in every way that a supervisor has to know.

    worker.py WHERE [HABIT ...]
        WHERE   a port, a Unix socket's path, or fd (LISTEN_FDS)
    habits
        start=S      listens after S seconds
        until=F      listens when F exists
        ready=F      answers /ready with 503 until F exists
        exit=N       ends at once with this status
        deaf         never listens
        stubborn     ignores SIGTERM
        farewell     says farewell on SIGTERM, and ends
        complains    says on SIGQUIT what it has been asked for, and goes on
        family       has a child in its process group, and one that has left it
        talks        writes without end, and serves
        broken=F     ends at once with status 3 while F exists
        diary=F      adds lines to F, each with its pid first: "begins N" of whom N live, "listens", "gets PATH", and "has more" when
                     another request comes before one is answered

    GET /pid  /ready  /sleep/MS  /leak/MB  /hang  /hang-at/PID  /deaf  /big/MB  /say/WORDS  /env/NAME  /cwd  /ids  /limit/NAME  /open
"""
# SPDX-License-Identifier: Apache-2.0
import fcntl
import os
import resource
import select
import signal
import socket
import sys
import time

where, habits = sys.argv[1], dict((h.split('=', 1) + [''])[:2] for h in sys.argv[2:])
asked = 'nothing'
leaked = []


def note(text):
    if 'diary' in habits:
        with open(habits['diary'], 'a') as f:
            f.write('%d %s\n' % (os.getpid(), text))


def lives(pid):
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def begin():
    if 'diary' not in habits:
        return
    with open(habits['diary'], 'a+') as f:
        fcntl.flock(f, fcntl.LOCK_EX)  # who begins at the same time counts this one, or is counted
        f.seek(0)
        others = {int(line.split()[0]) for line in f} - {os.getpid()}
        f.write('%d begins %d\n' % (os.getpid(), 1 + sum(map(lives, others))))


def farewell(*_):
    print('farewell', flush=True)
    os._exit(0)


def complain(*_):
    print('it hangs at %s' % asked, flush=True)


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
    note('listens')
    return s


def open_all():
    """How many descriptors it can have."""
    mine = []
    try:
        while True:
            mine.append(os.open('/dev/null', os.O_RDONLY))
    except OSError:
        return mine[-1] + 1
    finally:
        for fd in mine:
            os.close(fd)


def answer(path):
    what, _, value = path.lstrip('/').partition('/')
    if what == 'sleep':
        time.sleep(int(value) / 1000)
    elif what == 'leak':
        leaked.append(bytearray(os.urandom(4096) * (256 * int(value))))
    elif what == 'hang' or (what == 'hang-at' and int(value) == os.getpid()):
        time.sleep(1000)
    elif what == 'ready':
        return (200 if os.path.exists(habits['ready']) else 503), what
    elif what == 'deaf':
        s.close()
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
    elif what == 'limit':
        return 200, '%d %d' % resource.getrlimit(getattr(resource, 'RLIMIT_' + value.upper()))
    elif what == 'open':
        return 200, '%d' % open_all()
    return 200, '%d' % os.getpid()


def serve(client):
    global asked
    head = b''
    while b'\r\n\r\n' not in head:
        more = client.recv(65536)
        if not more:
            return
        head += more
    asked = head.split(b' ', 2)[1].decode()
    note('gets ' + asked)
    status, body = answer(asked)
    if s.fileno() >= 0 and select.select([s], [], [], 0)[0]:
        note('has more')
    client.sendall(('HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' % (status, len(body), body)).encode())


begin()
if 'broken' in habits and os.path.exists(habits['broken']):
    print('something is broken', flush=True)
    sys.exit(3)
if 'exit' in habits:
    print('what a pity', flush=True)
    sys.exit(int(habits['exit']))
if 'stubborn' in habits:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if 'farewell' in habits:
    signal.signal(signal.SIGTERM, farewell)
if 'complains' in habits:
    signal.signal(signal.SIGQUIT, complain)
if 'family' in habits:
    family()
if 'talks' in habits and os.fork() == 0:
    while os.getppid() != 1:
        print('y' * 200)
time.sleep(float(habits.get('start', 0)))
while 'until' in habits and not os.path.exists(habits['until']):
    time.sleep(0.01)
while 'deaf' in habits:
    time.sleep(1000)
s = listener()
while s.fileno() >= 0:
    client, _ = s.accept()
    with client:
        try:
            serve(client)
        except OSError:
            pass
while True:    # deaf from now on
    time.sleep(1000)
