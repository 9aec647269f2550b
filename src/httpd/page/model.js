/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known: the server's messages, put together. docs/steering.md says what the fields mean.
 */
'use strict';

const STEPS = 120;          // of history

// What the server says may be any word: nothing is found under those that every object has.
const named = (words) => Object.assign(Object.create(null), words);

const KINDS = named({
  up: 'good', full: 'good', spare: 'idle', backup: 'idle', starting: 'warn', unproven: 'warn', unused: 'idle',
  away: 'bad', ejected: 'bad', unfit: 'bad', draining: 'off', disabled: 'off', removed: 'off',
});
const STATES = ['away', 'ejected', 'unfit', 'unproven', 'starting', 'draining', 'disabled', 'removed', 'up', 'full', 'spare', 'backup', 'unused'];
// who is full a moment and then not is no reason for another order
const RANKS = named({...Object.fromEntries(STATES.map((state, n) => [state, n])), full: STATES.indexOf('up')});
const LEVELS = ['good', 'warn', 'bad'];

const model = {top: {}, balancers: new Map(), came: 0, order: 0};

// The server's time: clocks differ.
const now = () => (model.top.time ?? Date.now() / 1000) + (model.came ? (Date.now() - model.came) / 1000 : 0);

// How long ago something is that was `ago` when its object came.
const since = (of, ago) => (ago == null ? null : ago + Math.max(0, (now() - of.stamp) * 1000));

const keyOf = (name, removed) => (removed ? `${name} removed` : name);

// What the stream leaves out of a member.
const USUAL = Object.freeze({
  state: 'up', why: null, status: 'on', set: 0, weight: 1, share: 100, concurrency: 0, busy: 0, queued: 0, requests: 0, failures: 0, bytes: 0,
  latency_ms: null, percentiles_ms: {p50: null, p90: null, p99: null}, configured: {status: 'on', weight: 1, concurrency: 0}, steered: [],
  added: false, supervised: false, away: false, unfit: false, unproven: false, ejected: false, ejected_for_ms: 0, draining: false, removed: false,
  last_failures: [],
});

function takeMember(balancer, said, time) {
  const member = {...USUAL, ...said};
  const key = keyOf(member.address, member.removed);
  const had = balancer.members.get(key);
  member.stamp = time;
  member.nr = had ? had.nr : balancer.members.size;
  // drained from here: what holds, whatever the status was before
  if (member.draining && (member.steered || []).includes('status')) member.status = 'drain';
  member.kind = KINDS[member.state] || 'warn';
  member.rank = RANKS[member.state] ?? -1;
  balancer.members.set(key, member);
  return Boolean(had);
}

function takeHistory(old, more) {
  if (!old || !more) return more || old;
  // steps that an answer in between has brought already come no second time
  const fresh = Math.round((more.end - old.end) / (more.step_s || old.step_s));
  if (fresh <= 0) return old;
  const joined = {...old, ...more};
  for (const [name, values] of Object.entries(more)) {
    if (Array.isArray(values)) joined[name] = (old[name] || []).concat(values.slice(-fresh)).slice(-STEPS);
  }
  return joined;
}

// Takes one message in. False: it is about something that is not known, and all has to be asked for.
function take(message) {
  const {balancers, ...top} = message;
  const partly = message.whole === false;
  let known = true;
  if (!partly) model.balancers = new Map();
  model.top = partly ? {...model.top, ...top} : top;
  model.came = Date.now();
  for (const app of top.applications || []) app.stamp = model.top.time;
  for (const {members, history, ...own} of balancers || []) {
    const key = keyOf(own.name, own.removed);
    let balancer = model.balancers.get(key);
    if (!balancer) {
      known = known && !partly;
      balancer = {key, own, members: new Map(), history: null};
      model.balancers.set(key, balancer);
    }
    balancer.own = own;
    balancer.history = partly ? takeHistory(balancer.history, history) : history;
    for (const member of members || []) {
      if (!takeMember(balancer, member, model.top.time)) known = known && !partly;
    }
  }
  return known;
}
