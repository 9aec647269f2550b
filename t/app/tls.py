# A member for the tests of TLS and of the PROXY protocol: HTTP/1.1 over ssl's sockets, each connection on a thread of
# its own, with what it has seen of the connection in its answers.
#
#   tls.py PORT cert=FILE key=FILE [client-ca=FILE] [version=1.2|1.3] [proxy=1] [gates=FOLDER]
#          [unix=PATH, which is listened on as well]
#
# Without cert=: no TLS. rude=TEXT: whatever comes is answered with that, and the connection closed.
# SPDX-License-Identifier: Apache-2.0
import hashlib
import json
import os
import socket
import ssl
import sys
import threading
import time

options = dict(word.split("=", 1) for word in sys.argv[2:])
context = None
if "cert" in options:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options["cert"], options["key"])
    if "client-ca" in options:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(options["client-ca"])
    if "version" in options:
        version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[options["version"]]
        context.minimum_version = context.maximum_version = version
    context.sni_callback = lambda sock, name, ctx: names.__setitem__(sock, name)
names = {}
count = 0


def pattern(size):
    return (b"0123456789abcdefghijklmnopqrstuvwxyz" * (size // 36 + 1))[:size]


def exactly(sock, size):
    data = sock.recv(size, socket.MSG_WAITALL)
    if len(data) < size:
        raise OSError("closed within the PROXY header")
    return data


# The header of the PROXY protocol, as text.
def proxy_header(sock):
    head = exactly(sock, 12)
    if head == b"\r\n\r\n\0\r\nQUIT\n":
        head += exactly(sock, 4)
        return (head + exactly(sock, int.from_bytes(head[14:16], "big"))).hex()
    while not head.endswith(b"\r\n"):
        head += exactly(sock, 1)
    return head.decode()


class Connection:
    def __init__(self, sock, number):
        self.number = number
        self.served = 0
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.proxy = proxy_header(sock) if "proxy" in options else None
        self.sock = context.wrap_socket(sock, server_side=True) if context else sock
        self.file = self.sock.makefile("rb")

    def facts(self):
        facts = {"connection": self.number, "served": self.served, "proxy": self.proxy}
        if context:
            cert = self.sock.getpeercert() or {}
            facts.update(sni=names.get(self.sock), version=self.sock.version(), reused=self.sock.session_reused,
                         alpn=self.sock.selected_alpn_protocol(),
                         client=dict(pair[0] for pair in cert.get("subject", ())).get("commonName"))
        return facts

    def say(self, body, *fields):
        head = ["HTTP/1.1 200 OK", "Content-Length: %d" % len(body)] + list(fields)
        self.sock.sendall(("\r\n".join(head) + "\r\n\r\n").encode() + body)

    # The end of TLS, and then of the connection.
    def goodbye(self):
        try:
            self.sock.settimeout(5)
            self.sock.unwrap()
        except OSError:
            pass
        self.quit()

    def quit(self):
        self.file.close()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def chunks(self):
        while True:
            size = int(self.file.readline().split(b";")[0], 16)
            data = self.file.read(size)
            self.file.readline()
            if size == 0:
                return
            yield data

    # False: the connection is over.
    def answer(self, method, path, fields):
        self.served += 1
        what, number = (path.split("/") + ["", "", ""])[2:4]  # behind the prefix of the balancer
        body = (b"".join(self.chunks()) if "transfer-encoding" in fields
                else self.file.read(int(fields.get("content-length", 0))))
        if what == "length":
            self.say(pattern(int(number)))
        elif what == "echo":
            self.say(body)
        elif what == "sha1":
            self.say(("%d %s" % (len(body), hashlib.sha1(body).hexdigest())).encode())
        elif what == "slow":
            time.sleep(float(number))
            self.say(b"slow")
        elif what == "pieces":
            self.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for i in range(int(number)):
                self.sock.sendall(b"5\r\npiece\r\n")
                time.sleep(0.02)
            self.sock.sendall(b"0\r\n\r\n")
        elif what == "nothing":
            self.quit()
            return False
        elif what in ("goodbye", "cut"):
            self.sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + pattern(int(number)))
            getattr(self, "quit" if what == "cut" else "goodbye")()
            return False
        elif what == "length-cut":
            self.say(pattern(int(number)), "Connection: close")
            self.quit()
            return False
        elif what == "once":  # the next request on this connection finds it closed
            if self.served > 1:
                self.quit()
                return False
            self.say(json.dumps(self.facts()).encode())
        elif what == "upgrade":
            self.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            while True:
                data = self.file.read1(65536)
                if not data:
                    return False
                self.sock.sendall(data)
        elif what == "gate":  # says that it is here, waits until it is let through
            with open(options["gates"] + "/" + number + ".here", "w"):
                pass
            while not os.path.exists(options["gates"] + "/" + number):
                time.sleep(0.01)
            self.say(b"through")
        else:
            self.say(json.dumps(self.facts()).encode())
        return fields.get("connection", "").lower() != "close"

    def run(self):
        more = True
        while more:
            line = self.file.readline().split()
            if len(line) < 3:
                break
            fields = {}
            while True:
                name, colon, value = self.file.readline().decode("latin-1").partition(":")
                if not colon:
                    break
                fields[name.strip().lower()] = value.strip()
            more = self.answer(line[0].decode(), line[1].decode(), fields)
        if self.file.closed:
            return
        if context:
            self.goodbye()
        else:
            self.quit()


def serve(sock, number):
    try:
        if "rude" in options:
            sock.recv(65536)
            sock.sendall(options["rude"].encode())
            sock.close()
            return
        Connection(sock, number).run()
    except (OSError, ValueError) as error:
        print(number, type(error).__name__, error, flush=True)
        sock.close()


def accept(listener):
    global count
    while True:
        client, _ = listener.accept()
        count += 1
        threading.Thread(target=serve, args=(client, count), daemon=True).start()


if "unix" in options:
    here = socket.socket(socket.AF_UNIX)
    here.bind(options["unix"])
    here.listen(128)
    os.chmod(options["unix"], 0o777)
    threading.Thread(target=accept, args=(here,), daemon=True).start()
accept(socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128))
