// A WebSocket client of the npm package ws: goes through one conversation after the other with the server at
// the given URL and prints a JSON line {"name", "ok", "got"} for each.
// SPDX-License-Identifier: Apache-2.0
'use strict';
const crypto = require('crypto');
const WebSocket = require('ws');

const url = process.argv[2];

function say(name, ok, got) {
  console.log(JSON.stringify({ name, ok: Boolean(ok), got: String(got).slice(0, 200) }));
}

function open(protocols) {
  const ws = new WebSocket(url, protocols, { handshakeTimeout: 8000 });
  return new Promise((resolve, reject) => {
    ws.on('open', () => resolve(ws));
    ws.on('error', reject);
    ws.on('unexpected-response', (req, res) => reject(new Error(`answered ${res.statusCode}`)));
  });
}

function next(ws, event, send) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event}`)), 8000);
    ws.once(event, (...got) => { clearTimeout(timer); resolve(got); });
    if (send) send();
  });
}

const same = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0;

const conversations = {
  'echo of text': async () => {
    const ws = await open();
    const [data, binary] = await next(ws, 'message', () => ws.send('hello'));
    ws.close();
    return [data.toString() === 'hello' && !binary, data];
  },
  'a sub-protocol is agreed on': async () => {
    const ws = await open(['chat']);
    ws.close();
    return [ws.protocol === 'chat', ws.protocol];
  },
  '1 MB of text in one frame': async () => {
    const ws = await open();
    const text = 'x'.repeat(1 << 20);
    const [data, binary] = await next(ws, 'message', () => ws.send(text));
    ws.close();
    return [!binary && data.toString() === text, data.length];
  },
  '1 MB of random bytes in one frame': async () => {
    const ws = await open();
    const bytes = crypto.randomBytes(1 << 20);
    const [data, binary] = await next(ws, 'message', () => ws.send(bytes));
    ws.close();
    return [binary && same(data, bytes), data.length];
  },
  'a thousand small frames, in order': async () => {
    const ws = await open();
    const got = [];
    await new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error(`only ${got.length}`)), 8000).unref();
      ws.on('message', (data) => { got.push(data.toString()); if (got.length === 1000) resolve(); });
      for (let i = 0; i < 1000; i++) ws.send(String(i));
    });
    ws.close();
    return [got.every((text, i) => text === String(i)), got.length];
  },
  'ping is answered by pong with the same data': async () => {
    const ws = await open();
    const [data] = await next(ws, 'pong', () => ws.ping('are you there'));
    ws.close();
    return [data.toString() === 'are you there', data];
  },
  'eight sockets at once': async () => {
    const sockets = await Promise.all(Array.from({ length: 8 }, () => open()));
    const got = await Promise.all(sockets.map((ws, i) => next(ws, 'message', () => ws.send(`number ${i}`))));
    sockets.forEach((ws) => ws.close());
    return [got.every(([data], i) => data.toString() === `number ${i}`), got.length];
  },
  'the server is told who the client is': async () => {
    const ws = await open();
    const [data] = await next(ws, 'message', () => ws.send('headers'));
    ws.close();
    const headers = JSON.parse(data);
    return [headers['x-forwarded-for'] && /websocket/i.test(headers.upgrade), data];
  },
  'the server breaks off': async () => {
    const ws = await open();
    ws.on('error', () => {});
    const [code] = await next(ws, 'close', () => ws.send('terminate'));
    return [code === 1006, code];
  },
};

for (const code of [1000, 1001, 3001, 4999]) {
  conversations[`the client closes with ${code}`] = async () => {
    const ws = await open();
    const [got, reason] = await next(ws, 'close', () => ws.close(code, 'bye'));
    return [got === code && reason.toString() === 'bye', `${got} ${reason}`];
  };
  conversations[`the server closes with ${code}`] = async () => {
    const ws = await open();
    const [got, reason] = await next(ws, 'close', () => ws.send(`close ${code} enough`));
    return [got === code && reason.toString() === 'enough', `${got} ${reason}`];
  };
}

(async () => {
  for (const [name, run] of Object.entries(conversations)) {
    try {
      const [ok, got] = await run();
      say(name, ok, got);
    } catch (error) {
      say(name, false, error.message);
    }
  }
  process.exit(0);
})();
