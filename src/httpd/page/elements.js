/* SPDX-License-Identifier: Apache-2.0
 *
 * Elements, and changing no more of them than has changed, so that focus, selections and whatever is open outlive the
 * changes.
 *
 * Whatever the server says is text: it gets into the page as text nodes and attributes and in no other way.
 */
'use strict';

function into(node, attrs, kids) {
  for (const [name, value] of Object.entries(attrs || {})) {
    if (typeof value === 'function') node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, '');
    else if (value != null && value !== false) node.setAttribute(name, value);
  }
  node.append(...kids.filter((kid) => kid != null));
  return node;
}

const el = (tag, attrs, ...kids) => into(document.createElement(tag), attrs, kids);
const svg = (tag, attrs, ...kids) => into(document.createElementNS('http://www.w3.org/2000/svg', tag), attrs, kids);
const id = (name) => document.getElementById(name);

function put(node, value) {
  const said = clip(value);
  if (node.textContent !== said) node.textContent = said;
}

function set(node, name, value) {
  if (value == null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

function show(node, is) {
  if (node.hidden === Boolean(is)) node.hidden = !is;
}

// Brings a parent's children into an order without taking out the one with the focus, which would lose it.
function place(parent, nodes) {
  const pass = (wanted, from) => {
    let here = from;
    for (const node of wanted) {
      if (node === here) here = here.nextSibling;
      else parent.insertBefore(node, here);
    }
  };
  const fixed = nodes.findIndex((node) => node.contains(document.activeElement));
  if (fixed < 0) {
    pass(nodes, parent.firstChild);
    return;
  }
  pass(nodes.slice(0, fixed), parent.firstChild);
  pass(nodes.slice(fixed + 1), nodes[fixed].nextSibling);
}

// A parent's children, one part for each item: make(item) gives {nodes(), update(item)}.
function list(parent, make) {
  let parts = new Map();
  return (items, keyOf = (_, i) => i) => {
    const next = new Map();
    const nodes = [];
    items.forEach((item, i) => {
      let key = keyOf(item, i);
      while (next.has(key)) key = `${key} again`;
      const part = parts.get(key) || make(item);
      next.set(key, part);
      part.update(item, i);
      nodes.push(...part.nodes());
    });
    for (const [key, part] of parts) {
      if (next.has(key)) continue;
      for (const node of part.nodes()) {
        if (node.contains(document.activeElement)) leave(parent);
        node.remove();
      }
    }
    parts = next;
    place(parent, nodes);
    return next;
  };
}

// Where the focus goes when what had it is no longer there.
function leave(parent) {
  const section = parent.closest('section');
  const title = section && section.querySelector('h2');
  if (title) {
    title.tabIndex = -1;
    title.focus({preventScroll: true});
  }
}

// A list of texts, each in an element of its own.
const texts = (parent, tag) => list(parent, () => {
  const node = el(tag);
  return {nodes: () => [node], update: (value) => put(node, value)};
});

// Names and what is said about each: facts(dl)([['Route', 'a'], …]); what has nothing to say is left out.
function facts(parent) {
  const fill = list(parent, () => {
    const name = el('dt');
    const what = el('dd', {class: 'long'});
    const node = el('div', null, name, what);
    return {
      nodes: () => [node],
      update: ([key, value]) => {
        put(name, key);
        const said = plain(value);
        if (what.textContent !== said) what.textContent = said;
        // what can be scrolled must be reachable without a mouse
        set(what, 'tabindex', said.length > CLIP ? 0 : null);
      },
    };
  });
  return (pairs) => fill(pairs.filter(([, value]) => value != null && value !== ''), ([key]) => key);
}

const SHAPES = {
  good: () => svg('circle', {cx: 6, cy: 6, r: 5, stroke: 'none'}),
  idle: () => svg('circle', {cx: 6, cy: 6, r: 4.2, fill: 'none', 'stroke-width': 1.6}),
  warn: () => svg('path', {d: 'M6 .8 11.6 11H.4Z', stroke: 'none'}),
  bad: () => svg('path', {d: 'M2 2 10 10M10 2 2 10', 'stroke-width': 2.6, 'stroke-linecap': 'round'}),
  off: () => svg('path', {d: 'M3.6 1.5V10.5M8.4 1.5V10.5', 'stroke-width': 2.6}),
};

// A state: its shape beside its word.
function stateMark(tag = 'span') {
  const mark = svg('svg', {class: 'mark', viewBox: '0 0 12 12', 'aria-hidden': 'true'});
  const word = el('span');
  const node = el(tag, {class: 'state'}, mark, word);
  let had;
  return {
    node,
    update: (kind, text) => {
      if (had !== kind) mark.replaceChildren(SHAPES[kind]());
      had = kind;
      set(node, 'class', `state ${kind}`);
      put(word, text);
    },
  };
}

// How much of a limit is used; the numbers stand beside it.
function bar() {
  const fill = svg('rect', {width: 0, height: 5});
  const node = svg('svg', {class: 'bar', viewBox: '0 0 100 5', preserveAspectRatio: 'none', 'aria-hidden': 'true'}, fill);
  return {
    node,
    update: (part, whole, kind) => {
      set(fill, 'width', whole ? Math.min(100, Math.round(100 * part / whole)) : 0);
      set(node, 'class', `bar ${kind || ''}`);
      node.toggleAttribute('hidden', !whole);
    },
  };
}
