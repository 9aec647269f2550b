// The pictures of the page in docs/, from the mock server's data: node t/browser/shots.js [FOLDER]
// Where pngquant is installed they are made small by it, which those in docs/ have to be.
// SPDX-License-Identifier: Apache-2.0
'use strict';
const {spawnSync} = require('node:child_process');
const path = require('node:path');
const {chromium} = require('playwright-core');
const {start} = require('./mock.js');

const SHOTS = [
  {name: 'manager-light', width: 1280, height: 1500, theme: 'light'},
  {name: 'manager-dark', width: 1280, height: 1400, theme: 'dark'},
  {name: 'manager-light-360', width: 360, height: 1400, theme: 'light', confirm: true},
  {name: 'manager-dark-360', width: 360, height: 1400, theme: 'dark'},
];

(async () => {
  const folder = process.argv[2] || path.join(__dirname, '../../docs');
  const mock = await start({trouble: true, every: 100});
  const browser = await chromium.launch({executablePath: process.env.ABL_CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox']});
  for (const {name, width, height, theme, confirm} of SHOTS) {
    const page = await browser.newPage({viewport: {width, height}, colorScheme: theme});
    await page.goto(mock.url);
    await page.getByText('Live', {exact: true}).waitFor();
    if (confirm) {
      await page.getByRole('button', {name: 'http://10.0.0.5:8080'}).click();
      await page.getByRole('button', {name: 'Drain'}).click();
      await page.getByRole('button', {name: 'http://10.0.0.5:8080'}).evaluate((node) => node.scrollIntoView());
    }
    const file = path.join(folder, `${name}.png`);
    await page.screenshot({path: file});
    spawnSync('pngquant', ['--force', '--ext', '.png', '--speed', '1', '128', file], {stdio: 'inherit'});
    await page.close();
  }
  await browser.close();
  await mock.stop();
})();
