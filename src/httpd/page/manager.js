/* SPDX-License-Identifier: Apache-2.0
 *
 * The balancer manager's page: takes the JSON form as a stream, or asks for it again and again; shows it; and sends
 * what the administrator confirms. docs/steering.md says what the fields mean.
 *
 * Whatever the server says is text: it gets into the page as text nodes and attributes and in no other way. Only
 * what has changed is touched, so that focus, selections and whatever is open outlive the changes.
 */
'use strict';
(() => {

const POLL = 2000;          // without a stream
const FIRST = 2000;         // until a new stream has to have said something; meanwhile nobody should look at nothing
const SILENCE = 15000;      // after which a stream is taken for dead
const AGAIN = 30000;        // until the stream is tried again
const OLD = 6000;           // without news for so long the page says that what it shows is old
const ROWS = 200;           // members shown at first, of all balancers; of one at most half of them, and at least ten
const STEPS = 120;          // of history
const CLIP = 300;           // of a text in a table; the whole is in the panel below

// ---- text

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

// What is not seen, or turns the direction of what stands beside it, is shown as what it is.
function plain(value) {
  return String(value ?? '').replace(HIDDEN, (c) => '\\u{' + c.codePointAt(0).toString(16) + '}');
}

function clip(value, most = CLIP) {
  const all = plain(value);
  return all.length > most ? all.slice(0, most) + ' …' : all;
}

const whole = new Intl.NumberFormat('en', {maximumFractionDigits: 0});
const tenth = new Intl.NumberFormat('en', {maximumFractionDigits: 1});
const exact = new Intl.NumberFormat('en', {maximumFractionDigits: 3});

const num = (n) => (n == null ? '–' : (Math.abs(n) < 10 ? tenth : whole).format(n));
const int = (n) => whole.format(n || 0);
const many = (n, one) => `${int(n)} ${one}${n === 1 ? '' : 's'}`;

function ms(n) {
  if (n == null) return '–';
  if (n >= 60000) return age(n);
  return n >= 1000 ? `${tenth.format(n / 1000)} s` : `${num(n)} ms`;
}

function age(n) {
  if (n == null) return '–';
  const s = Math.max(0, Math.round(n / 1000));
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  return s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} days`;
}

function bytes(n) {
  if (n == null) return '–';
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) {
    n /= 1000;
    unit++;
  }
  return `${num(n)} ${units[unit]}`;
}

function clock(time) {
  const at = new Date(time * 1000);
  const hour = at.toLocaleTimeString('en-GB');
  return Math.abs(now() - time) < 43200 ? hour : `${at.toLocaleDateString('en-CA')} ${hour}`;
}

// ---- elements

function into(node, attrs, kids) {
  for (const [name, value] of Object.entries(attrs || {})) {
    if (typeof value === 'function') node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, '');
    else if (value != null && value !== false) node.setAttribute(name, value);
  }
  node.append(...kids.filter((kid) => kid != null));
  return node;
}

const el = (tag, attrs, ...kids) => into(document.createElement(tag), attrs, kids);
const svg = (tag, attrs, ...kids) => into(document.createElementNS('http://www.w3.org/2000/svg', tag), attrs, kids);
const id = (name) => document.getElementById(name);

function put(node, value) {
  const said = clip(value);
  if (node.textContent !== said) node.textContent = said;
}

function set(node, name, value) {
  if (value == null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

function show(node, is) {
  if (node.hidden === Boolean(is)) node.hidden = !is;
}

// Brings a parent's children into an order without taking out the one with the focus, which would lose it.
function place(parent, nodes) {
  const pass = (wanted, from) => {
    let here = from;
    for (const node of wanted) {
      if (node === here) here = here.nextSibling;
      else parent.insertBefore(node, here);
    }
  };
  const fixed = nodes.findIndex((node) => node.contains(document.activeElement));
  if (fixed < 0) {
    pass(nodes, parent.firstChild);
    return;
  }
  pass(nodes.slice(0, fixed), parent.firstChild);
  pass(nodes.slice(fixed + 1), nodes[fixed].nextSibling);
}

// A parent's children, one part for each item: make(item) gives {nodes(), update(item)}.
function list(parent, make) {
  let parts = new Map();
  return (items, keyOf = (_, i) => i) => {
    const next = new Map();
    const nodes = [];
    items.forEach((item, i) => {
      let key = keyOf(item, i);
      while (next.has(key)) key = `${key} again`;
      const part = parts.get(key) || make(item);
      next.set(key, part);
      part.update(item, i);
      nodes.push(...part.nodes());
    });
    for (const [key, part] of parts) {
      if (next.has(key)) continue;
      for (const node of part.nodes()) {
        if (node.contains(document.activeElement)) leave(parent);
        node.remove();
      }
    }
    parts = next;
    place(parent, nodes);
    return next;
  };
}

// Where the focus goes when what had it is no longer there.
function leave(parent) {
  const section = parent.closest('section');
  const title = section && section.querySelector('h2');
  if (title) {
    title.tabIndex = -1;
    title.focus({preventScroll: true});
  }
}

// A list of texts, each in an element of its own.
const texts = (parent, tag) => list(parent, () => {
  const node = el(tag);
  return {nodes: () => [node], update: (value) => put(node, value)};
});

// Names and what is said about each: facts(dl)([['Route', 'a'], …]); what has nothing to say is left out.
function facts(parent) {
  const fill = list(parent, () => {
    const name = el('dt');
    const what = el('dd', {class: 'long'});
    const node = el('div', null, name, what);
    return {
      nodes: () => [node],
      update: ([key, value]) => {
        put(name, key);
        const said = plain(value);
        if (what.textContent !== said) what.textContent = said;
        // what can be scrolled must be reachable without a mouse
        set(what, 'tabindex', said.length > CLIP ? 0 : null);
      },
    };
  });
  return (pairs) => fill(pairs.filter(([, value]) => value != null && value !== ''), ([key]) => key);
}

const SHAPES = {
  good: () => svg('circle', {cx: 6, cy: 6, r: 5, stroke: 'none'}),
  idle: () => svg('circle', {cx: 6, cy: 6, r: 4.2, fill: 'none', 'stroke-width': 1.6}),
  warn: () => svg('path', {d: 'M6 .8 11.6 11H.4Z', stroke: 'none'}),
  bad: () => svg('path', {d: 'M2 2 10 10M10 2 2 10', 'stroke-width': 2.6, 'stroke-linecap': 'round'}),
  off: () => svg('path', {d: 'M3.6 1.5V10.5M8.4 1.5V10.5', 'stroke-width': 2.6}),
};

// A state: its shape beside its word.
function stateMark(tag = 'span') {
  const mark = svg('svg', {class: 'mark', viewBox: '0 0 12 12', 'aria-hidden': 'true'});
  const word = el('span');
  const node = el(tag, {class: 'state'}, mark, word);
  let had;
  return {
    node,
    update: (kind, text) => {
      if (had !== kind) mark.replaceChildren(SHAPES[kind]());
      had = kind;
      set(node, 'class', `state ${kind}`);
      put(word, text);
    },
  };
}

// How much of a limit is used; the numbers stand beside it.
function bar() {
  const fill = svg('rect', {width: 0, height: 5});
  const node = svg('svg', {class: 'bar', viewBox: '0 0 100 5', preserveAspectRatio: 'none', 'aria-hidden': 'true'}, fill);
  return {
    node,
    update: (part, whole, kind) => {
      set(fill, 'width', whole ? Math.min(100, Math.round(100 * part / whole)) : 0);
      set(node, 'class', `bar ${kind || ''}`);
      node.toggleAttribute('hidden', !whole);
    },
  };
}

// ---- what is known

const model = {top: {}, balancers: new Map(), came: 0, order: 0};

// The server's time: clocks differ.
const now = () => (model.top.time ?? Date.now() / 1000) + (model.came ? (Date.now() - model.came) / 1000 : 0);

// How long ago something is that was `ago` when its object came.
const since = (of, ago) => (ago == null ? null : ago + Math.max(0, (now() - of.stamp) * 1000));

const keyOf = (name, removed) => (removed ? `${name} removed` : name);

function takeMember(balancer, member, time) {
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

// ---- states and the verdict

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

function last(values) {
  return values && values.length ? values[values.length - 1] : null;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor((sorted.length - 1) / 2)] : null;
}

// What a balancer's members are, counted, and the slowest of those that are used.
function judge(balancer) {
  const count = {good: 0, idle: 0, warn: 0, bad: 0, off: 0};
  const latencies = [];
  let slowest = null;
  let changed = 0;
  for (const member of balancer.members.values()) {
    count[member.kind]++;
    if ((member.steered && member.steered.length) || member.added) changed++;
    if (member.latency_ms != null && (member.state === 'up' || member.state === 'full')) {
      latencies.push(member.latency_ms);
      if (!slowest || member.latency_ms > slowest.latency_ms) slowest = member;
    }
  }
  const usual = median(latencies);
  const usable = count.good + [...balancer.members.values()].some((m) => m.state === 'spare' || m.state === 'backup');
  const errors = last(balancer.history && balancer.history.errors);
  const {removed, name} = balancer.own;
  const said = [];
  let level = 0;
  const say = (how, text) => {
    level = Math.max(level, how);
    said.push(`${name}: ${text}`);
  };
  if (!removed) {
    if (!usable) say(2, 'no member can be used');
    if (count.bad) say(1, `${count.bad} of ${many(balancer.members.size, 'member')} out of service`);
    if (count.warn) say(1, `${many(count.warn, 'member')} not ready yet`);
    if (errors > 0) say(1, `${tenth.format(errors)} errors/s`);
  }
  return {count, slowest, usual, changed, level, said, slow: Boolean(slowest && latencies.length > 1 && slowest.latency_ms > 50 && slowest.latency_ms > 3 * usual)};
}

const complete = (app) => ({wanted: app.wanted, ready: (app.instances || []).filter((i) => i.state === 'ready').length});

function verdict(judged) {
  const {check, rebuilds, applications} = model.top;
  const said = [];
  let level = 0;
  if (check !== 'ok') {
    level = 2;
    said.push(`The ledger check has found an error, please report it: ${check}`);
  }
  for (const app of applications || []) {
    const {ready, wanted} = complete(app);
    if (ready < wanted && !app.failed && !app.rolling && !app.removed) {
      level = Math.max(level, 1);
      said.push(`Application ${app.name} of ${app.balancer}: ${ready} of ${many(wanted, 'instance')} ready`);
    }
    if (!app.failed || app.removed) continue;
    level = 2;
    said.push(`Application ${app.name} of ${app.balancer} has failed: ${(app.last_failure && app.last_failure.why) || 'it does not start'}`);
  }
  for (const one of judged.values()) {
    level = Math.max(level, one.level);
    said.push(...one.said);
  }
  const word = ['Healthy', 'Degraded', 'In trouble'][level];
  if (!said.length) {
    let members = 0;
    for (const balancer of model.balancers.values()) members += balancer.members.size;
    said.push(`No member is out of service (${many(members, 'member')} of ${many(model.balancers.size, 'balancer')}), no application has failed, and the ledger check is ok${rebuilds ? ` (made anew ${rebuilds === 1 ? 'once' : many(rebuilds, 'time')})` : ''}.`);
  }
  return {level, word, said};
}

function answers(judged) {
  let waiting = 0;
  let oldest = 0;
  let longest = null;
  let slowest = null;
  for (const [key, one] of judged) {
    const {name, queue} = model.balancers.get(key).own;
    if (queue && queue.length) {
      waiting += queue.length;
      oldest = Math.max(oldest, queue.head_age_ms || 0);
      if (!longest || queue.length > longest.length) longest = {name, length: queue.length};
    }
    const more = one.slowest && (!slowest || Number(one.slow) > Number(slowest.slow) ||
      (one.slow === slowest.slow && one.slowest.latency_ms > slowest.slowest.latency_ms));
    if (more) slowest = {...one, name};
  }
  let restarts = 0;
  let newest = null;
  const rolling = [];
  for (const app of model.top.applications || []) {
    if (app.rolling) rolling.push(app.name);
    for (const end of app.ended || []) {
      const ago = since(app, end.ago_ms);
      if (ago < 3600000) restarts++;
      if (!newest || ago < newest.ago) newest = {ago, app, end};
    }
  }
  return [
    ['Is anybody queueing?', waiting ? `${many(waiting, 'request')} waiting` : 'Nobody waits',
      waiting ? `the first for ${ms(oldest)}; most of them for ${longest.name}` : 'every request has a member at once'],
    ['Who is slow?', slowest ? (slowest.slow ? `${slowest.slowest.address}: ${ms(slowest.slowest.latency_ms)}` : 'Nobody stands out') : 'Not known yet',
      slowest ? (slowest.slow ? `to the first byte; half of the members of ${slowest.name} take less than ${ms(slowest.usual * 1.01)}` :
        `slowest: ${slowest.slowest.address} of ${slowest.name}, ${ms(slowest.slowest.latency_ms)} to the first byte`) : 'no answer has come yet'],
    ['What was restarted, and why?', rolling.length ? `Being rolled: ${rolling.join(', ')}` : restarts ? `${many(restarts, 'instance')} in the last hour` : newest ? 'Nothing in the last hour' : 'Nothing',
      newest ? `${newest.app.name} ${newest.end.instance} of ${newest.app.balancer}, ${age(newest.ago)} ago: ${newest.end.why}` : 'no instance has been replaced'],
  ];
}

// ---- actions

const steering = () => (model.top.steering && model.top.steering.allowed ? model.top.steering : null);

let announced = '';
function announce(text) {
  const node = id('announce');
  // the same words again are a change to be read, too
  announced = announced === text ? `${text}\u00a0` : text;
  node.textContent = plain(announced).replace(/\\u\{a0\}/g, '\u00a0');
}

async function send(body) {
  const {token} = steering() || {};
  let answer;
  try {
    answer = await fetch(location.pathname, {
      method: 'POST',
      headers: {'Content-Type': 'application/json', Accept: 'application/json', 'X-Balancer-Token': token || ''},
      body: JSON.stringify(body),
    });
  } catch (error) {
    return {done: false, message: `No answer from the server (${error.message}); it is not known whether this was done`};
  }
  let said = null;
  try {
    said = await answer.json();
  } catch (error) {
    // somebody else's answer, such as httpd's own 403 page
  }
  // another token may hold by now: it comes with the next look
  if (!answer.ok) source.look();
  if (said && typeof said.message === 'string') return {...said, done: answer.ok && said.done === true};
  return {done: false, message: `The server answered ${answer.status} ${answer.statusText}`};
}

// Buttons, and the place below them where one of them is confirmed and where its result stands.
//   actions: {label, title(t), text(t), body(t, values), fields, when(t)}; what they are about comes with update(t)
function steer(actions, name) {
  const slot = el('div');
  const group = el('div', {class: 'buttons', role: 'group', 'aria-label': plain(name)});
  let target = null;
  let opened = null;    // the form, and the button that has opened it
  let opener = null;

  function close(button) {
    slot.replaceChildren();
    opened = opener = null;
    if (button) (button.hidden ? group.querySelector('button:not([hidden])') : button).focus();
  }

  function result(button, answer, what) {
    const text = `${answer.done ? '' : `${what} failed: `}${plain(answer.message)}${answer.error ? ` (${plain(answer.error)})` : ''}`;
    const node = el('p', {class: `result ${answer.done ? '' : 'bad'}`}, text);
    announce(text);
    if (answer.done) {
      close(button);
      slot.append(node);
    } else {
      slot.querySelectorAll('.result').forEach((old) => old.remove());
      slot.append(node);
    }
  }

  function open(action, button) {
    const about = target;
    const fields = (action.fields || []).concat({name: 'reason', label: 'Reason (for the log and the others who look)', wide: true, maxlength: 200, optional: true});
    const inputs = {};
    const rows = fields.map((field) => {
      const input = el('input', {
        name: field.name, type: field.number ? 'number' : 'text', required: !field.optional, autocomplete: 'off',
        min: field.min, max: field.max, maxlength: field.maxlength, step: field.number ? field.step || 'any' : null,
        placeholder: field.placeholder, value: field.initial ? field.initial(about) : null,
      });
      inputs[field.name] = input;
      return el('label', {class: field.wide ? 'wide' : ''}, field.label, input);
    });
    const yes = el('button', {type: 'submit', class: 'main'}, 'Confirm');
    const no = el('button', {type: 'button', click: () => close(button)}, 'Cancel');
    const form = el('form', {
      class: 'confirm', 'aria-label': action.label.replace(' …', ''),
      keydown: (event) => {
        if (event.key !== 'Escape') return;
        event.preventDefault();
        close(button);
      },
      submit: async (event) => {
        event.preventDefault();
        if (yes.getAttribute('aria-disabled')) return;
        const values = {};
        for (const field of fields) {
          const value = inputs[field.name].value.trim();
          if (value !== '') values[field.name] = field.number ? Number(value) : value;
        }
        set(yes, 'aria-disabled', 'true');
        put(yes, 'Sending …');
        const answer = await send({...action.body(about, values), ...(values.reason ? {reason: values.reason} : {})});
        yes.removeAttribute('aria-disabled');
        put(yes, 'Confirm');
        if (opened !== form) announce(plain(answer.message));
        else result(button, answer, action.label.replace(' …', ''));
        if (!source.live()) source.look();
      },
    }, el('p', null, plain(action.text(about))), el('div', {class: 'fields'}, ...rows), el('div', {class: 'buttons'}, yes, no));
    // the server counts bytes
    inputs.reason.addEventListener('input', () => {
      const length = new TextEncoder().encode(inputs.reason.value).length;
      inputs.reason.setCustomValidity(length > 200 ? `${length} bytes; at most 200 are kept` : '');
    });
    slot.replaceChildren(form);
    opened = form;
    opener = button;
    const first = rows[0].querySelector('input');
    first.focus();
    first.select();
  }

  const buttons = actions.map((action) => {
    const button = el('button', {type: 'button', click: () => open(action, button)}, action.label);
    group.append(button);
    return {action, button};
  });
  return {
    group,
    slot,
    update: (about) => {
      target = about;
      const may = Boolean(steering());
      for (const {action, button} of buttons) {
        // who has pressed it is to find it again
        show(button, may && (!action.when || action.when(about) || button === opener || button === document.activeElement));
      }
      show(group, may);
      if (!may && opened) close();
    },
  };
}

const of = (action) => ({b, m}, values) => ({action, balancer: b.own.name, member: m.address, ...(values.value != null ? {value: values.value} : {})});
const share = (weight) => exact.format(weight);
const limit = (n) => (n ? int(n) : 'no limit');

const MEMBER_ACTIONS = [
  {label: 'Enable', body: of('enable'), when: ({m}) => m.status === 'drain' || m.status === 'disabled',
    text: ({m}) => `${m.address} gets requests again.`},
  {label: 'Drain', body: of('drain'), when: ({m}) => m.status !== 'drain',
    text: ({m}) => `${m.address} gets only requests whose affinity names it, until somebody enables it. Requests that are there go on.`},
  {label: 'Disable', body: of('disable'), when: ({m}) => m.status !== 'disabled',
    text: ({m}) => `${m.address} gets no request at all, until somebody enables it. Requests that are there go on.`},
  {label: 'Weight …', body: of('weight'), fields: [{name: 'value', label: 'Weight, 0.01 to 100', number: true, min: 0.01, max: 100, initial: ({m}) => m.weight}],
    text: ({m}) => `${m.address} has weight ${share(m.weight)}; it gets another share of the requests.`},
  {label: 'Concurrency …', body: of('concurrency'), fields: [{name: 'value', label: 'Requests at once; 0: no limit', number: true, step: 1, min: 0, max: 1000000, initial: ({m}) => m.concurrency}],
    text: ({m}) => `${m.address} takes at most so many requests at once, instead of ${limit(m.concurrency)}; others wait or go elsewhere.`},
  {label: 'Eject …', body: of('eject'), when: ({m}) => !m.ejected, fields: [{name: 'value', label: 'Seconds, 1 to 86400', number: true, step: 1, min: 1, max: 86400, initial: () => 60}],
    text: ({m}) => `${m.address} is left out for so many seconds, as if it had failed, and is then tried again by itself.`},
  {label: 'Return', body: of('return'), when: ({m}) => m.ejected,
    text: ({m}) => `${m.address} is taken back at once, whatever it was left out for.`},
  {label: 'Restore', body: of('restore'), when: ({m}) => m.steered && m.steered.length,
    text: ({m}) => `What the configuration says of ${m.address} holds again: ${configured(m.configured)}.`},
  {label: 'Remove', body: of('remove'), when: ({m}) => m.added,
    text: ({m}) => `${m.address} is taken out of the balancer; requests that are there go on to their end.`},
];

const BALANCER_ACTIONS = [
  {label: 'Add member …', when: ({own}) => !own.removed,
    fields: [{name: 'member', label: 'Address', wide: true, placeholder: 'http://10.0.0.9:8080'},
      {name: 'weight', label: 'Weight (1)', number: true, min: 0.01, max: 100, optional: true}],
    body: ({own}, values) => ({action: 'add', balancer: own.name, member: values.member, ...(values.weight != null ? {weight: values.weight} : {})}),
    text: ({own}) => `${own.name} gets one more member${own.places ? `; ${own.places.free} of ${many(own.places.all, 'place')} for such members ${own.places.free === 1 ? 'is' : 'are'} free` : ''}.`},
  {label: 'Reset statistics', body: ({own}) => ({action: 'reset', balancer: own.name}),
    text: ({own}) => `The figures of ${own.name} begin anew at zero; nothing that decides where requests go is forgotten.`},
];

const APP_ACTIONS = [
  {label: 'Roll', body: (app) => ({action: 'roll', balancer: app.balancer, application: app.name}),
    text: (app) => `All instances of ${app.name} are replaced, one after the other, without a lost request where there is room for one more.`},
];

const INSTANCE_ACTIONS = [
  {label: 'Restart', body: ({app, i}) => ({action: 'restart', balancer: app.balancer, application: app.name, instance: i.instance}),
    text: ({app, i}) => `Instance ${i.instance} of ${app.name} (pid ${i.pid || 'none'}) is replaced by a new one, without a lost request where there is room for two.`},
];

function configured({status, weight, concurrency}) {
  return `status ${status}, weight ${share(weight)}, concurrency ${limit(concurrency)}`;
}

// ---- charts

const WIDE = 240;
const HIGH = 76;

// A round number that is not below, so that the scale does not change with every value.
function ceiling(most) {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 3, 5, 10].map((n) => n * power).find((n) => n >= most * 0.999);
}

// title; lines: [{name, of: key of history}]; format(value); words(values): what the picture says, in words
function chart(title, lines, format, words) {
  const area = svg('path', {class: 'area'});
  const paths = lines.map((_, n) => svg('path', {class: `line ${lines[n].css || `n${n}`}`}));
  const cursor = svg('path', {class: 'cursor'});
  const plot = svg('svg', {class: 'plot', role: 'img', viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: 'none'},
    svg('path', {class: 'grid', d: `M0 ${HIGH / 2}H${WIDE}`}), area, ...paths, cursor);
  const values = lines.map(() => el('span'));
  const legend = el('div', {class: 'legend'}, ...lines.map((line, n) => el('span', null,
    svg('svg', {viewBox: '0 0 16 8', 'aria-hidden': 'true'}, svg('path', {class: `line ${line.css || `n${n}`}`, d: 'M0 4H16'})), `${line.name} `, values[n])));
  const from = el('span');
  const top = el('span');
  const node = el('figure', {class: 'chart'}, el('figcaption', null, el('h3', null, title), legend), plot, el('div', {class: 'scale'}, from, top, el('span', null, 'now')));
  let history = null;
  let at = null;    // the step under the pointer; null: the newest

  function draw() {
    const series = lines.map((line) => (history && history[line.of]) || []);
    const most = ceiling(Math.max(0, ...series.flat().filter((v) => v != null)));
    const x = (i, length) => (WIDE * (STEPS - length + i) / (STEPS - 1)).toFixed(1);
    const y = (v) => (HIGH - 2 - (HIGH - 6) * v / most).toFixed(1);
    series.forEach((list, n) => {
      let path = '';
      let fill = '';
      let begun = false;
      list.forEach((v, i) => {
        if (v == null) {
          begun = false;
          return;
        }
        // a value alone, between two that are not known, is still to be seen
        path += `${begun ? 'L' : 'M'}${x(i, list.length)} ${y(v)}${begun ? '' : 'h.1'}`;
        fill += `${begun ? 'L' : `${fill ? `V${HIGH}Z` : ''}M${x(i, list.length)} ${HIGH}L`}${x(i, list.length)} ${y(v)}`;
        begun = true;
        if (list[i + 1] == null) {
          fill += `V${HIGH}Z`;
        }
      });
      set(paths[n], 'd', path || null);
      if (n === 0) set(area, 'd', fill.replace(/ZV\d+Z/g, 'Z') || null);
    });
    const length = Math.max(0, ...series.map((list) => list.length));
    const i = at == null ? null : Math.min(length - 1, Math.max(0, at - (STEPS - length)));
    const shown = series.map((list) => (i == null || i < 0 ? last(list) : list[i - (length - list.length)]) ?? null);
    shown.forEach((v, n) => put(values[n], format(v)));
    set(cursor, 'd', i == null || i < 0 ? null : `M${x(i, length)} 0V${HIGH}`);
    const step = (history && history.step_s) || 5;
    put(from, i == null || i < 0 ? `${age(STEPS * step * 1000)} ago` : clock(history.end - (length - 1 - i) * step));
    put(top, `0 to ${format(most)}`);
    set(plot, 'aria-label', `${title}, the last ${age(Math.max(1, length) * step * 1000)}: ${words(series.map(last), series.map((list) => Math.max(0, ...list.filter((v) => v != null))))}`);
  }

  plot.addEventListener('pointermove', (event) => {
    const box = plot.getBoundingClientRect();
    at = Math.round((event.clientX - box.left) / box.width * (STEPS - 1));
    draw();
  });
  plot.addEventListener('pointerleave', () => {
    at = null;
    draw();
  });
  return {node, update: (of) => {
    history = of;
    draw();
  }};
}

const rate = (v) => (v == null ? '–' : `${num(v)}/s`);
const newCharts = () => [
  chart('Requests', [{name: 'requests', of: 'requests'}, {name: 'errors', of: 'errors', css: 'error'}], rate,
    ([r, e], [most]) => `now ${num(r ?? 0)} requests per second and ${num(e ?? 0)} errors per second; at most ${num(most)} requests per second`),
  chart('Queue', [{name: 'waiting', of: 'queue'}, {name: 'at members', of: 'busy'}], num,
    ([q, b], [most]) => `now ${num(q ?? 0)} waiting and ${num(b ?? 0)} at members; at most ${num(most)} waiting`),
  chart('Wait', [{name: 'p99', of: 'wait_ms'}], ms,
    ([w], [most]) => (w == null ? 'now nobody has had to wait' : `now 99 of 100 that wait do so for at most ${ms(w)}`) + `; longest ${ms(most)}`),
  chart('Latency', [{name: 'p50', of: 'p50_ms'}, {name: 'p90', of: 'p90_ms'}, {name: 'p99', of: 'p99_ms'}], ms,
    ([a, b, c]) => `now p50 ${ms(a)}, p90 ${ms(b)}, p99 ${ms(c)}`),
];

// ---- tables, of whose rows some open

let panels = 0;

// columns: [class, label, what(item)], what: [text, text below, …]; in a column `name` with panels the text is a button
// that shows or hides the row below, in `state` the third is its kind, and in others it is how much is used, of what.
// panel(): {nodes, update(item)}, made when a row is opened; changed(): one has been opened or closed.
function table(name, columns, panel, changed) {
  const body = el('tbody');
  const node = el('table', {class: name}, el('colgroup', null, ...columns.map(([css]) => el('col', {class: `c-${css}`}))),
    el('thead', null, el('tr', null, ...columns.map(([, label]) => el('th', {scope: 'col'}, label)))), body);
  const fill = list(body, () => tableRow(columns, panel, changed));
  return {node, body, fill};
}

function tableRow(columns, makePanel, changed) {
  const row = el('tr', {class: 'row'});
  let panel = null;
  let inside = null;
  let button = null;

  function opener() {
    const id = `panel-${++panels}`;
    const label = el('bdi');
    button = el('button', {type: 'button', class: 'open-row', 'aria-expanded': 'false', click: () => {
      if (!panel) {
        inside = makePanel();
        panel = el('tr', {class: 'panel', id}, el('td', {colspan: columns.length}, el('div', {class: 'panel-in'}, ...inside.nodes)));
        set(button, 'aria-controls', id);
      }
      const is = !row.classList.toggle('open');
      set(button, 'aria-expanded', !is);
      panel.hidden = is;
      changed();
    }}, svg('svg', {class: 'chevron', viewBox: '0 0 10 10', 'aria-hidden': 'true'}, svg('path', {d: 'M3 1 7 5 3 9'})), label);
    return {node: button, update: (text) => put(label, text)};
  }

  const cells = columns.map(([css, label, what]) => {
    const opens = css === 'name' && makePanel;
    const first = opens ? opener() : css === 'state' ? stateMark() : null;
    const main = el('div', null, first && first.node);
    const load = bar();
    const below = el('div');
    row.append(el('td', opens ? {class: 'indent'} : {'data-label': label, class: css === 'state' ? 'full' : ''}, main, load.node, below));
    return (item) => {
      const [text, more, part, of, kind] = what(item);
      if (!first) put(main, text);
      else if (opens) first.update(text);
      else first.update(part, text);
      load.update(first ? 0 : part, of, kind);
      put(below, more || '');
    };
  });
  return {
    isOpen: () => row.classList.contains('open'),
    nodes: () => (panel ? [row, panel] : [row]),
    update: (item) => {
      for (const update of cells) update(item);
      if (inside && !panel.hidden) inside.update(item);
    },
  };
}

const joined = (...parts) => parts.filter(Boolean).join(' · ');

function failureLines(parent) {
  const fill = texts(parent, 'li');
  return (of, failures) => fill((failures || []).map((f) => `${clock(of.stamp - f.ago_ms / 1000)}, ${ago(of, f)}`));
}

// When and why; `most`: in a table.
const ago = (of, f, most) => (f ? clip(`${age(since(of, f.ago_ms))} ago: ${f.why}`, most) : '');

const three = (p) => (!p || p.p50 == null ? null : `p50 ${ms(p.p50)}, p90 ${ms(p.p90)}, p99 ${ms(p.p99)}`);
const slowly = (m) => (m.share != null && m.share < 100 ? `${m.share} % of it by now` : '');

function memberPanel() {
  const about = el('dl', {class: 'facts'});
  const fill = facts(about);
  const failed = el('ul', {class: 'failures'});
  const fillFailed = failureLines(failed);
  const title = el('h4', null, 'Last failures');
  const buttons = steer(MEMBER_ACTIONS, 'Actions on this member');
  return {
    nodes: [about, el('div', null, title, failed), el('div', null, buttons.group, buttons.slot)],
    update: ({b, m}) => {
      fill([
        ['Address', m.address.length > CLIP ? m.address : null],
        ['Why', m.why && m.why.length > CLIP ? m.why : null],
        ['Configuration', configured(m.configured)],
        ['Now', joined(configured(m), slowly(m))],
        ['Where it is', (m.at || []).join(', ')],
        ['To the first byte', three(m.percentiles_ms)],
        ['Requests', int(m.requests)],
        ['Failures', int(m.failures)],
        ['Bytes', bytes(m.bytes)],
        ['Ejected for', m.ejected && m.ejected_for_ms != null ? `${age(m.ejected_for_ms - since(m, 0))} more` : null],
      ]);
      fillFailed(m, m.last_failures);
      show(title, m.last_failures && m.last_failures.length);
      buttons.update({b, m});
    },
  };
}

// What somebody has changed here, beside what the configuration says.
const changedHere = (m, name, say, before = '') => ((m.steered || []).includes(name) ? `${before}(configuration: ${say(m.configured[name])})` : '');

const MEMBER_COLUMNS = [
  ['name', 'Member', ({m}) => [m.address, joined(m.route && `route ${m.route}`, m.set && `set ${m.set}`, m.added && 'added here', m.supervised && 'supervised',
    m.at && m.at.length && `at ${m.at.join(', ')}`)]],
  ['state', 'State', ({m}) => [m.state, joined(m.why, changedHere(m, 'status', String, `status ${m.status} `)), m.kind]],
  ['busy', 'Busy', ({m}) => [m.concurrency ? `${int(m.busy)} of ${int(m.concurrency)}` : int(m.busy),
    joined(m.queued && `${int(m.queued)} waiting for it`, changedHere(m, 'concurrency', limit, `limit ${limit(m.concurrency)} `)),
    m.busy, m.concurrency, m.busy >= m.concurrency ? 'warn' : '']],
  ['weight', 'Weight', ({m}) => [share(m.weight), joined(changedHere(m, 'weight', share), slowly(m))]],
  ['latency', 'First byte', ({m}) => [ms(m.latency_ms), m.percentiles_ms && m.percentiles_ms.p99 != null && `p99 ${ms(m.percentiles_ms.p99)}`]],
  ['last', 'Failures', ({m}) => [int(m.failures), ago(m, m.last_failures && m.last_failures[0], 120)]],
];

const SORTS = {
  state: ['Trouble first', (a, b) => a.rank - b.rank || a.nr - b.nr],
  latency: ['Slowest first', (a, b) => (b.latency_ms ?? -1) - (a.latency_ms ?? -1) || a.nr - b.nr],
  busy: ['Busiest first', (a, b) => b.busy - a.busy || a.nr - b.nr],
  name: ['Name', (a, b) => names.compare(a.address, b.address)],
  order: ['As configured', (a, b) => a.nr - b.nr],
};
const names = new Intl.Collator('en', {numeric: true});
const FILTERS = {
  all: ['All', () => true],
  trouble: ['In trouble', (m) => m.kind === 'bad' || m.kind === 'warn'],
  changed: ['Changed here', (m) => m.added || (m.steered && m.steered.length > 0)],
};
for (const state of STATES) FILTERS[`is ${state}`] = [state, (m) => m.state === state];

function members(name) {
  const search = el('input', {type: 'search', placeholder: 'Filter by address, route, reason', 'aria-label': `Filter members of ${plain(name)}`, spellcheck: 'false'});
  const choose = (choices) => el('select', null, ...Object.entries(choices).map(([value, [label]]) => el('option', {value}, label)));
  const filter = choose(FILTERS);
  const sort = choose(SORTS);
  const count = el('span', {class: 'count'});
  const {node, body, fill} = table('members', MEMBER_COLUMNS, memberPanel, refresh);
  node.setAttribute('aria-label', `Members of ${plain(name)}`);
  const more = el('button', {type: 'button', class: 'more'});
  const empty = el('p', {class: 'quiet'}, 'No member is like that.');
  let pages = 1;
  let balancer = null;
  let parts = new Map();
  let used = 0;
  let order = [];

  // Rows do not run away from under a hand: while somebody is at them they stay in their order for a while.
  const touch = () => { used = Date.now(); };
  for (const event of ['pointermove', 'pointerdown', 'keydown', 'focusin']) body.addEventListener(event, touch);
  const held = () => Date.now() - used < 5000 && order.length > 0;

  const page = () => Math.max(10, Math.min(ROWS / 2, Math.floor(ROWS / model.balancers.size)));

  function chosen(most) {
    const text = search.value.trim().toLowerCase();
    const fits = FILTERS[filter.value][1];
    const all = [...balancer.members.entries()].map(([key, m]) => ({key, b: balancer, m}));
    const found = all.filter(({m}) => fits(m) && (!text || `${m.address} ${m.route || ''} ${m.state} ${m.why || ''} ${(m.at || []).join(' ')}`.toLowerCase().includes(text)));
    const compare = SORTS[sort.value][1];
    found.sort((x, y) => compare(x.m, y.m));
    const shown = found.slice(0, most);
    // one that is open stays, whatever becomes of it
    const has = new Set(shown.map((item) => item.key));
    for (const item of all) {
      const part = parts.get(item.key);
      if (part && part.isOpen() && !has.has(item.key)) shown.push(item);
    }
    if (held()) {
      const before = new Map(order.map((key, i) => [key, i]));
      shown.sort((x, y) => (before.get(x.key) ?? Infinity) - (before.get(y.key) ?? Infinity) || 0);
    }
    return {found: found.length, all: all.length, shown};
  }

  function refresh() {
    const most = pages * page();
    const {found, all, shown} = chosen(most);
    parts = fill(shown, (item) => item.key);
    order = shown.map((item) => item.key);
    show(node, shown.length);
    show(empty, !shown.length);
    put(count, found > most ? `${int(most)} of ${many(found, 'member')} shown` : found < all ? `${int(found)} of ${many(all, 'member')}` : many(all, 'member'));
    show(more, found > most);
    put(more, `Show ${int(Math.min(page(), found - most))} more`);
  }

  const anew = () => {
    used = 0;
    refresh();
  };
  search.addEventListener('input', () => {
    pages = 1;
    anew();
  });
  filter.addEventListener('change', anew);
  sort.addEventListener('change', anew);
  more.addEventListener('click', () => {
    pages++;
    anew();
  });
  const tools = el('div', {class: 'tools'}, search, el('label', null, 'Show', filter), el('label', null, 'Sort', sort), count);
  return {
    nodes: [tools, node, empty, more],
    update: (of) => {
      balancer = of;
      refresh();
    },
  };
}

// ---- applications

const INSTANCE_KINDS = named({ready: 'good', starting: 'warn', draining: 'off', stopping: 'off', killed: 'bad'});

function lines(title) {
  const pre = el('pre', {class: 'lines', tabindex: 0, role: 'group', 'aria-label': plain(title)});
  let had = null;
  return {
    node: pre,
    update: (of) => {
      const said = (of || []).map(plain).join('\n') || '(nothing yet)';
      if (said === had) return;
      // who has scrolled up goes on reading there
      const end = pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 4;
      pre.textContent = had = said;
      if (end) pre.scrollTop = pre.scrollHeight;
    },
  };
}

function instancePanel() {
  const about = el('dl', {class: 'facts'});
  const fill = facts(about);
  const output = lines('Last lines of output');
  const buttons = steer(INSTANCE_ACTIONS, 'Actions on this instance');
  return {
    nodes: [about, el('div', null, el('h4', null, 'Last lines of output'), output.node), el('div', null, buttons.group, buttons.slot)],
    update: ({app, i}) => {
      fill([['Address', i.address], ['Leaves because', i.leaves_because]]);
      output.update(i.last_lines);
      buttons.update({app, i});
    },
  };
}

const INSTANCE_COLUMNS = [
  ['name', 'Instance', ({i}) => [`Instance ${i.instance}`, i.pid ? `pid ${i.pid}` : 'no process']],
  ['state', 'State', ({i}) => [i.state, i.leaves_because, INSTANCE_KINDS[i.state] || 'warn']],
  ['age', 'Age', ({app, i}) => [age(since(app, i.age_ms))]],
  ['memory', 'Memory', ({i}) => [bytes(i.memory), i.memory_limit ? `limit ${bytes(i.memory_limit)}` : 'no limit', i.memory, i.memory_limit,
    i.memory > 0.9 * i.memory_limit ? 'bad' : i.memory > 0.75 * i.memory_limit ? 'warn' : '']],
  ['requests', 'Requests', ({i}) => [int(i.requests)]],
  ['last', 'Restarts', ({i}) => [int(i.restarts)]],
];

function application() {
  const title = el('h3');
  const state = stateMark();
  const about = el('span', {class: 'quiet small'});
  const buttons = steer(APP_ACTIONS, 'Actions on this application');
  const blocked = el('ul', {class: 'small quiet'});
  const fillBlocked = texts(blocked, 'li');
  const {node, fill} = table('instances', INSTANCE_COLUMNS, instancePanel, () => update(app));
  const ended = el('ul', {class: 'small quiet'});
  const fillEnded = texts(ended, 'li');
  const past = el('details', {class: 'figures'}, el('summary', null, 'Instances that have ended'), ended);
  const failure = el('summary');
  const output = lines('Last lines of the one that failed');
  const failed = el('details', {class: 'figures'}, failure, output.node);
  let app = null;
  const all = el('div', {class: 'sub application'}, el('div', {class: 'sub-head'}, title, state.node, about, buttons.group), buttons.slot, blocked, node, past, failed);
  function update(of) {
    app = of;
    const {ready} = complete(app);
    put(title, `Application ${app.name}`);
    set(node, 'aria-label', clip(`Instances of ${app.name}`));
    const [kind, word] = app.removed ? ['off', 'removed'] : app.failed ? ['bad', 'failed'] : app.rolling ? ['warn', 'being rolled'] : ready < app.wanted ? ['warn', 'not complete'] : ['good', 'running'];
    state.update(kind, word);
    put(about, `${ready} of ${many(app.wanted, 'instance')} ready · ${many(app.starts || 0, 'start')} · ${many(app.failures || 0, 'failure')}`);
    buttons.update(app);
    fillBlocked((app.blocked || []).map((b) => (typeof b === 'string' ? b : `${b.address} cannot be used: ${b.why}; again in ${ms(b.again_ms)}`)));
    show(blocked, app.blocked && app.blocked.length);
    show(node, app.instances && app.instances.length);
    fill((app.instances || []).map((i) => ({app, i})), ({i}) => i.instance);
    show(past, app.ended && app.ended.length);
    fillEnded((app.ended || []).map((e) => `${clock(app.stamp - e.ago_ms / 1000)}: instance ${e.instance}, pid ${e.pid}: ${e.why}`));
    const f = app.last_failure;
    show(failed, f);
    if (f) {
      put(failure, `Last failure: instance ${f.instance}, pid ${f.pid}, ${ago(app, f)}`);
      output.update(f.last_lines);
    }
  }
  return {nodes: () => [all], update};
}

// ---- a balancer

const ENDS = named({
  ok: 'ended well', 'no-member': 'no member to use', 'queue-full': 'queue full', 'queue-timeout': 'waited too long', 'client-queue-full': 'client has too many waiting',
  broken: 'connection broken', 'bad-answer': 'bad answer', timeout: 'member too slow', short: 'answer cut short', refused: 'refused', 'client-body': 'client\'s body', 'client-gone': 'client gone',
});

function figures() {
  const main = el('dl', {class: 'facts'});
  const fill = facts(main);
  const more = el('dl', {class: 'facts'});
  const fillMore = facts(more);
  const details = el('details', {class: 'figures'}, el('summary', null, 'All figures'), more);
  return {
    nodes: [main, details],
    update: ({own}) => {
      const q = own.queue || {};
      fill([
        ['Requests', int(own.requests)],
        ['Errors', `${int(own.errors)}${own.requests ? ` (${exact.format(100 * own.errors / own.requests)} %)` : ''}`],
        ['Waiting', `${int(q.length)}${q.limit ? ` of ${int(q.limit)}` : ''}${q.length ? `, the first for ${ms(q.head_age_ms)}` : ''}`],
        ['Wait, the last minute', three(q.wait_ms) || 'nobody had to'],
        ['Latency, the last minute', three(own.latency_ms) || '–'],
      ]);
      fillMore([
        ...Object.entries(own.answers || {}).map(([name, n]) => [name === 'none' ? 'No answer: client gone' : `Answers ${name}`, int(n)]),
        ...Object.entries(own.ends || {}).map(([name, n]) => [`End: ${ENDS[name] || name}`, int(n)]),
        ['Retries', int(own.retries)], ['Hedges', int(own.hedges)],
        ['Have had to wait', int(q.waited)], ['Queue places per client', q.per_client ? int(q.per_client) : null],
        ['Bytes from clients', bytes(own.bytes_in)], ['Bytes to clients', bytes(own.bytes_out)],
        ['Places for added members', own.places ? `${own.places.free} of ${own.places.all} free` : null],
        ['Counted since', own.reset_at ? clock(own.reset_at) : null],
      ]);
    },
  };
}

let sections = 0;

function balancerSection(first) {
  const sectionId = `balancer-${++sections}`;
  const title = el('h2', {id: `${sectionId}-title`});
  const method = el('span', {class: 'quiet'});
  const state = stateMark();
  const steered = el('span', {class: 'chip warn'});
  const buttons = steer(BALANCER_ACTIONS, 'Actions on this balancer');
  const charts = newCharts();
  const sums = figures();
  const rows = members(first.own.name);
  const apps = el('div');
  const fillApps = list(apps, application);
  const section = el('section', {class: 'card balancer', id: sectionId, 'aria-labelledby': `${sectionId}-title`},
    el('div', {class: 'card-head'}, title, method, el('div', {class: 'head-state'}, state.node, steered), buttons.group), buttons.slot,
    el('div', {class: 'charts'}, ...charts.map((c) => c.node)),
    el('div', {class: 'sub'}, ...sums.nodes),
    el('div', {class: 'sub'}, el('div', {class: 'sub-head'}, el('h3', null, 'Members')), ...rows.nodes), apps);
  return {
    id: sectionId,
    nodes: () => [section],
    update: (balancer) => {
      const one = judgements.get(balancer.key);
      put(title, balancer.own.name);
      put(method, balancer.own.method || '');
      const words = [one.count.good && `${one.count.good} up`, one.count.idle && `${one.count.idle} not in use`, one.count.warn && `${one.count.warn} not ready`,
        one.count.bad && `${one.count.bad} out of service`, one.count.off && `${one.count.off} draining or disabled`].filter(Boolean).join(', ');
      state.update(balancer.own.removed ? 'off' : LEVELS[one.level], balancer.own.removed ? 'removed from the configuration' : words || 'no members');
      show(steered, one.changed);
      put(steered, `${many(one.changed, 'member')} ${one.changed === 1 ? 'differs' : 'differ'} from the configuration`);
      buttons.update(balancer);
      for (const c of charts) c.update(balancer.history);
      sums.update(balancer);
      rows.update(balancer);
      fillApps((model.top.applications || []).filter((app) => app.balancer === balancer.own.name && !balancer.own.removed), (app) => keyOf(app.name, app.removed));
    },
  };
}

// ---- the page

let judgements = new Map();
let paused = false;
let saidLevel = null;

const server = id('server');
const link = stateMark();
id('link').append(link.node);

const verdictMark = svg('svg', {class: 'mark', viewBox: '0 0 12 12', 'aria-hidden': 'true'});
const verdictWord = el('strong');
const verdictList = el('ul');
const verdictBox = el('div', null, verdictMark, el('div', null, verdictWord, verdictList));
id('verdict').append(verdictBox);
const fillVerdict = texts(verdictList, 'li');

const fillAnswers = list(id('answers'), () => {
  const [question, answer, more] = [el('dt'), el('dd'), el('dd')];
  const node = el('div', null, question, answer, more);
  return {nodes: () => [node], update: ([q, a, m]) => {
    put(question, q);
    put(answer, clip(a, 120));
    put(more, clip(m, 200));
  }};
});

const fillSections = list(id('balancers'), balancerSection);

const fillJump = list(id('jump').querySelector('ul'), () => {
  const state = stateMark();
  const a = el('a', null, state.node);
  const node = el('li', null, a);
  return {nodes: () => [node], update: ({balancer, section}) => {
    const one = judgements.get(balancer.key);
    set(a, 'href', `#${section}`);
    const requests = last(balancer.history && balancer.history.requests);
    state.update(balancer.own.removed ? 'off' : LEVELS[one.level], clip(`${balancer.own.name}${requests == null ? '' : `, ${rate(requests)}`}`, 80));
  }};
});

const seatTable = table('seats', [
  ['pid', 'Process', (s) => [`pid ${s.pid}`]],
  ['old', 'Generation', (s) => [s.pid === model.top.control ? 'control process' : s.old ? 'earlier; finishes what it has' : 'current']],
  ...['Threads', 'Parked', 'Adopted', 'Lingering'].map((label) => ['count', label, (s) => [s[label.toLowerCase()] ?? '–']]),
]);
const ledger = stateMark('p');
const ledgerMore = el('p', {class: 'quiet small'});
id('processes').append(ledger.node, ledgerMore, el('div', {class: 'sub'}, seatTable.node));
seatTable.node.setAttribute('aria-label', 'Child processes of httpd');
const log = el('ol', {class: 'log'});
const noLog = el('p', {class: 'quiet'}, 'Nothing has been done here.');
const kept = el('p', {class: 'quiet small'});
id('events').append(log, noLog, kept);
const fillLog = list(log, () => {
  const [when, what, more] = [el('div', {class: 'quiet'}), el('div', {class: 'what'}), el('div', {class: 'quiet'})];
  const node = el('li', null, when, el('div', null, what, more));
  return {nodes: () => [node], update: (e) => {
    put(when, clock(e.time));
    put(what, `${e.action}${e.value != null ? ` ${e.value}` : ''}${e.target ? `: ${e.target}` : ''} (${e.balancer})`);
    put(more, `${e.who ? `${e.who} from ` : 'from '}${e.from}${e.reason ? `: “${e.reason}”` : ''}${e.result && e.result !== 'done' ? ` · ${e.result}` : ''}`);
  }};
});

function renderVerdict() {
  const {level, word, said} = verdict(judgements);
  const kind = LEVELS[level];
  if (verdictBox.className !== kind) verdictMark.replaceChildren(SHAPES[kind]());
  set(verdictBox, 'class', kind);
  put(verdictWord, word);
  fillVerdict(said.length > 8 ? [...said.slice(0, 7), `and ${said.length - 7} more`] : said);
  const title = `${word}: ${clip(model.top.server, 60)} – balancers`;
  if (document.title !== title) document.title = title;
  if (saidLevel !== level) announce(`${word}. ${clip(said[0])}`);
  saidLevel = level;
}

function render() {
  const {top} = model;
  judgements = new Map([...model.balancers].map(([key, balancer]) => [key, judge(balancer)]));
  put(server, `${top.server || ''}`);
  renderVerdict();
  fillAnswers(answers(judgements));
  const balancers = [...model.balancers.values()];
  const parts = fillSections(balancers, (balancer) => balancer.key);
  show(id('jump'), balancers.length > 1);
  fillJump(balancers.map((balancer) => ({balancer, section: parts.get(balancer.key).id})), ({balancer}) => balancer.key);
  ledger.update(top.check === 'ok' ? 'good' : 'bad', top.check === 'ok' ? 'Ledger check: ok' : `Ledger check: ${top.check}`);
  put(ledgerMore, `Counts made anew after a process died while counting: ${int(top.rebuilds)}. Control process: ${top.control ? `pid ${top.control}` : 'none'}.`);
  seatTable.fill(top.seats || [], (s) => `${s.seat} ${s.pid}`);
  const events = top.events || [];
  fillLog(events);
  show(noLog, !events.length);
  const s = top.steering;
  put(kept, !s ? '' : s.persist ? `What is changed here is kept in ${s.persist} when httpd is restarted.` : 'What is changed here is not kept when httpd is stopped.');
  show(id('refused'), s && !s.allowed);
  if (s && !s.allowed) put(id('refused'), `Nothing can be changed here: ${s.why_not || 'actions are refused'}`);
  put(id('foot'), `mod_appbalance ${top.module || ''} · ${s ? 'manager' : 'status: nothing can be changed here'} · times are this browser's`);
  for (const name of ['glance', 'processes', 'events']) show(id(name), true);
  show(id('loading'), false);
}

function renderLink() {
  const silent = Date.now() - (model.came || begun);
  const old = silent > OLD;
  if (paused) link.update('off', 'Paused');
  else if (old) link.update('bad', 'No connection');
  else if (source.live()) link.update('good', 'Live');
  else link.update(model.came ? 'idle' : 'warn', model.came ? 'Every 2 s' : 'Connecting');
  show(id('stale'), old);
  if (old) {
    put(id('stale'), `${model.came ? `No news from the server for ${age(silent)}; what is shown is from then.` : 'The server does not answer.'}${source.trouble() ? ` ${source.trouble()}` : ''}`);
  }
}

let asked = false;
function draw() {
  if (asked || paused || document.hidden) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    if (model.came) render();
    renderLink();
  });
}

// ---- where it comes from

const begun = Date.now();

const source = (() => {
  let stream = null;
  let heard = 0;        // when the stream last said something; 0: not yet
  let opened = 0;
  let closed = 0;
  let asking = null;
  let next = 0;         // when to ask next
  let why = '';

  function tell(message) {
    if (!take(message)) look();
    draw();
  }

  function end() {
    if (stream) stream.close();
    stream = null;
    heard = 0;
    closed = Date.now();
  }

  function begin() {
    end();
    const mine = stream = new EventSource('?as=stream');
    opened = Date.now();
    mine.addEventListener('message', (event) => {
      if (stream !== mine) return;
      let message;
      try {
        message = JSON.parse(event.data);
      } catch (error) {
        end();
        return;
      }
      // what comes next is said on top of a whole; without one it means nothing
      if (message.whole === false && !heard) return;
      heard = Date.now();
      why = '';
      tell(message);
    });
    mine.addEventListener('error', () => {
      if (stream !== mine) return;
      heard = 0;
      // refused; otherwise the browser tries again by itself
      if (mine.readyState === EventSource.CLOSED) end();
      tick();
    });
  }

  async function look() {
    if (asking) return asking;
    const from = Date.now();
    asking = (async () => {
      try {
        const answer = await fetch('?as=json', {headers: {Accept: 'application/json'}, signal: AbortSignal.timeout(SILENCE)});
        if (!answer.ok) throw new Error(`The server answers ${answer.status} ${answer.statusText}.`);
        const message = await answer.json();
        why = '';
        // what the stream has said since then holds; the token is as new as the session
        if (heard && message.time < model.top.time) model.top.steering = message.steering;
        else take(message);
        draw();
      } catch (error) {
        why = error.message.startsWith('The server') ? error.message : '';
      } finally {
        asking = null;
        // a large answer is not asked for all the time
        next = Date.now() + Math.max(POLL, 4 * (Date.now() - from));
      }
    })();
    return asking;
  }

  function tick() {
    const at = Date.now();
    if (stream && heard && at - heard > SILENCE) end();
    if (stream && !heard && at - opened > SILENCE) end();
    if (!stream && (!closed || at - closed > AGAIN)) begin();
    if (!heard && at >= next && (!stream || at - opened > FIRST)) look();
    draw();
    renderLink();
  }

  return {tick, look, live: () => heard > 0, trouble: () => why};
})();

id('pause').addEventListener('click', () => {
  paused = !paused;
  set(id('pause'), 'aria-pressed', String(paused));
  renderLink();
  draw();
});
document.addEventListener('visibilitychange', draw);
setInterval(source.tick, 1000);
source.tick();

})();
