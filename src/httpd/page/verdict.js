/* SPDX-License-Identifier: Apache-2.0
 *
 * What to make of it: is it healthy, who is slow, is anybody queueing, what was restarted and why.
 */
'use strict';

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
