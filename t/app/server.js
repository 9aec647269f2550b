// The Node server of the tests, plain http: pages, streaming both ways, trailers. Its word is a port, or a Unix socket's path.
// SPDX-License-Identifier: Apache-2.0
'use strict';
const http = require('http');
const crypto = require('crypto');

const block = Buffer.from(Array.from({ length: 8192 }, (_, i) => (i * 8).toString(16).padStart(7, '0') + '\n').join(''));

function text(res, status, body, headers) {
  res.writeHead(status, Object.assign({ 'Content-Type': 'text/plain', 'Content-Length': Buffer.byteLength(body) }, headers));
  res.end(body);
}

function download(res, left) {
  res.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': left });
  const more = () => {
    while (left > 0) {
      const piece = left >= block.length ? block : block.subarray(0, left);
      left -= piece.length;
      if (!res.write(piece)) { res.once('drain', more); return; }
    }
    res.end();
  };
  more();
}

const pages = {
  '/hello': (req, res) => text(res, 200, 'hello from node\n'),
  '/redirect': (req, res) => text(res, 302, 'elsewhere\n', { Location: `http://${req.headers.host}/hello` }),
  '/cookie': (req, res) => text(res, 200, 'cookies\n', { 'Set-Cookie': ['a=1; Path=/', 'b=2; HttpOnly'] }),
  '/error': (req, res) => text(res, 500, 'it failed\n'),
  // the body comes back as it comes in
  '/mirror': (req, res) => { res.writeHead(200, { 'Content-Type': 'application/octet-stream' }); req.pipe(res); },
  '/trailers': (req, res) => {
    res.writeHead(200, { Trailer: 'X-Sum' });
    res.write('hello');
    res.addTrailers({ 'X-Sum': '5' });
    res.end();
  },
  '/events': (req, res) => {
    let n = 0;
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    const timer = setInterval(() => {
      res.write(`data: ${++n}\n\n`);
      if (n === 5) { clearInterval(timer); res.end(); }
    }, 50);
  },
  '/hints': (req, res) => {
    res.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
    text(res, 200, 'hinted\n');
  },
  // what arrived, as JSON
  '/body': (req, res) => {
    const hash = crypto.createHash('sha1');
    let length = 0;
    req.on('data', (piece) => { length += piece.length; hash.update(piece); });
    req.on('end', () => text(res, 200, JSON.stringify({
      method: req.method, url: req.url, headers: req.headers, trailers: req.trailers, length, sha1: hash.digest('hex'),
    })));
  },
};

const server = http.createServer((req, res) => {
  const path = req.url.split('?')[0];
  const size = /^\/download\/(\d+)$/.exec(path);
  if (size) download(res, Number(size[1]));
  else if (pages[path]) pages[path](req, res);
  else text(res, 404, 'no such page\n');
});
server.keepAliveTimeout = 2000;
const where = process.argv[2];
if (where.startsWith('/')) server.listen(where);
else server.listen(Number(where), '127.0.0.1');
