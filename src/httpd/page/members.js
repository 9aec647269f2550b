/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables, of whose rows some open, and the members of a balancer in one.
 */
'use strict';

const ROWS = 100;           // members shown at first, of all balancers; of one at most half of them, and at least ten

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
