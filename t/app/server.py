# The Python server of the tests: http.server, HTTP/1.1 with kept connections, chunks both ways.
# SPDX-License-Identifier: Apache-2.0
import hashlib
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def text(self, status, body, **fields):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            if size:
                parts.append(self.rfile.read(size))
                self.rfile.readline()
                continue
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            return b"".join(parts)

    def do_GET(self):
        if self.path == "/hello":
            self.text(200, "hello from python\n")
        elif self.path == "/connection":
            self.text(200, "%d\n" % self.client_address[1])
        elif self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (b"one\n", b"two\n", b"three\n"):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        elif self.path == "/redirect":
            self.text(302, "elsewhere\n", Location="/hello")
        else:
            self.text(404, "no such page\n")

    def do_POST(self):
        body = self.body()
        self.text(200, "%d\n%s\n" % (len(body), hashlib.sha1(body).hexdigest()))


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
