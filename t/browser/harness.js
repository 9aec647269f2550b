// What the browser's tests begin with: TAP, Debian's Chromium, pages that keep account of what went wrong in them.
// SPDX-License-Identifier: Apache-2.0
'use strict';
const assert = require('node:assert/strict');
const {chromium} = require('playwright-core');
const axe = require('axe-core');

const PATIENCE = Number(process.env.ABL_PATIENCE || 1);
const BOUND = 10000 * PATIENCE;
const SECOND = 1000 * PATIENCE;
const TEST = 60000 * PATIENCE;    // the longest that one test may take
const tests = [];
const kept = new Set();
let browser;

const test = (name, code) => tests.push({name, code});

// Asks again and again until it is true, and fails after a while.
async function until(what, code, bound = BOUND) {
  const end = Date.now() + bound;
  let got;
  for (let nap = 5; ; nap = Math.min(100, nap * 1.5)) {
    try {
      got = await code();
    } catch (error) {
      got = null;
      if (Date.now() > end) throw error;
    }
    if (got) return got;
    if (Date.now() > end) assert.fail(`not within ${bound} ms: ${what}`);
    await new Promise((done) => setTimeout(done, nap));
  }
}

// A page of its own; whatever its browser complains of is in page.complaints.
// keep: the next test needs it, too; before(page): before it goes there.
async function open(url, {width = 1280, height = 900, theme = 'light', script = true, keep, before} = {}) {
  const context = await browser.newContext({viewport: {width, height}, colorScheme: theme, javaScriptEnabled: script});
  if (keep) kept.add(context);
  const page = await context.newPage();
  page.setDefaultTimeout(BOUND);
  page.complaints = [];
  page.loaded = [];
  page.on('console', (message) => { if (message.type() === 'error' || message.type() === 'warning') page.complaints.push(`${message.text()} ${message.location().url}`); });
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('dialog', (dialog) => {
    page.complaints.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('request', (request) => page.loaded.push(request.url()));
  if (before) await before(page);
  await page.goto(url);
  return page;
}

// Nothing was complained of but what is expected, nothing came from elsewhere; then it is closed.
async function close(page, {allow} = {}) {
  const origin = new URL(page.url()).origin;
  // a browser asks for an icon by itself
  assert.deepEqual(page.complaints.filter((text) => !/favicon\.ico/.test(text) && (!allow || !allow.test(text))), [], 'the browser complains of nothing');
  assert.deepEqual(page.loaded.filter((url) => !url.startsWith(origin)), [], 'nothing is loaded from elsewhere');
  await page.context().close();
}

// What axe-core finds, as one line each.
async function faults(page) {
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => window.axe.run(document, {preload: false, resultTypes: ['violations', 'incomplete']}));
  return found.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target.join(' ')}: ${node.failureSummary.replace(/\s+/g, ' ')}`));
}

const text = (locator) => locator.evaluate((node) => node.innerText.replace(/\s+/g, ' '));

// Awaits that it reads so.
async function says(locator, pattern, bound) {
  let last = '(nothing)';
  try {
    await until(`${pattern}`, async () => {
      last = await text(locator);
      return pattern.test(last);
    }, bound);
  } catch (error) {
    throw new Error(`${error.message}\nit reads: ${last.slice(0, 2000)}`, {cause: error});
  }
}

const sideways = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

// Runs them one after the other; with words as arguments only those whose names have them.
async function run() {
  const words = process.argv.slice(2);
  const chosen = tests.filter(({name}) => words.every((word) => name.includes(word)));
  console.log(`1..${chosen.length}`);
  browser = await chromium.launch({executablePath: process.env.ABL_CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox']});
  let failed = 0;
  for (const [n, {name, code}] of chosen.entries()) {
    let timer;
    try {
      await Promise.race([code(), new Promise((_, fail) => { timer = setTimeout(() => fail(new Error(`longer than ${TEST} ms`)), TEST); })]);
      console.log(`ok ${n + 1} - ${name}`);
    } catch (error) {
      failed++;
      console.log(`not ok ${n + 1} - ${name}`);
      console.log(String(error.stack || error).replace(/^/gm, '# '));
    }
    clearTimeout(timer);
    for (const context of browser.contexts()) if (!kept.has(context)) await context.close();
  }
  await browser.close();
  // a test that has failed has left its server
  process.exit(failed ? 1 : 0);
}

module.exports = {test, run, until, open, close, faults, sideways, text, says, assert, BOUND, PATIENCE, SECOND};
