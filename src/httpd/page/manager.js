/* SPDX-License-Identifier: Apache-2.0
 *
 * The balancer manager's page, put together: the verdict, the balancers, httpd's processes, what was done lately.
 */
'use strict';

const OLD = 6000;           // without news for so long the page says that what it shows is old

let judgements = new Map();
let paused = false;
let saidLevel = null;

const server = id('server');
const link = stateMark();
id('link').append(link.node);

const verdictMark = svg('svg', {class: 'mark', viewBox: '0 0 12 12', 'aria-hidden': 'true'});
const verdictWord = el('strong');
const verdictList = el('ul');
const verdictBox = el('div', null, verdictMark, el('div', null, verdictWord, verdictList));
id('verdict').append(verdictBox);
const fillVerdict = texts(verdictList, 'li');

const fillAnswers = list(id('answers'), () => {
  const [question, answer, more] = [el('dt'), el('dd'), el('dd')];
  const node = el('div', null, question, answer, more);
  return {nodes: () => [node], update: ([q, a, m]) => {
    put(question, q);
    put(answer, clip(a, 120));
    put(more, clip(m, 200));
  }};
});

const fillSections = list(id('balancers'), balancerSection);

const fillJump = list(id('jump').querySelector('ul'), () => {
  const state = stateMark();
  const a = el('a', null, state.node);
  const node = el('li', null, a);
  return {nodes: () => [node], update: ({balancer, section}) => {
    const one = judgements.get(balancer.key);
    set(a, 'href', `#${section}`);
    const requests = last(balancer.history && balancer.history.requests);
    state.update(balancer.own.removed ? 'off' : LEVELS[one.level], clip(`${balancer.own.name}${requests == null ? '' : `, ${rate(requests)}`}`, 80));
  }};
});

const seatTable = table('seats', [
  ['pid', 'Process', (s) => [`pid ${s.pid}`]],
  ['old', 'Generation', (s) => [s.pid === model.top.control ? 'control process' : s.old ? 'earlier; finishes what it has' : 'current']],
  ...['Threads', 'Parked', 'Adopted', 'Lingering'].map((label) => ['count', label, (s) => [s[label.toLowerCase()] ?? '–']]),
]);
const ledger = stateMark('p');
const ledgerMore = el('p', {class: 'quiet small'});
id('processes').append(ledger.node, ledgerMore, el('div', {class: 'sub'}, seatTable.node));
seatTable.node.setAttribute('aria-label', 'Child processes of httpd');
const log = el('ol', {class: 'log'});
const noLog = el('p', {class: 'quiet'}, 'Nothing has been done here.');
const kept = el('p', {class: 'quiet small'});
id('events').append(log, noLog, kept);
const fillLog = list(log, () => {
  const [when, what, more] = [el('div', {class: 'quiet'}), el('div', {class: 'what'}), el('div', {class: 'quiet'})];
  const node = el('li', null, when, el('div', null, what, more));
  return {nodes: () => [node], update: (e) => {
    put(when, clock(e.time));
    put(what, `${e.action}${e.value != null ? ` ${e.value}` : ''}${e.target ? `: ${e.target}` : ''} (${e.balancer})`);
    put(more, `${e.who ? `${e.who} from ` : 'from '}${e.from}${e.reason ? `: “${e.reason}”` : ''}${e.result && e.result !== 'done' ? ` · ${e.result}` : ''}`);
  }};
});

function renderVerdict() {
  const {level, word, said} = verdict(judgements);
  const kind = LEVELS[level];
  if (verdictBox.className !== kind) verdictMark.replaceChildren(SHAPES[kind]());
  set(verdictBox, 'class', kind);
  put(verdictWord, word);
  fillVerdict(said.length > 8 ? [...said.slice(0, 7), `and ${said.length - 7} more`] : said);
  const title = `${word}: ${clip(model.top.server, 60)} – balancers`;
  if (document.title !== title) document.title = title;
  if (saidLevel !== level) announce(`${word}. ${clip(said[0])}`);
  saidLevel = level;
}

function render() {
  const {top} = model;
  judgements = new Map([...model.balancers].map(([key, balancer]) => [key, judge(balancer)]));
  put(server, `${top.server || ''}`);
  renderVerdict();
  fillAnswers(answers(judgements));
  const balancers = [...model.balancers.values()];
  const parts = fillSections(balancers, (balancer) => balancer.key);
  show(id('jump'), balancers.length > 1);
  fillJump(balancers.map((balancer) => ({balancer, section: parts.get(balancer.key).id})), ({balancer}) => balancer.key);
  ledger.update(top.check === 'ok' ? 'good' : 'bad', top.check === 'ok' ? 'Ledger check: ok' : `Ledger check: ${top.check}`);
  put(ledgerMore, `Counts made anew after a process died while counting: ${int(top.rebuilds)}. Control process: ${top.control ? `pid ${top.control}` : 'none'}.`);
  seatTable.fill(top.seats || [], (s) => `${s.seat} ${s.pid}`);
  const events = top.events || [];
  fillLog(events);
  show(noLog, !events.length);
  const s = top.steering;
  put(kept, !s ? '' : s.persist ? `What is changed here is kept in ${s.persist} when httpd is restarted.` : 'What is changed here is not kept when httpd is stopped.');
  show(id('refused'), s && !s.allowed);
  if (s && !s.allowed) put(id('refused'), `Nothing can be changed here: ${s.why_not || 'actions are refused'}`);
  put(id('foot'), `mod_appbalance ${top.module || ''} · ${s ? 'manager' : 'status: nothing can be changed here'} · times are this browser's`);
  for (const name of ['glance', 'processes', 'events']) show(id(name), true);
  show(id('loading'), false);
}

function renderLink() {
  const silent = Date.now() - (model.came || begun);
  const old = silent > OLD;
  if (paused) link.update('off', 'Paused');
  else if (old) link.update('bad', 'No connection');
  else if (source.live()) link.update('good', 'Live');
  else link.update(model.came ? 'idle' : 'warn', model.came ? 'Every 2 s' : 'Connecting');
  show(id('stale'), old);
  if (old) {
    put(id('stale'), `${model.came ? `No news from the server for ${age(silent)}; what is shown is from then.` : 'The server does not answer.'}${source.trouble() ? ` ${source.trouble()}` : ''}`);
  }
}

let asked = false;
function draw() {
  if (asked || paused || document.hidden) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    if (model.came) render();
    renderLink();
  });
}

id('pause').addEventListener('click', () => {
  paused = !paused;
  set(id('pause'), 'aria-pressed', String(paused));
  renderLink();
  draw();
});
document.addEventListener('visibilitychange', draw);
setInterval(source.tick, 1000);
source.tick();
