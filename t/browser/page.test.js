// The manager's page, in a browser, against the server of mock.js. Run by t/112-page.t; alone: node page.test.js [WORD …]
// SPDX-License-Identifier: Apache-2.0
'use strict';
const {test, run, until, open, close, faults, sideways, text, says, assert, SECOND} = require('./harness.js');
const {start, HOSTILE, trouble} = require('./mock.js');

// A server whose seconds the test counts, and its page, with the stream running.
async function both(o = {}, how = {}) {
  const mock = await start({every: 0, calm: true, ...o});
  if (o.prepare) o.prepare(mock.data);
  const page = await open(mock.url + (how.query || ''), how);
  if (how.script !== false) await page.getByText(how.link || 'Live', {exact: true}).waitFor();
  return {mock, page, end: async (allow) => {
    await close(page, {allow});
    await mock.stop();
  }};
}

const shop = (page) => page.locator('section.balancer').first();
const rowOf = (page, address) => page.locator('tr.row', {has: page.getByRole('button', {name: address, exact: true})});
const panelOf = (page, address) => rowOf(page, address).locator('xpath=following-sibling::tr[1]');
const verdict = (page) => page.locator('#verdict strong');

async function openMember(page, address) {
  await page.getByRole('button', {name: address, exact: true}).click();
  return panelOf(page, address);
}

test('it comes with nothing inline and nothing from elsewhere, wherever it is', async () => {
  for (const query of ['', '?as=html', '/']) {
    const {page, end} = await both({}, {query});
    const inline = await page.evaluate(() => [...document.querySelectorAll('[style], style, script:not([src])')].map((node) => node.outerHTML));
    assert.deepEqual(inline, [], 'nothing is inline');
    assert.equal(await shop(page).locator('tr.row').count(), 12);
    await end();
  }
});

test('it shows what is known of balancers, members, instances, processes', async () => {
  const {mock, page, end} = await both({trouble: true});
  await says(page.locator('#glance'), /Degraded shop: 2 of 12 members out of service/);
  await says(page.locator('#glance'), /queueing\? 14 requests waiting the first for 380 ms; most of them for shop/);
  await says(page.locator('#glance'), /slow\? http:\/\/10\.0\.0\.4:8080: 412 ms to the first byte/);
  await says(page.locator('#glance'), /restarted, and why\? .*orders 2 of api, 88 min ago: signal 9 \(out of memory\)/);
  const [away] = mock.data.balancers[0].members.filter((m) => m.away);
  await says(rowOf(page, away.address), /route r5 .*away cannot connect: Connection refused, for 12 s .*0 of 16 .* 31 \d s ago: cannot connect/);
  await says(rowOf(page, 'http://10.0.0.2:8080'), /2 \(configuration: 1\)/);
  await says(rowOf(page, 'http://10.0.0.11:8080'), /full .*16 of 16 3 waiting for it/);
  await says(await openMember(page, away.address), /p50 9\.1 ms, p90 22 ms, p99 64 ms .*Last failures \d\d:\d\d:\d\d, \d+ s ago: cannot connect: Connection refused \d\d:\d\d:\d\d, \d+ s ago: the connection broke/);
  await says(shop(page), /Requests 1,284,311 Errors 97 \(0\.008 %\) Waiting 14 of 1,000, the first for 380 ms .*p50 120 ms, p90 310 ms, p99 372 ms .*p50 10 ms, p90 24 ms, p99 72 ms/);
  await says(shop(page), /2 members differ from the configuration/);
  await says(rowOf(page, 'Instance 3'), /pid 4103 ready .*371 MB limit 400 MB 18,293 0/);
  await says(rowOf(page, 'Instance 2'), /88 min .* 18,262 1/);
  await says(await openMember(page, 'Instance 2'), /listening on port 9002 GET \/orders 200 12 ms/);
  await says(page.locator('#processes'), /Ledger check: ok .*pid 3101 current 64 0 14 0 pid 3102 current 64 2 11 1 pid 2988 earlier; finishes what it has/i);
  await says(page.locator('#events'), /drain: http:\/\/10\.0\.0\.10:8080 \(shop\) admin from 10\.0\.0\.7: “disk change”/);
  await says(page.locator('#events'), /kept in \/var\/lib\/appbalance\/steering/);
  await page.getByText('All figures').first().click();
  await says(shop(page), /Answers 5xx 81 .*End: waited too long 4 .*Retries 118/);
  assert.match(await page.title(), /^Degraded: front-1\.example\.net/);
  await end();
});

test('what is wrong first is said first: the ledger, an application, no member', async () => {
  const {mock, page, end} = await both();
  assert.equal(await verdict(page).innerText(), 'Healthy');
  mock.data.check = 'lane 3: 2 waiters, 1 counted';
  mock.tick();
  await says(page.locator('#verdict'), /In trouble The ledger check has found an error, please report it: lane 3/);
  mock.data.check = 'ok';
  Object.assign(mock.data.applications[0], {failed: true});
  mock.tick();
  await says(page.locator('#verdict'), /In trouble Application orders of api has failed: signal 9/);
  mock.data.applications[0].failed = false;
  for (const m of mock.data.balancers[1].members) Object.assign(m, {state: 'away', away: true});
  mock.tick();
  await says(page.locator('#verdict'), /In trouble api: no member can be used api: 3 of 3 members out of service/);
  await end();
});

test('a member goes down and comes back', async () => {
  const {mock, page, end} = await both();
  const m = mock.data.balancers[0].members[8];
  await says(rowOf(page, m.address), / up /);
  Object.assign(m, {state: 'away', away: true, why: 'cannot connect: Connection refused, for 1 s', failures: 1, last_failures: [{ago_ms: 20, why: 'cannot connect: Connection refused'}]});
  mock.tick();
  await says(rowOf(page, m.address), /away cannot connect: Connection refused, for 1 s/);
  await until('it is the first row', async () => (await shop(page).locator('tr.row').first().innerText()).includes(m.address));
  assert.equal(await verdict(page).innerText(), 'Degraded');
  await says(page.locator('#announce'), /Degraded\. shop: 1 of 12 members out of service/);
  Object.assign(m, {state: 'up', away: false, why: null});
  mock.tick();
  await says(rowOf(page, m.address), / up /);
  await until('healthy again', async () => (await verdict(page).innerText()) === 'Healthy');
  await says(rowOf(page, m.address), /1 \d s ago: cannot connect/);
  await end();
});

test('charts change, and say their values in words', async () => {
  const {mock, page, end} = await both({calm: false});
  const charts = shop(page).locator('svg.plot');
  assert.equal(await charts.count(), 4);
  const state = () => charts.evaluateAll((all) => all.map((node) => ({label: node.getAttribute('aria-label'), role: node.getAttribute('role'), lines: [...node.querySelectorAll('.line')].map((line) => line.getAttribute('d') || '')})));
  const before = await state();
  assert.deepEqual(before.map((c) => [c.role, c.lines.length]), [['img', 2], ['img', 2], ['img', 1], ['img', 3]]);
  for (let i = 0; i < 10; i++) mock.tick();
  const h = mock.data.balancers[0].history;
  const tenth = (v) => (v < 10 ? Math.round(v * 10) / 10 : Math.round(v));
  await until('the newest requests', async () => (await state())[0].label.includes(`now ${tenth(h.requests.at(-1))} requests per second and`));
  const after = await state();
  after.forEach((c, i) => assert.notEqual(c.lines.join(), before[i].lines.join(), `chart ${i} has changed`));
  assert.match(after[3].label, /^Latency, the last 10 min: now p50 [\d.]+ ms, p90 [\d.]+ ms, p99 [\d.]+ ms$/);
  assert.match(after[1].label, /^Queue, the last 10 min: now \d+ waiting and \d+ at members/);
  assert.equal(after[0].lines[0].split('L').length, 120, 'as many steps as there are, none twice');
  // an answer in between that knows more than the stream has said: no step is there twice
  const asked = mock.asked.json || 0;
  for (const time = mock.data.time; mock.data.time < time + 12; mock.data.time++) mock.live();
  mock.fail = {status: 409, error: 'ABL0412', message: 'not now'};
  await shop(page).getByRole('button', {name: 'Reset statistics'}).click();
  await shop(page).getByRole('button', {name: 'Confirm'}).click();
  await says(shop(page), /not now/);
  await until('it has asked', async () => mock.asked.json > asked && (await state())[0].label.includes(`now ${tenth(h.requests.at(-1))} requests`));
  for (let i = 0; i < 5; i++, mock.data.time++) mock.live();    // one more step, which only the stream will have
  mock.calm = true;
  mock.data.balancers[0].members[0].busy = 15;
  mock.tick();
  await says(rowOf(page, 'http://10.0.0.1:8080'), /15 of 16/);
  const joined = await state();
  await page.reload();
  await page.getByText('Live', {exact: true}).waitFor();
  assert.deepEqual((await state()).map((c) => c.lines), joined.map((c) => c.lines), 'as it comes as a whole');
  await charts.first().hover({position: {x: 5, y: 20}});
  await until('the value under the pointer', async () => (await text(shop(page).locator('.chart').first())).includes(`requests ${tenth(h.requests[2])}/s`));
  await end(/409/);
});

test('a member is drained with the keyboard alone', async () => {
  const {mock, page, end} = await both();
  const focus = () => page.evaluate(() => document.activeElement.innerText || document.activeElement.name || document.activeElement.tagName);
  const tabTo = async (name) => {
    for (let i = 0; i < 80; i++) {
      if ((await focus()).trim() === name) return;
      await page.keyboard.press('Tab');
    }
    assert.fail(`cannot be reached with Tab: ${name}; at ${await focus()}`);
  };
  const address = mock.data.balancers[0].members[2].address;
  await tabTo(address);
  await page.keyboard.press('Enter');
  await tabTo('Drain');
  await page.keyboard.press('Enter');
  const form = panelOf(page, address).locator('form');
  await says(form, new RegExp(`${address} gets only requests whose affinity names it`));
  assert.equal(await focus(), 'reason', 'the first field has the focus');
  await page.keyboard.type('not this one');
  await page.keyboard.press('Escape');
  await form.waitFor({state: 'detached'});
  assert.equal(await focus(), 'Drain', 'Esc goes back to the button');
  assert.equal(mock.posts.length, 0, 'and sends nothing');
  await page.keyboard.press('Enter');
  await page.keyboard.type('disk change');
  await tabTo('Confirm');
  await page.keyboard.press('Enter');
  await says(panelOf(page, address), /drain: done for/);
  assert.equal(await focus(), 'Drain', 'the focus is where it was');
  assert.deepEqual(mock.posts.map((p) => p.body), [{action: 'drain', balancer: 'shop', member: address, reason: 'disk change'}]);
  assert.equal(mock.posts[0].url, '/balancer-manager');
  assert.equal(mock.posts[0].headers['content-type'], 'application/json');
  await says(rowOf(page, address), /draining drained by admin from 127\.0\.0\.1: disk change · status drain \(configuration: on\)/);
  await says(page.locator('#announce'), /drain: done for/);
  await tabTo('Enable');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  await says(rowOf(page, address), / up /);
  assert.equal(await page.locator('form').count(), 0);
  await end();
});

test('each action is confirmed, and says what it is about', async () => {
  const {mock, page, end} = await both();
  const [one, two] = mock.data.balancers[0].members.map((m) => m.address);
  const m = {balancer: 'shop', member: one};
  const doIt = async (where, label, fields, body, done) => {
    await where.getByRole('button', {name: label, exact: true}).click();
    const form = where.locator('form');
    for (const [name, value] of Object.entries(fields)) await form.locator(`[name="${name}"]`).fill(value);
    const count = mock.posts.length;
    assert.ok((await form.locator('p').innerText()).length > 20, `${label}: a sentence says what will happen`);
    await form.getByRole('button', {name: 'Confirm'}).click();
    await form.waitFor({state: 'detached'});
    assert.deepEqual(mock.posts.slice(count).map((p) => p.body), [body], label);
    assert.equal(mock.posts[count].headers['x-balancer-token'], 'token-1');
    await says(page.locator('body'), done);
  };
  const panel = await openMember(page, one);
  await doIt(panel, 'Disable', {reason: 'why'}, {action: 'disable', ...m, reason: 'why'}, /disabled by admin from 127\.0\.0\.1: why/);
  await doIt(panel, 'Enable', {}, {action: 'enable', ...m}, /enable: done for/);
  await doIt(panel, 'Weight …', {value: '2.5'}, {action: 'weight', ...m, value: 2.5}, /2\.5 \(configuration: 1\)/);
  await doIt(panel, 'Concurrency …', {value: '4'}, {action: 'concurrency', ...m, value: 4}, /limit 4 \(configuration: 16\)/);
  await doIt(panel, 'Restore', {}, {action: 'restore', ...m}, /restore: done for/);
  await until('nothing to restore', async () => !/\(configuration/.test(await text(rowOf(page, one))));
  await doIt(panel, 'Eject …', {value: '90'}, {action: 'eject', ...m, value: 90}, /Ejected for 90 s more/);
  await doIt(panel, 'Return', {}, {action: 'return', ...m}, /return: done for/);
  const added = 'http://10.9.9.9:80';
  await doIt(shop(page), 'Add member …', {member: added, weight: '3'}, {action: 'add', balancer: 'shop', member: added, weight: 3}, /added here/);
  const gone = await openMember(page, added);
  await gone.getByRole('button', {name: 'Remove'}).click();
  await gone.getByRole('button', {name: 'Confirm'}).click();
  await rowOf(page, added).waitFor({state: 'detached'});
  assert.deepEqual(mock.posts.at(-1).body, {action: 'remove', balancer: 'shop', member: added});
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H2', 'the focus goes to the section of what is gone');
  assert.equal(await (await openMember(page, two)).getByRole('button', {name: 'Remove'}).count(), 0, 'what is configured cannot be removed');
  await doIt(shop(page), 'Reset statistics', {}, {action: 'reset', balancer: 'shop'}, /reset: done for shop/);
  await says(shop(page), /Requests 0 Errors 0/);
  const instance = await openMember(page, 'Instance 1');
  await doIt(instance, 'Restart', {reason: 'leaks'}, {action: 'restart', balancer: 'api', application: 'orders', instance: 1, reason: 'leaks'}, /restart: done for/);
  await says(page.locator('#glance'), /restarted, and why\? .*orders 1 of api, \d+ s ago: restarted by hand/);
  await end();
});

test('an application is rolled, and it is seen', async () => {
  const {mock, page, end} = await both();
  const app = page.locator('.application');
  await says(app, /Application orders running 3 of 3 instances ready/);
  await app.getByRole('button', {name: 'Roll'}).click();
  await app.locator('[name="reason"]').fill('new release');
  await app.getByRole('button', {name: 'Confirm'}).click();
  await says(app, /being rolled 0 of 3 instances ready/);
  assert.deepEqual(mock.posts.map((p) => p.body), [{action: 'roll', balancer: 'api', application: 'orders', reason: 'new release'}]);
  await says(page.locator('#glance'), /Being rolled: orders/);
  await says(rowOf(page, 'Instance 3'), /pid 4203 starting/);
  for (let i = 0; i < 3; i++) mock.tick();
  await says(app, /running 3 of 3 instances ready/);
  await says(rowOf(page, 'Instance 3'), /ready .* 1$/);
  await says(page.locator('#glance'), /restarted, and why\? 3 instances in the last hour orders 1 of api, \d s ago: rolling restart/);
  await app.getByText('Instances that have ended').click();
  await says(app, /instance 3, pid 4103: rolling restart \d\d:\d\d:\d\d: instance 2, pid 4090: signal 9/);
  await says(page.locator('#events'), /roll: orders \(api\) admin from 127\.0\.0\.1: “new release”/);
  await end();
});

test('what the server refuses is said in place, and can be tried again', async () => {
  const {mock, page, end} = await both();
  const address = mock.data.balancers[0].members[0].address;
  const panel = await openMember(page, address);
  await panel.getByRole('button', {name: 'Drain'}).click();
  await panel.locator('[name="reason"]').fill('kept');
  const confirm = panel.getByRole('button', {name: 'Confirm'});
  mock.fail = {status: 409, error: 'ABL0412', message: 'not now'};
  await confirm.click();
  await says(panel.locator('.result'), /^Drain failed: not now \(ABL0412\)$/);
  mock.fail = '<h1>Forbidden</h1>';
  await confirm.click();
  await says(panel.locator('.result'), /^Drain failed: The server answered 403 Forbidden$/);
  mock.fail = null;
  mock.data.steering = {...mock.data.steering, token: 'token-2'};
  await confirm.click();
  await says(panel.locator('.result'), /the token is not this session's \(ABL0403\)/);
  assert.equal(await panel.locator('[name="reason"]').inputValue(), 'kept', 'what was written is still there');
  await until('the new token is used', async () => {
    if (await confirm.count()) await confirm.click({timeout: 500});
    return /drain: done for/.test(await text(panel));
  });
  assert.equal(mock.posts.at(-1).headers['x-balancer-token'], 'token-2');
  await page.route('**/balancer-manager', (route) => route.abort());
  await panel.getByRole('button', {name: 'Enable'}).click();
  await confirm.click();
  await says(panel.locator('.result'), /^Enable failed: No answer from the server .* it is not known whether this was done$/);
  await end(/Failed to load resource/);
});

test('a value that cannot be is not sent', async () => {
  const {mock, page, end} = await both();
  const panel = await openMember(page, mock.data.balancers[0].members[0].address);
  const valid = (name) => panel.locator(`[name="${name}"]`).evaluate((input) => input.checkValidity());
  await panel.getByRole('button', {name: 'Weight …'}).click();
  for (const value of ['0', '100.5', '']) {
    await panel.locator('[name="value"]').fill(value);
    await panel.getByRole('button', {name: 'Confirm'}).click();
    assert.equal(await valid('value'), false, `weight '${value}'`);
  }
  await panel.locator('[name="value"]').fill('0.01');
  await panel.locator('[name="reason"]').fill('ä'.repeat(101));
  await panel.getByRole('button', {name: 'Confirm'}).click();
  assert.equal(await valid('reason'), false, 'more than 200 bytes');
  assert.equal(mock.posts.length, 0, 'nothing was sent');
  await panel.locator('[name="reason"]').fill('ä'.repeat(100));
  await panel.getByRole('button', {name: 'Confirm'}).click();
  await says(panel, /weight: done/);
  await end();
});

test('without steering there are no actions; where they are refused it says why', async () => {
  const actions = /^(Drain|Disable|Weight …|Roll|Restart|Reset statistics|Add member …|Eject …)$/;
  const {mock, page, end} = await both({prepare: (data) => { data.steering = null; }});
  const address = mock.data.balancers[0].members[0].address;
  await openMember(page, address);
  await openMember(page, 'Instance 1');
  assert.equal(await page.getByRole('button', {name: actions}).count(), 0);
  assert.equal(await page.locator('#refused').isVisible(), false);
  await says(page.locator('footer'), /nothing can be changed here/);
  mock.data.steering = {allowed: false, token: null, why_not: 'there is no access control at this URL', persist: null};
  mock.cut();
  await says(page.locator('#refused'), /Nothing can be changed here: there is no access control at this URL/);
  assert.equal(await page.getByRole('button', {name: actions}).count(), 0);
  mock.data.steering = {allowed: true, token: 't', why_not: null, persist: null};
  mock.cut();
  await page.getByRole('button', {name: 'Drain'}).waitFor();
  assert.equal(await page.locator('#refused').isVisible(), false);
  await says(page.locator('#events'), /What is changed here is not kept/);
  await end(/Failed to load|ERR_/);
});

test('without a stream it asks, and tries the stream again', async () => {
  const {mock, page, end} = await both({prepare: () => {}}, {link: 'Live'});
  await end();
  const other = await start({every: 0, calm: true});
  other.refuseStream = true;
  const asking = await open(other.url, {before: (p) => p.clock.install()});
  const second = () => asking.clock.runFor(1000);
  await until('it asks', async () => {
    await second();
    return (await text(asking.locator('#link'))) === 'Every 2 s';
  });
  assert.equal(other.asked.stream, 1);
  Object.assign(other.data.balancers[0].members[0], {state: 'disabled', status: 'disabled'});
  other.tick();
  await until('the change is there', async () => {
    await second();
    return /disabled/.test(await text(rowOf(asking, 'http://10.0.0.1:8080')));
  });
  let started = 0;
  let finished = 0;
  asking.on('request', (request) => { started += request.url().endsWith('json'); });
  asking.on('requestfinished', (request) => { finished += request.url().endsWith('json'); });
  const before = other.asked.json;
  // in small steps: while an answer is on its way, the page's time does not stand still
  for (let i = 0; i < 80; i++) {
    await asking.clock.runFor(100);
    await until('all is answered', () => started === finished);
    await asking.evaluate(() => fetch('?as=css'));    // and the page has had the time to look at it
  }
  assert.ok(other.asked.json - before <= 5, `every 2 s, not more often: ${other.asked.json - before} in 8 s`);
  assert.ok(other.asked.json > before, 'it goes on asking');
  other.refuseStream = false;
  await until('live', async () => {
    await second();
    return (await text(asking.locator('#link'))) === 'Live';
  });
  assert.equal(other.asked.stream, 2, 'the stream was tried again once');
  const then = other.asked.json;
  for (let i = 0; i < 8; i++) {
    other.tick();
    await second();
  }
  assert.equal(other.asked.json, then, 'and then it asks no more');
  await close(asking, {allow: /503/});
  await other.stop();
});

test('a stream that says nothing is not waited for', async () => {
  const mock = await start({every: 0, calm: true});
  mock.mute = true;
  const page = await open(mock.url, {before: (p) => p.clock.install()});
  const second = () => page.clock.runFor(1000);
  await until('rows are there all the same', async () => {
    await second();
    return (await shop(page).locator('tr.row').count()) === 12;
  });
  await until('it is given up', async () => {
    await second();
    return mock.streams.size === 0;
  });
  mock.mute = false;
  await until('live', async () => {
    await second();
    return (await text(page.locator('#link'))) === 'Live';
  });
  mock.mute = true;    // 15 s without an event
  for (let i = 0; i < 12; i++) await second();
  assert.equal(mock.streams.size, 1, 'for a while it waits');
  const asked = mock.asked.json;
  await until('it asks', async () => {
    await second();
    return mock.asked.json > asked;
  });
  assert.equal(mock.streams.size, 0);
  await close(page);
  await mock.stop();
});

test('a server that is gone is said, and taken up again', async () => {
  const mock = await start({every: 0, calm: true});
  const page = await open(mock.url, {before: (p) => p.clock.install()});
  const second = () => page.clock.runFor(1000);
  await until('live', async () => {
    await second();
    return (await text(page.locator('#link'))) === 'Live';
  });
  assert.equal(await page.locator('#stale').isVisible(), false);
  mock.refuseAll = true;
  mock.cut();
  await until('it says so', async () => {
    await second();
    return /^No news from the server for \d+ s; what is shown is from then/.test(await text(page.locator('#stale')));
  });
  assert.equal(await text(page.locator('#link')), 'No connection');
  mock.refuseAll = false;
  await until('it is back', async () => {
    await second();
    return !(await page.locator('#stale').isVisible());
  });
  await close(page, {allow: /Failed to load resource|ERR_/});
  await mock.stop();
});

test('focus, what is written, and what is open outlive changes', async () => {
  const {mock, page, end} = await both({calm: false, trouble: true});
  const address = 'http://10.0.0.6:8080';
  const panel = await openMember(page, address);
  await page.getByText('All figures').first().click();
  await panel.getByRole('button', {name: 'Weight …'}).click();
  const reason = panel.locator('[name="reason"]');
  await reason.fill('half a sen');
  await reason.evaluate((input) => {
    window.mine = input;
    input.setSelectionRange(2, 5);
  });
  for (let i = 0; i < 12; i++) {
    mock.data.balancers[0].members.at(-1).state = i % 2 ? 'up' : 'away';
    if (i === 6) mock.data.balancers[0].members.shift();    // all is sent anew
    mock.tick();
  }
  await until('the last of it is there', async () => !(await page.getByRole('button', {name: 'http://10.0.0.1:8080', exact: true}).count()));
  await until('the time, too', async () => (await rowOf(page, 'http://10.0.0.12:8080').locator('.state').innerText()) === 'up');
  assert.deepEqual(await page.evaluate(() => [document.activeElement === window.mine, window.mine.isConnected, window.mine.value, window.mine.selectionStart, window.mine.selectionEnd]), [true, true, 'half a sen', 2, 5]);
  assert.equal(await page.locator('details[open]').count(), 1);
  // its own row goes to the top as soon as nobody has been at it for a while
  Object.assign(mock.data.balancers[0].members.find((m) => m.address === address), {state: 'away', away: true});
  mock.tick();
  await until('it is above', async () => {
    mock.tick();
    return shop(page).locator('.members tbody').evaluate((body) => [...body.querySelectorAll('tr.row')].findIndex((row) => row.innerText.includes('10.0.0.6:')) === 1);
  });
  assert.equal(await page.evaluate(() => document.activeElement === window.mine), true);
  await end();
});

test('only what has changed is touched', async () => {
  const {mock, page, end} = await both();
  await page.evaluate(() => {
    window.touched = [];
    new MutationObserver((all) => {
      for (const one of all) window.touched.push((one.target.closest ? one.target : one.target.parentNode).closest('tr')?.innerText.split('\n')[0] || one.target.nodeName);
    }).observe(document.getElementById('balancers'), {subtree: true, childList: true, characterData: true, attributes: true});
  });
  mock.data.balancers[0].members[5].busy = 13;
  mock.tick();
  await says(rowOf(page, 'http://10.0.0.6:8080'), /13 of 16/);
  const touched = [...new Set(await page.evaluate(() => window.touched))].filter((name) => !/^Instance/.test(name));
  assert.deepEqual(touched, ['http://10.0.0.6:8080']);
  await end();
});

test('members are found, sorted and filtered', async () => {
  const {mock, page, end} = await both({trouble: true});
  const first = () => shop(page).locator('tr.row').first().innerText();
  const shown = () => shop(page).locator('.members tr.row').count();
  const [filter, sort] = [shop(page).getByRole('combobox', {name: 'Show'}), shop(page).getByRole('combobox', {name: 'Sort'})];
  assert.match(await first(), /10\.0\.0\.5:/);
  await sort.selectOption('latency');
  await until('the slowest first', async () => /10\.0\.0\.4:/.test(await first()));
  await sort.selectOption('busy');
  await until('the busiest first', async () => /10\.0\.0\.11:/.test(await first()));
  await sort.selectOption('name');
  await until('by name, as numbers', async () => /10\.0\.0\.1:/.test(await first()));
  await filter.selectOption('trouble');
  await until('those in trouble', async () => (await shown()) === 2);
  await filter.selectOption('is ejected');
  await until('one state', async () => (await shown()) === 1 && /10\.0\.0\.8:/.test(await first()));
  await filter.selectOption('changed');
  await until('those changed here', async () => (await shown()) === 2);
  await filter.selectOption('all');
  await shop(page).getByRole('searchbox').fill('REFUSED');
  await until('by why', async () => (await shown()) === 1 && /10\.0\.0\.5:/.test(await first()));
  await says(shop(page).locator('.count'), /1 of 12 members/);
  await shop(page).getByRole('searchbox').fill('nobody is called so');
  await says(shop(page), /No member is like that/);
  await shop(page).getByRole('searchbox').fill('10.0.0.9:');
  await until('by address', async () => (await shown()) === 1);
  // one that is open stays, though it fits no more
  await filter.selectOption('is up');
  const panel = await openMember(page, 'http://10.0.0.9:8080');
  await panel.getByRole('button', {name: 'Disable'}).click();
  await panel.getByRole('button', {name: 'Confirm'}).click();
  await says(panel, /disable: done/);
  await says(rowOf(page, 'http://10.0.0.9:8080'), /disabled/);
  assert.equal(mock.posts.length, 1);
  await end();
});

test('members and balancers come and go', async () => {
  const {mock, page, end} = await both();
  const {members} = mock.data.balancers[0];
  members.push({...members[0], address: 'http://10.1.1.1:80', route: 'new'});
  mock.tick();
  await rowOf(page, 'http://10.1.1.1:80').waitFor();
  members.splice(0, 1);
  mock.tick();
  await rowOf(page, 'http://10.0.0.1:8080').waitFor({state: 'detached'});
  // a removed one and its successor of the same address are two
  members.unshift({...members[0], state: 'removed', removed: true, why: 'no longer configured'});
  mock.tick();
  await until('both', async () => (await shop(page).getByRole('button', {name: members[0].address, exact: true}).count()) === 2);
  mock.data.balancers.pop();
  mock.tick();
  await until('one balancer', async () => (await page.locator('section.balancer').count()) === 1);
  assert.equal(await page.locator('#jump').isVisible(), false);
  // something unknown in a part: all is asked for
  const asked = mock.asked.json || 0;
  for (const {response} of mock.streams) response.write(`data: ${JSON.stringify({whole: false, time: mock.data.time, balancers: [{...mock.data.balancers[0], name: 'never seen', members: []}]})}\n\n`);
  await until('it asks', () => (mock.asked.json || 0) > asked);
  await until('and knows better', async () => (await page.locator('section.balancer').count()) === 1);
  await end();
});

test('10,000 members are there within a second', async () => {
  const {mock, page, end} = await both({members: 10000}, {before: (p) => p.addInitScript(() => {
    const look = new MutationObserver(() => {
      if (document.querySelectorAll('.members tr.row').length < 50) return;
      look.disconnect();
      // painted, and the thread is free for whoever clicks
      requestAnimationFrame(() => setTimeout(() => { window.rowsAt = performance.now(); }));
    });
    look.observe(document, {childList: true, subtree: true});
  })});
  // the best of a few: others may be busy on this machine, but not in each of them
  const times = [];
  for (let i = 0; i < 5 && !(times.at(-1) < SECOND); i++) {
    if (i) await page.reload();
    times.push(Math.round(await until('rows', () => page.evaluate(() => window.rowsAt))));
  }
  console.log(`# ${times.join(', ')} ms`);
  assert.ok(times.at(-1) < SECOND, `after ${times.join(', ')} ms`);
  assert.equal(await shop(page).locator('.members tr.row').count(), 50);
  await says(shop(page), /50 of 10,000 members shown/);
  await shop(page).getByRole('button', {name: 'Show 50 more'}).click();
  await until('more', async () => (await shop(page).locator('.members tr.row').count()) === 100);
  const last = mock.data.balancers[0].members[9999];
  await shop(page).getByRole('searchbox').fill(last.address);
  await rowOf(page, last.address).waitFor();
  last.busy = 15;
  mock.tick();
  await says(rowOf(page, last.address), /15 of 16/);
  await shop(page).getByRole('searchbox').fill('');
  await until('back', async () => (await shop(page).locator('.members tr.row').count()) === 50);
  Object.assign(last, {state: 'unfit', unfit: true, why: 'answers 500'});
  mock.tick();
  await until('the one in trouble is first', async () => (await shop(page).locator('tr.row').first().innerText()).includes(last.address));
  await end();
});

test('hostile texts are texts', async () => {
  for (const [width, theme] of [[1280, 'light'], [360, 'dark']]) {
    const {mock, page, end} = await both({hostile: true}, {width, theme});
    await page.evaluate(() => {
      for (const button of document.querySelectorAll('.open-row')) button.click();
      for (const details of document.querySelectorAll('details')) details.open = true;
    });
    const address = mock.data.balancers[0].members[0].address;
    await shop(page).getByRole('button', {name: 'Weight …'}).first().click();
    await shop(page).getByRole('button', {name: 'Add member …'}).click();
    mock.tick();
    mock.tick();
    const seen = await page.evaluate(() => ({
      harmed: window.harmed,
      elements: document.querySelectorAll('img, iframe, object, embed, script:not([src="?as=js"]), style, b').length,
      handlers: [...document.querySelectorAll('*')].filter((node) => [...node.attributes].some((a) => /^on|^style$/.test(a.name))).length,
      links: [...document.querySelectorAll('[href], [src]')].map((node) => node.getAttribute('href') || node.getAttribute('src')).filter((url) => !/^(#[\w-]+|\?as=(css|js))$/.test(url)),
      text: document.body.textContent + document.title + [...document.querySelectorAll('[aria-label]')].map((node) => node.getAttribute('aria-label')).join(),
    }));
    assert.equal(seen.harmed, undefined);
    assert.deepEqual([seen.elements, seen.handlers, seen.links], [0, 0, []]);
    assert.doesNotMatch(seen.text, /[\u0000-\u0008\u000b-\u001f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/, 'nothing turns or hides what stands beside it');
    assert.ok(seen.text.includes('\\u{202e}'), 'it is shown as what it is');
    for (const harm of HOSTILE.slice(0, 5)) assert.ok(seen.text.includes(harm), harm);
    assert.equal(await sideways(page), 0, `nothing sticks out at ${width}`);
    // what is sent is the text itself, not what is shown
    const form = shop(page).locator('.panel form').first();
    await form.locator('[name="value"]').fill('3');
    await form.getByRole('button', {name: 'Confirm'}).click();
    await until('it is sent', () => mock.posts.length);
    assert.ok(mock.data.balancers[0].members.some((m) => m.address === mock.posts[0].body.member), 'a member\'s own address');
    assert.equal(mock.posts[0].body.balancer, mock.data.balancers[0].name);
    assert.ok(address);
    assert.deepEqual(await faults(page), []);
    await end();
  }
});

for (const theme of ['light', 'dark']) {
  for (const width of [1280, 360]) {
    test(`axe-core finds nothing: ${theme}, ${width} wide`, async () => {
      const {mock, page, end} = await both({trouble: true}, {theme, width});
      const calm = async (what) => {
        assert.deepEqual(await faults(page), [], what);
        assert.equal(await sideways(page), 0, `${what}: the page does not scroll sideways`);
      };
      await calm('with data');
      const panel = await openMember(page, 'http://10.0.0.5:8080');
      await page.evaluate(() => { for (const details of document.querySelectorAll('details')) details.open = true; });
      await openMember(page, 'Instance 2');
      await calm('open details');
      await panel.getByRole('button', {name: 'Concurrency …'}).click();
      await shop(page).getByRole('button', {name: 'Add member …'}).click();
      await calm('open confirmation');
      mock.fail = {status: 409, error: 'ABL0412', message: 'not now'};
      await panel.getByRole('button', {name: 'Confirm'}).click();
      await says(panel.locator('.result'), /not now/);
      await calm('a refusal');
      mock.data.steering = {allowed: false, token: null, why_not: 'no access control', persist: null};
      mock.data.check = 'wrong';
      mock.cut();
      await says(page.locator('#refused'), /no access control/);
      await calm('in trouble, and refused');
      const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number)[0]);
      assert.equal(ground < 60, theme === 'dark', 'the theme is the reader\'s');
      await end(/Failed to load|ERR_|409/);
    });
  }
}

test('it can be paused', async () => {
  const {mock, page, end} = await both();
  const pause = page.getByRole('button', {name: 'Pause'});
  await pause.click();
  mock.data.balancers[0].members[0].busy = 14;
  mock.tick();
  mock.data.balancers[0].members[1].busy = 15;
  mock.tick();
  await says(page.locator('#link'), /^Paused$/);
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  assert.doesNotMatch(await text(rowOf(page, 'http://10.0.0.2:8080')), /15 of 16/);
  await pause.click();
  await says(rowOf(page, 'http://10.0.0.1:8080'), /14 of 16/);
  await says(rowOf(page, 'http://10.0.0.2:8080'), /15 of 16/);
  await end();
});

test('without JavaScript it says what does without', async () => {
  const {page, end} = await both({}, {script: false});
  await says(page.locator('body'), /This page needs JavaScript; \?as=json and \?as=metrics at the same address do not\./);
  await end();
});

run();
