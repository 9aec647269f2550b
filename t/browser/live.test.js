// The manager's page in a browser, over httpd with the module, under load. Run by t/113-page-live.t, which says in ABL_LIVE
// where that is. The members of the balancer `shop` are here; httpd, and the application of `app`, are there.
// SPDX-License-Identifier: Apache-2.0
'use strict';
const http = require('node:http');
const {test, run, until, open, close, faults, sideways, text, says, assert, PATIENCE, SECOND} = require('./harness.js');

const live = JSON.parse(process.env.ABL_LIVE);
const origin = new URL(live.url).origin;
const section = (page, name) => page.locator('section.balancer', {has: page.getByRole('heading', {name, exact: true, level: 2})});
const rowOf = (page, name) => page.locator('tr.row', {has: page.getByRole('button', {name, exact: true})});
const panelOf = (page, name) => rowOf(page, name).locator('xpath=following-sibling::tr[1]');

// ---- members that answer after a while, and can go away

class Member {
  constructor(port) {
    Object.assign(this, {port, url: `http://127.0.0.1:${port}`, asked: 0});
  }

  begin() {
    this.server = http.createServer((request, response) => {
      this.asked++;
      setTimeout(() => response.end('done\n'), 15);
    });
    return new Promise((done) => this.server.listen(this.port, '127.0.0.1', done));
  }

  end() {
    this.server.closeAllConnections();
    return new Promise((done) => this.server.close(done));
  }
}

// Clients that never rest; what they have got, by status.
function load(clients) {
  const seen = {};
  let on = true;
  const ask = () => new Promise((done) => {
    http.get(`${origin}/shop/`, {agent: false}, (answer) => {
      answer.resume();
      answer.on('close', () => done(answer.statusCode));
    }).on('error', (error) => done(error.code));
  });
  const all = Array.from({length: clients}, async () => {
    while (on) {
      const status = await ask();
      seen[status] = (seen[status] || 0) + 1;
    }
  });
  return {seen, end: async () => {
    on = false;
    await Promise.all(all);
    return seen;
  }};
}

let members;
let clients;
let page;

async function act(where, label, fields = {}) {
  await where.getByRole('button', {name: label, exact: true}).click();
  const form = where.locator('form');
  for (const [name, value] of Object.entries(fields)) await form.locator(`[name="${name}"]`).fill(value);
  await form.getByRole('button', {name: 'Confirm'}).click();
  await form.waitFor({state: 'detached'});
}

async function openRow(name) {
  const button = page.getByRole('button', {name, exact: true});
  if (await button.getAttribute('aria-expanded') !== 'true') await button.click();
  return panelOf(page, name);
}

const begin = async () => {
  if (page) return;
  members = live.ports.map((port) => new Member(port));
  for (const member of members) await member.begin();
  clients = load(6);
  page = await open(live.url, {keep: true});
};

test('live: it is healthy, and charts of what goes on change', async () => {
  await begin();
  await page.getByText('Live', {exact: true}).waitFor();
  const label = () => section(page, 'shop').locator('svg.plot').first().getAttribute('aria-label');
  await until('requests are seen', async () => /now [1-9][\d.,]* requests per second/.test(await label()), 20000 * PATIENCE);
  const before = await label();
  const latency = () => section(page, 'shop').locator('svg.plot').nth(3).getAttribute('aria-label');
  await until('latency', async () => /now p50 [\d.]+ ms, p90 [\d.]+ ms, p99 [\d.]+ ms/.test(await latency()), 20000 * PATIENCE);
  await until('it changes', async () => (await label()) !== before, 20000 * PATIENCE);
  await until('healthy', async () => (await page.locator('#verdict strong').innerText()) === 'Healthy', 20000 * PATIENCE);
  await says(page.locator('#processes'), /Ledger check: ok .*pid \d+ current 32 /);
});

test('live: a member goes down and comes back', async () => {
  await begin();
  const member = members[1];
  await member.end();
  await says(rowOf(page, member.url), /away .*refused/i, 20000 * PATIENCE);
  await until('the verdict', async () => (await page.locator('#verdict strong').innerText()) === 'Degraded');
  await until('it is first', async () => (await section(page, 'shop').locator('tr.row').first().innerText()).includes(member.url));
  await member.begin();
  await says(rowOf(page, member.url), / up /, 20000 * PATIENCE);
  await until('healthy', async () => (await page.locator('#verdict strong').innerText()) === 'Healthy', 20000 * PATIENCE);
  const before = member.asked;
  await until('it is asked again', () => member.asked > before);
});

test('live: a member is drained, and enabled', async () => {
  await begin();
  const member = members[0];
  const panel = await openRow(member.url);
  await act(panel, 'Drain', {reason: 'disk change'});
  await says(rowOf(page, member.url), /draining .*disk change .*status drain \(configuration: on\)/);
  await says(rowOf(page, member.url), / 0 of 8 /);
  const before = member.asked;
  const others = members[2].asked;
  await until('others are asked', () => members[2].asked > others + 20);
  assert.equal(member.asked, before, 'it is not');
  await says(page.locator('#events'), /drain: http.*disk change/);
  await act(panel, 'Enable');
  await says(rowOf(page, member.url), / up /);
  await until('it is asked', () => member.asked > before);
});

test('live: weight, concurrency, restore, eject, return', async () => {
  await begin();
  const {url} = members[2];
  const panel = await openRow(url);
  await act(panel, 'Weight …', {value: '2.5'});
  await says(rowOf(page, url), /2\.5 \(configuration: 1\)/);
  await act(panel, 'Concurrency …', {value: '3'});
  await says(rowOf(page, url), /limit 3 \(configuration: 8\)/);
  await says(section(page, 'shop'), /1 member differs from the configuration/);
  await act(panel, 'Restore');
  await until('as configured', async () => !/\(configuration/.test(await text(rowOf(page, url))));
  await act(panel, 'Eject …', {value: '300'});
  await says(rowOf(page, url), /ejected/);
  await act(panel, 'Return');
  await says(rowOf(page, url), / up /);
});

test('live: a member is added, and removed', async () => {
  await begin();
  const more = new Member(0);
  await more.begin();
  const url = `http://127.0.0.1:${more.server.address().port}`;
  const shop = section(page, 'shop');
  await act(shop, 'Add member …', {member: url, weight: '2', reason: 'more to do'});
  await says(rowOf(page, url), /added here.* up /);
  await until('it is asked', () => more.asked > 5);
  await act(await openRow(url), 'Remove').catch(() => {});    // its panel may be gone with it
  await until('it is removed', async () => !(await rowOf(page, url).count()) || /removed/.test(await text(rowOf(page, url).first())), 20000 * PATIENCE);
  await until('nobody is there', () => new Promise((done) => more.server.getConnections((_, n) => done(n === 0))), 20000 * PATIENCE);
  await more.end();
  await shop.getByRole('button', {name: 'Add member …'}).click();
  await shop.locator('[name="member"]').fill('ftp://nowhere');
  await shop.getByRole('button', {name: 'Confirm'}).click();
  await says(shop.locator('.card-head + div .result'), /^Add member failed: .*ABL\d{4}/);
  await page.keyboard.press('Escape');
});

test('live: an application is rolled, one instance is restarted', async () => {
  await begin();
  const app = page.locator('.application');
  const pids = async () => (await app.locator('tr.row').allInnerTexts()).map((said) => /pid (\d+)/.exec(said)?.[1]);
  await says(app, /running 2 of 2 instances ready/);
  const before = await pids();
  await act(app, 'Roll', {reason: 'new release'});
  await until('all are others', async () => {
    const now = await pids();
    return now.length === 2 && now.every((pid) => pid && !before.includes(pid)) && /running 2 of 2/.test(await text(app));
  }, 40000 * PATIENCE);
  const rolled = await pids();
  const name = (await app.locator('.open-row').first().innerText()).trim();
  await act(await openRow(name), 'Restart');
  await until('one is another', async () => {
    const now = await pids();
    return now.length === 2 && now.filter((pid) => rolled.includes(pid)).length === 1 && /running 2 of 2/.test(await text(app));
  }, 40000 * PATIENCE);
  await says(page.locator('#glance'), /restarted, and why\? .*(web|app)/);
});

test('live: statistics are reset', async () => {
  await begin();
  await act(section(page, 'shop'), 'Reset statistics');
  await section(page, 'shop').getByText('All figures').click();
  await says(section(page, 'shop'), /Counted since \d\d:\d\d:\d\d/);
});

for (const [theme, width] of [['light', 1280], ['dark', 360]]) {
  test(`live: axe-core finds nothing: ${theme}, ${width} wide`, async () => {
    await begin();
    const other = await open(live.url, {theme, width});
    await other.getByText('Live', {exact: true}).waitFor();
    await other.getByRole('button', {name: members[0].url, exact: true}).click();
    await panelOf(other, members[0].url).getByRole('button', {name: 'Drain'}).click();
    assert.deepEqual(await faults(other), []);
    assert.equal(await sideways(other), 0);
    await close(other);
  });
}

test('live: a restart of httpd is outlived', async () => {
  await begin();
  const old = await until('its children', async () => /pid (\d+) current/.exec(await text(page.locator('#processes')))?.[1]);
  process.kill(live.pid, 'SIGUSR1');
  await until('another child', async () => {
    const now = /pid (\d+) current/.exec(await text(page.locator('#processes')))?.[1];
    return now && now !== old;
  }, 40000 * PATIENCE);
  await until('live', async () => (await text(page.locator('#link'))) === 'Live', 60000 * PATIENCE);
  const panel = await openRow(members[1].url);
  await act(panel, 'Disable');
  await says(rowOf(page, members[1].url), /disabled/);
  await act(panel, 'Enable');
  await says(rowOf(page, members[1].url), / up /);
});

test('live: nobody has been refused, and the browser complains of nothing', async () => {
  await begin();
  const seen = await clients.end();
  assert.deepEqual(Object.keys(seen), ['200'], JSON.stringify(seen));
  assert.ok(seen[200] > 100);
  await close(page, {allow: /status of 40\d|ERR_/});
  for (const member of members) await member.end();
});

test('10,000 members are there within a second', async () => {
  const times = [];
  for (let i = 0; i < 5 && !(times.at(-1) < SECOND); i++) {
    const many = await open(live.url, {before: (p) => p.addInitScript(() => {
      new MutationObserver((_, look) => {
        if (document.querySelectorAll('.members tr.row').length < 50) return;
        look.disconnect();
        requestAnimationFrame(() => setTimeout(() => { window.rowsAt = performance.now(); }));
      }).observe(document, {childList: true, subtree: true});
    })});
    times.push(Math.round(await until('rows', () => many.evaluate(() => window.rowsAt))));
    await says(section(many, 'many'), /50 of 10,000 members shown/);
    await close(many);
  }
  console.log(`# ${times.join(', ')} ms`);
  assert.ok(times.at(-1) < SECOND, `after ${times.join(', ')} ms`);
});

run();
