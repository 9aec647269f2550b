/* SPDX-License-Identifier: Apache-2.0
 *
 * A balancer: its charts and figures, its members and applications.
 */
'use strict';

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
