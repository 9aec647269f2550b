/* SPDX-License-Identifier: Apache-2.0
 *
 * An application and its instances.
 */
'use strict';

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
