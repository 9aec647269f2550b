/* SPDX-License-Identifier: Apache-2.0
 *
 * How things are said: numbers, times, sizes, and texts of which nothing is hidden.
 *
 * The files of this folder that end in .js are one script, in the order in which src/httpd/page.c names them: what one
 * declares, those after it use.
 */
'use strict';

const CLIP = 300;           // of a text in a table; the whole is in the panel below

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
