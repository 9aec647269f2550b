/* SPDX-License-Identifier: Apache-2.0
 *
 * Charts of the last minutes.
 */
'use strict';

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
