// A WebSocket echo server of the npm package ws. The text "close CODE REASON" makes it close with that code.
// SPDX-License-Identifier: Apache-2.0
'use strict';
const http = require('http');
const { WebSocketServer } = require('ws');

const server = http.createServer((req, res) => res.end('no websocket\n'));
const sockets = new WebSocketServer({ server, handleProtocols: (asked) => (asked.has('chat') ? 'chat' : false) });

sockets.on('connection', (ws, req) => {
  ws.on('message', (data, binary) => {
    const order = binary ? null : /^close (\d+) (.*)$/.exec(data.toString());
    if (order) ws.close(Number(order[1]), order[2]);
    else if (!binary && data.toString() === 'headers') ws.send(JSON.stringify(req.headers));
    else if (!binary && data.toString() === 'terminate') ws.terminate();
    else ws.send(data, { binary });
  });
  ws.on('error', () => {});
});
server.listen(Number(process.argv[2]), '127.0.0.1');
