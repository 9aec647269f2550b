// A server that speaks docs/steering.md, with invented data, for the page's development and tests:
//   node t/browser/mock.js [--port 8081] [--members 12] [--hostile] [--status] [--refuse]
// In a test: const mock = await start({...}); what it says is mock.data; mock.tick() is its next second.
// SPDX-License-Identifier: Apache-2.0
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const PAGE = path.join(__dirname, '../../src/httpd/page');
const PARTS = fs.readFileSync(`${PAGE}.c`, 'utf8').match(/PART\("[a-z.]+"\)/g).map((part) => part.slice(6, -2));
const form = (ext, type) => [PARTS.filter((name) => name.endsWith(`.${ext}`)), `${type}; charset=utf-8`];
const FORMS = {html: form('html', 'text/html'), css: form('css', 'text/css'), js: form('js', 'text/javascript')};
const LISTS = ['requests', 'errors', 'queue', 'busy', 'wait_ms', 'p50_ms', 'p90_ms', 'p99_ms'];

// The same numbers each time.
function dice(seed) {
  return () => {
    seed = (seed * 1664525 + 1013904223) >>> 0;
    return seed / 4294967296;
  };
}

// Texts that would do harm to a page that took them for more than text. Each would set window.harmed.
const HOSTILE = [
  '<img src=x onerror="window.harmed=1">',
  '"><script>window.harmed=1</script>',
  '</script><script>window.harmed=1</script>',
  '\'"--></style></textarea><svg onload=window.harmed=1>',
  'javascript:window.harmed=1',
  'http://user@\u202eevil.example/\u2066left\u2069\u200b',
  '&lt;b&gt;&amp;&#x3c;script&#x3e;',
  'a\u0000b\u001b[31mred\u0007\nnext line',
  '{{constructor.constructor("window.harmed=1")()}}${window.harmed=1}',
  'W'.repeat(5000),
  '__proto__',
  '\ud800 alone',
];

function member(n, random, address) {
  const slow = n % 7 === 3;
  return {
    address: address || `http://10.0.${Math.floor(n / 250)}.${n % 250 + 1}:8080`, route: `r${n + 1}`, set: 0, at: null,
    state: 'up', why: null, status: 'on', weight: 1, share: 100, concurrency: 16,
    configured: {status: 'on', weight: 1, concurrency: 16}, steered: [], added: false, supervised: false,
    busy: Math.floor(random() * 9), queued: 0, requests: 10000 + Math.floor(random() * 90000), failures: 0, bytes: Math.floor(random() * 8e9),
    latency_ms: (slow ? 60 : 8) + random() * 12,
    percentiles_ms: {p50: slow ? 52 : 9.1, p90: slow ? 88.4 : 21.7, p99: slow ? 240 : 64.2},
    away: false, unfit: false, unproven: false, ejected: false, ejected_for_ms: null, draining: false, removed: false, last_failures: [],
  };
}

function historyStep(n, random, size) {
  const load = size * (70 + 22 * Math.sin(n / 17) + 14 * random());
  const peak = n % 61 > 48 && n % 61 < 56;
  const queue = peak ? Math.round((n % 61 - 46) * 2.6 * random() * size) : 0;
  const p50 = 9 + 3 * Math.sin(n / 23) + 2 * random();
  return {
    requests: +load.toFixed(1), errors: n % 43 === 7 ? 0.4 : 0, queue, busy: Math.round(load / 12 + 8 * random()),
    wait_ms: queue ? +(60 + 14 * queue + 40 * random()).toFixed(1) : null,
    p50_ms: +p50.toFixed(2), p90_ms: +(p50 * 2.3 + 6 * random() + (peak ? 30 : 0)).toFixed(2), p99_ms: +(p50 * 5 + 30 * random() + (peak ? 120 : 0)).toFixed(2),
  };
}

function balancer(name, method, members, random, time, size) {
  const history = {step_s: 5, end: time, ...Object.fromEntries(LISTS.map((list) => [list, []]))};
  for (let n = 0; n < 120; n++) {
    for (const [list, value] of Object.entries(historyStep(n, random, size))) history[list].push(value);
  }
  return {
    name, method, removed: false,
    queue: {length: 0, limit: 1000, per_client: 100, head_age_ms: null, waited: 812, wait_ms: {p50: null, p90: null, p99: null}},
    requests: 1284311, errors: 97, answers: {'1xx': 3, '2xx': 1249822, '3xx': 31010, '4xx': 3369, '5xx': 81, none: 26},
    ends: {ok: 1284188, 'no-member': 0, 'queue-full': 0, 'queue-timeout': 4, 'client-queue-full': 0, broken: 41, 'bad-answer': 2, timeout: 33, short: 1, refused: 12, 'client-body': 4, 'client-gone': 26},
    retries: 118, hedges: 2, bytes_in: 912334455, bytes_out: 48112233445, latency_ms: {p50: 10.4, p90: 24.1, p99: 71.9},
    places: {free: 8, all: 8}, reset_at: null, history, members,
  };
}

function instance(n, port, o) {
  return {
    instance: n, address: `http://127.0.0.1:${port}`, pid: 4100 + n, state: 'ready', age_ms: 5_400_000 + 1000 * n, requests: 18_200 + 31 * n, memory: 181e6 + 9e6 * n,
    memory_limit: 400e6, restarts: 0, leaves_because: null,
    last_lines: [`listening on port ${port}`, 'GET /orders 200 12 ms', 'GET /orders/4711 200 9 ms', 'cache: 1802 entries, 96 % hits'], ...o,
  };
}

function world(o) {
  const random = dice(7);
  const time = Date.now() / 1000;
  const count = o.members || 12;
  const shop = Array.from({length: count}, (_, n) => member(n, random));
  const api = [0, 1, 2].map((n) => ({...member(n, random, `http://127.0.0.1:${9001 + n}`), route: `a${n + 1}`, supervised: true}));
  const data = {
    version: 1, module: '1.0.0', server: 'front-1.example.net', time, check: 'ok', rebuilds: 0,
    steering: {allowed: true, token: 'token-1', why_not: null, persist: '/var/lib/appbalance/steering'},
    seats: [
      {seat: 0, pid: 3101, old: false, parked: 0, adopted: 14, lingering: 0, threads: 64},
      {seat: 1, pid: 3102, old: false, parked: 2, adopted: 11, lingering: 1, threads: 64},
      {seat: 2, pid: 2988, old: true, parked: 0, adopted: 1, lingering: 0, threads: 64},
    ],
    balancers: [balancer('shop', 'leastbusy', shop, random, time, 1), balancer('api', 'bytime', api, random, time, 0.4)],
    control: 3100,
    applications: [{
      balancer: 'api', name: 'orders', removed: false, failed: false, rolling: false, wanted: 3, starts: 4, failures: 1, blocked: [],
      ended: [{instance: 2, pid: 4090, why: 'signal 9 (out of memory)', ago_ms: 5_300_000}],
      last_failure: {instance: 2, pid: 4090, why: 'signal 9 (out of memory)', ago_ms: 5_300_000, last_lines: ['GET /report 200 3211 ms', 'allocating 380 MB for the report']},
      instances: [instance(1, 9001, {}), instance(2, 9002, {restarts: 1, age_ms: 5_298_000}), instance(3, 9003, {memory: 371e6})],
    }],
    events: [
      {time: time - 840, who: 'admin', from: '10.0.0.7', action: 'weight', balancer: 'shop', target: shop[1].address, value: '2', reason: 'more memory since yesterday', result: 'done'},
    ],
  };
  Object.assign(shop[1], {weight: 2, steered: ['weight']});
  if (o.trouble) trouble(data);
  if (o.hostile) hostile(data);
  return data;
}

// Something of everything that can be wrong.
function trouble(data) {
  const [shop, api] = data.balancers;
  const m = shop.members;
  Object.assign(m[4], {state: 'away', away: true, why: 'cannot connect: Connection refused, for 12 s', failures: 31, busy: 0, last_failures: [{ago_ms: 2100, why: 'cannot connect: Connection refused'}, {ago_ms: 12300, why: 'the connection broke before the answer\'s head'}]});
  Object.assign(m[7], {state: 'ejected', ejected: true, ejected_for_ms: 8000, why: '5 failures in a row; again in 8 s', failures: 12, busy: 0, last_failures: [{ago_ms: 4200, why: 'answered 503'}]});
  Object.assign(m[9], {state: 'draining', draining: true, status: 'drain', steered: ['status'], why: 'drained by admin from 10.0.0.7: disk change', busy: 1});
  Object.assign(m[10], {state: 'full', busy: 16, queued: 3, why: 'all of its 16 places are taken'});
  Object.assign(m[3], {latency_ms: 412});
  Object.assign(shop.queue, {length: 14, head_age_ms: 380, wait_ms: {p50: 120, p90: 310, p99: 372}});
  data.events.unshift({time: data.time - 61, who: 'admin', from: '10.0.0.7', action: 'drain', balancer: 'shop', target: m[9].address, value: null, reason: 'disk change', result: 'done'});
  Object.assign(api, {errors: 102});
}

function hostile(data) {
  let n = 0;
  const next = () => HOSTILE[n++ % HOSTILE.length];
  data.server = next();
  data.check = next();
  data.steering.persist = next();
  for (const b of data.balancers) {
    b.name = next() + n;
    b.method = next();
    b.members.forEach((m) => {
      Object.assign(m, {address: next() + n, route: next(), why: next(), at: [next()], last_failures: [{ago_ms: 900, why: next()}], configured: {...m.configured, status: next()}, steered: ['status']});
    });
  }
  for (const a of data.applications) {
    a.balancer = data.balancers[1].name;
    a.name = next();
    a.blocked = [{address: next(), why: next(), again_ms: 900}];
    Object.assign(a.last_failure, {why: next(), last_lines: HOSTILE});
    for (const i of a.instances) Object.assign(i, {address: next(), last_lines: HOSTILE, leaves_because: next(), state: next().slice(0, 60)});
    a.ended = HOSTILE.slice(0, 8).map((why) => ({instance: 1, pid: 4000, why, ago_ms: 100}));
  }
  // words that every JavaScript object knows something under
  data.applications[0].instances[0].state = data.balancers[0].members[1].state = 'constructor';
  data.events = HOSTILE.map((text, i) => ({time: data.time - i, who: text, from: text, action: text, balancer: text, target: text, value: text, reason: text, result: text}));
}

// What the stream leaves out of a member.
const USUAL = Object.entries({
  state: 'up', why: null, status: 'on', set: 0, weight: 1, share: 100, concurrency: 0, busy: 0, queued: 0, requests: 0, failures: 0, bytes: 0, latency_ms: null,
  percentiles_ms: {p50: null, p90: null, p99: null}, configured: {status: 'on', weight: 1, concurrency: 0}, steered: [], added: false, supervised: false, away: false,
  unfit: false, unproven: false, ejected: false, ejected_for_ms: 0, draining: false, removed: false, last_failures: [],
}).map(([name, value]) => [name, value, JSON.stringify(value)]);

function brief(member) {
  const out = {...member};
  for (const [name, value, text] of USUAL) {
    if (out[name] === value || (typeof value === 'object' && JSON.stringify(out[name]) === text)) delete out[name];
  }
  return out;
}

// The text of what the stream says after `before`, which keeps the text of each thing as it was sent. Each thing is
// made text once: with 10,000 members that is what takes the time.
function changes(data, before) {
  const keys = JSON.stringify(data.balancers.map((b) => [b.name, b.removed, b.members.map((m) => [m.address, m.removed])]));
  if (!before.sent || before.keys !== keys) Object.assign(before, {sent: new Map(), keys});
  const whole = before.sent.size === 0;
  const changed = (key, thing) => {
    const text = JSON.stringify(thing);
    if (before.sent.get(key) === text) return null;
    before.sent.set(key, text);
    return text;
  };
  const {balancers, ...out} = {...data, whole};
  for (const name of ['check', 'seats', 'applications', 'events']) {
    if (!changed(name, data[name])) delete out[name];
  }
  const texts = [];
  for (const b of balancers) {
    const {members, history, ...own} = b;
    const some = members.map((m) => changed(`${b.name} ${m.address} ${m.removed}`, brief(m))).filter(Boolean);
    const had = before.sent.get(`${b.name} end`);
    const fresh = had == null ? 120 : Math.round((history.end - had) / history.step_s);
    before.sent.set(`${b.name} end`, history.end);
    if (!changed(b.name, own) && !some.length && !fresh) continue;
    const steps = {...history, ...Object.fromEntries(LISTS.map((list) => [list, fresh ? history[list].slice(-fresh) : []]))};
    texts.push(`${JSON.stringify({...own, history: steps}).slice(0, -1)},"members":[${some.join()}]}`);
  }
  return `${JSON.stringify(out).slice(0, -1)},"balancers":[${texts.join()}]}`;
}

const find = (data, body) => {
  const b = data.balancers.find((one) => one.name === body.balancer);
  return {b, m: b && b.members.find((one) => one.address === body.member), app: data.applications.find((one) => one.balancer === body.balancer && one.name === body.application)};
};

// Does what was asked; returns [status, answer].
function act(data, body) {
  const {b, m, app} = find(data, body);
  const refuse = (status, error, message) => [status, {done: false, error, message}];
  if (!b) return refuse(404, 'ABL0404', `there is no balancer ${body.balancer}`);
  const steered = () => { m.steered = ['status', 'weight', 'concurrency'].filter((name) => m[name] !== m.configured[name]); };
  const settle = (status, state, why) => Object.assign(m, {status, state, why: why && `${why} by admin from 127.0.0.1${body.reason ? `: ${body.reason}` : ''}`, draining: state === 'draining'});
  const actions = {
    enable: () => settle('on', 'up', null),
    drain: () => settle('drain', 'draining', 'drained'),
    disable: () => settle('disabled', 'disabled', 'disabled'),
    weight: () => { m.weight = body.value; },
    concurrency: () => { m.concurrency = body.value; },
    restore: () => Object.assign(m, m.configured, {state: 'up', why: null, draining: false}),
    eject: () => Object.assign(m, {ejected: true, ejected_for_ms: (body.value || 60) * 1000, state: 'ejected', why: 'ejected by admin from 127.0.0.1'}),
    return: () => Object.assign(m, {ejected: false, ejected_for_ms: null, state: 'up', why: null}),
    remove: () => { b.members = b.members.filter((one) => one !== m); b.places.free++; },
  };
  if (body.action === 'add') {
    if (!/^https?:\/\//.test(body.member)) return refuse(400, 'ABL0411', `${body.member}: expected http://HOST:PORT`);
    if (!b.places.free) return refuse(409, 'ABL0412', 'no place is free');
    b.places.free--;
    b.members.push({...member(b.members.length, dice(3), body.member), added: true, weight: body.weight || 1});
  } else if (body.action === 'reset') {
    Object.assign(b, {requests: 0, errors: 0, reset_at: data.time});
  } else if (body.action === 'roll' || body.action === 'restart') {
    if (!app) return refuse(404, 'ABL0404', `there is no application ${body.application}`);
    const which = app.instances.filter((i) => body.action === 'roll' || i.instance === body.instance);
    app.rolling = body.action === 'roll';
    app.ended = [...which.map((i) => ({instance: i.instance, pid: i.pid, why: body.action === 'roll' ? 'rolling restart' : 'restarted by hand', ago_ms: 0})), ...app.ended].slice(0, 8);
    for (const i of which) Object.assign(i, {state: 'starting', pid: i.pid + 100, age_ms: 0, restarts: i.restarts + 1, last_lines: ['starting']});
  } else if (!m) {
    return refuse(404, 'ABL0404', `there is no member ${body.member}`);
  } else {
    actions[body.action]();
    if (m.configured) steered();
  }
  const target = body.member || (body.application && `${body.application}${body.instance ? ` ${body.instance}` : ''}`) || null;
  data.events = [{time: data.time, who: 'admin', from: '127.0.0.1', action: body.action, balancer: body.balancer, target, value: body.value == null ? null : String(body.value), reason: body.reason || null, result: 'done'}, ...data.events].slice(0, 32);
  return [200, {done: true, message: `${body.action}: done for ${target || body.balancer}`}];
}

class Mock {
  constructor(o) {
    Object.assign(this, {data: world(o), streams: new Set(), posts: [], asked: {}, random: dice(11), step: 120, refuseStream: false, refuseAll: false, mute: false, fail: null, calm: o.calm});
    this.server = http.createServer((request, response) => this.answer(request, response));
    this.every = o.every == null ? 1000 : o.every;
    if (this.every) this.timer = setInterval(() => this.tick(), this.every);
  }

  // A second goes by: figures change, what was begun goes on, and all who read the stream hear of it.
  tick() {
    this.data.time += 1;
    if (!this.calm) this.live();
    for (const app of this.data.applications) {
      for (const e of app.ended) e.ago_ms += 1000;
      for (const i of app.instances) {
        i.age_ms += 1000;
        if (i.state === 'starting' && i.age_ms >= 3000) Object.assign(i, {state: 'ready', last_lines: ['starting', 'ready']});
      }
      if (app.rolling && app.instances.every((i) => i.state === 'ready')) app.rolling = false;
    }
    this.tell();
  }

  live() {
    const random = this.random;
    this.data.balancers.forEach((b, n) => {
      const next = historyStep(this.step, random, n ? 0.4 : 1);
      if (Math.round(this.data.time) % 5 === 0) {
        for (const list of LISTS) b.history[list] = [...b.history[list], next[list]].slice(-120);
        b.history.end += 5;
        if (n === this.data.balancers.length - 1) this.step++;
      }
      b.requests += Math.round(next.requests);
      for (const m of b.members.slice(0, 40)) {
        if (m.state !== 'up') continue;
        m.busy = Math.max(0, Math.min(m.concurrency || 99, m.busy + Math.floor(random() * 5) - 2));
        m.requests += Math.round(random() * 9);
        m.latency_ms = Math.max(2, m.latency_ms + random() * 4 - 2);
      }
    });
  }

  // What a new reader is told first; of many members it is made once a second, however many readers come.
  first() {
    const large = this.data.balancers[0].members.length > 1000;
    if (!large || !this.whole || this.whole.time !== this.data.time) {
      const before = {};
      this.whole = {time: this.data.time, before, text: changes(this.data, before)};
    }
    const {text, before} = this.whole;
    return {text, before: {keys: before.keys, sent: new Map(before.sent)}};
  }

  tell() {
    if (this.mute) return;
    for (const stream of this.streams) stream.response.write(`data: ${changes(this.data, stream.before)}\n\n`);
  }

  answer(request, response) {
    const as = new URL(request.url, 'http://mock').searchParams.get('as') || (/json/.test(request.headers.accept) ? 'json' : 'html');
    this.asked[as] = (this.asked[as] || 0) + 1;
    const send = (status, type, body) => {
      response.writeHead(status, {
        'Content-Type': type, 'Cache-Control': as === 'js' || as === 'css' ? 'no-cache' : 'no-store', 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer',
        'Content-Security-Policy': 'default-src \'self\'; frame-ancestors \'none\'; base-uri \'none\'; form-action \'self\'',
      });
      response.end(body);
    };
    if (this.refuseAll) return void request.socket.destroy();
    if (request.method === 'POST') return void this.post(request, send);
    if (FORMS[as]) return void send(200, FORMS[as][1], Buffer.concat(FORMS[as][0].map((name) => fs.readFileSync(path.join(PAGE, name)))));
    if (as === 'json') return void send(200, 'application/json', JSON.stringify(this.data));
    if (as !== 'stream') return void send(400, 'text/plain', 'no such form\n');
    if (this.refuseStream) return void send(503, 'text/plain', 'too many readers\n');
    response.writeHead(200, {'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store'});
    const stream = {response, before: {}};
    this.streams.add(stream);
    request.on('close', () => this.streams.delete(stream));
    if (this.mute) return void response.write(': nothing\n\n');
    const {text, before} = this.first();
    stream.before = before;
    response.write(`retry: 200\ndata: ${text}\n\n`);
  }

  post(request, send) {
    let text = '';
    request.on('data', (more) => { text += more; });
    request.on('end', () => {
      let body;
      try {
        body = JSON.parse(text);
      } catch (error) {
        return send(400, 'application/json', JSON.stringify({done: false, error: 'ABL0400', message: 'this is no JSON'}));
      }
      this.posts.push({url: request.url, headers: request.headers, body});
      const fail = this.fail;
      if (typeof fail === 'string') return send(403, 'text/html', fail);
      if (fail) return send(fail.status, 'application/json', JSON.stringify({done: false, ...fail}));
      if (request.headers['x-balancer-token'] !== this.data.steering.token) return send(403, 'application/json', JSON.stringify({done: false, error: 'ABL0403', message: 'the token is not this session\'s'}));
      const [status, answer] = act(this.data, body);
      send(status, 'application/json', JSON.stringify(answer));
      this.tell();
    });
  }

  cut() { for (const {response} of this.streams) response.destroy(); }

  stop() {
    clearInterval(this.timer);
    this.server.closeAllConnections();
    return new Promise((done) => this.server.close(done));
  }
}

function start(o = {}) {
  const mock = new Mock(o);
  return new Promise((resolve, reject) => {
    mock.server.on('error', reject);
    mock.server.listen(o.port || 0, '127.0.0.1', () => {
      mock.url = `http://127.0.0.1:${mock.server.address().port}/balancer-manager`;
      resolve(mock);
    });
  });
}

module.exports = {start, HOSTILE, trouble};

if (require.main === module) {
  const args = process.argv.slice(2);
  const value = (name) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : undefined);
  start({port: value('--port'), members: value('--members'), hostile: args.includes('--hostile'), trouble: args.includes('--trouble')}).then((mock) => {
    if (args.includes('--status')) mock.data.steering = null;
    if (args.includes('--refuse')) mock.refuseStream = true;
    console.log(mock.url);
  });
}
