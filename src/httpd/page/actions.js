/* SPDX-License-Identifier: Apache-2.0
 *
 * What the administrator does: buttons, confirmed in place, and sent.
 */
'use strict';

const steering = () => (model.top.steering && model.top.steering.allowed ? model.top.steering : null);

let announced = '';
function announce(text) {
  const node = id('announce');
  // the same words again are a change to be read, too
  announced = announced === text ? `${text}\u00a0` : text;
  node.textContent = plain(announced).replace(/\\u\{a0\}/g, '\u00a0');
}

async function send(body) {
  const {token} = steering() || {};
  let answer;
  try {
    answer = await fetch(location.pathname, {
      method: 'POST',
      headers: {'Content-Type': 'application/json', Accept: 'application/json', 'X-Balancer-Token': token || ''},
      body: JSON.stringify(body),
    });
  } catch (error) {
    return {done: false, message: `No answer from the server (${error.message}); it is not known whether this was done`};
  }
  let said = null;
  try {
    said = await answer.json();
  } catch (error) {
    // somebody else's answer, such as httpd's own 403 page
  }
  // another token may hold by now: it comes with the next look
  if (!answer.ok) source.look();
  if (said && typeof said.message === 'string') return {...said, done: answer.ok && said.done === true};
  return {done: false, message: `The server answered ${answer.status} ${answer.statusText}`};
}

// Buttons, and the place below them where one of them is confirmed and where its result stands.
//   actions: {label, title(t), text(t), body(t, values), fields, when(t)}; what they are about comes with update(t)
function steer(actions, name) {
  const slot = el('div');
  const group = el('div', {class: 'buttons', role: 'group', 'aria-label': plain(name)});
  let target = null;
  let opened = null;    // the form, and the button that has opened it
  let opener = null;

  function close(button) {
    slot.replaceChildren();
    opened = opener = null;
    if (button) (button.hidden ? group.querySelector('button:not([hidden])') : button).focus();
  }

  function result(button, answer, what) {
    const text = `${answer.done ? '' : `${what} failed: `}${plain(answer.message)}${answer.error ? ` (${plain(answer.error)})` : ''}`;
    const node = el('p', {class: `result ${answer.done ? '' : 'bad'}`}, text);
    announce(text);
    if (answer.done) {
      close(button);
      slot.append(node);
    } else {
      slot.querySelectorAll('.result').forEach((old) => old.remove());
      slot.append(node);
    }
  }

  function open(action, button) {
    const about = target;
    const fields = (action.fields || []).concat({name: 'reason', label: 'Reason (for the log and the others who look)', wide: true, maxlength: 200, optional: true});
    const inputs = {};
    const rows = fields.map((field) => {
      const input = el('input', {
        name: field.name, type: field.number ? 'number' : 'text', required: !field.optional, autocomplete: 'off',
        min: field.min, max: field.max, maxlength: field.maxlength, step: field.number ? field.step || 'any' : null,
        placeholder: field.placeholder, value: field.initial ? field.initial(about) : null,
      });
      inputs[field.name] = input;
      return el('label', {class: field.wide ? 'wide' : ''}, field.label, input);
    });
    const yes = el('button', {type: 'submit', class: 'main'}, 'Confirm');
    const no = el('button', {type: 'button', click: () => close(button)}, 'Cancel');
    const form = el('form', {
      class: 'confirm', 'aria-label': action.label.replace(' …', ''),
      keydown: (event) => {
        if (event.key !== 'Escape') return;
        event.preventDefault();
        close(button);
      },
      submit: async (event) => {
        event.preventDefault();
        if (yes.getAttribute('aria-disabled')) return;
        const values = {};
        for (const field of fields) {
          const value = inputs[field.name].value.trim();
          if (value !== '') values[field.name] = field.number ? Number(value) : value;
        }
        set(yes, 'aria-disabled', 'true');
        put(yes, 'Sending …');
        const answer = await send({...action.body(about, values), ...(values.reason ? {reason: values.reason} : {})});
        yes.removeAttribute('aria-disabled');
        put(yes, 'Confirm');
        if (opened !== form) announce(plain(answer.message));
        else result(button, answer, action.label.replace(' …', ''));
        if (!source.live()) source.look();
      },
    }, el('p', null, plain(action.text(about))), el('div', {class: 'fields'}, ...rows), el('div', {class: 'buttons'}, yes, no));
    // the server counts bytes
    inputs.reason.addEventListener('input', () => {
      const length = new TextEncoder().encode(inputs.reason.value).length;
      inputs.reason.setCustomValidity(length > 200 ? `${length} bytes; at most 200 are kept` : '');
    });
    slot.replaceChildren(form);
    opened = form;
    opener = button;
    const first = rows[0].querySelector('input');
    first.focus();
    first.select();
  }

  const buttons = actions.map((action) => {
    const button = el('button', {type: 'button', click: () => open(action, button)}, action.label);
    group.append(button);
    return {action, button};
  });
  return {
    group,
    slot,
    update: (about) => {
      target = about;
      const may = Boolean(steering());
      for (const {action, button} of buttons) {
        // who has pressed it is to find it again
        show(button, may && (!action.when || action.when(about) || button === opener || button === document.activeElement));
      }
      show(group, may);
      if (!may && opened) close();
    },
  };
}

const of = (action) => ({b, m}, values) => ({action, balancer: b.own.name, member: m.address, ...(values.value != null ? {value: values.value} : {})});
const share = (weight) => exact.format(weight);
const limit = (n) => (n ? int(n) : 'no limit');

const MEMBER_ACTIONS = [
  {label: 'Enable', body: of('enable'), when: ({m}) => m.status === 'drain' || m.status === 'disabled',
    text: ({m}) => `${m.address} gets requests again.`},
  {label: 'Drain', body: of('drain'), when: ({m}) => m.status !== 'drain',
    text: ({m}) => `${m.address} gets only requests whose affinity names it, until somebody enables it. Requests that are there go on.`},
  {label: 'Disable', body: of('disable'), when: ({m}) => m.status !== 'disabled',
    text: ({m}) => `${m.address} gets no request at all, until somebody enables it. Requests that are there go on.`},
  {label: 'Weight …', body: of('weight'), fields: [{name: 'value', label: 'Weight, 0.01 to 100', number: true, min: 0.01, max: 100, initial: ({m}) => m.weight}],
    text: ({m}) => `${m.address} has weight ${share(m.weight)}; it gets another share of the requests.`},
  {label: 'Concurrency …', body: of('concurrency'), fields: [{name: 'value', label: 'Requests at once; 0: no limit', number: true, step: 1, min: 0, max: 1000000, initial: ({m}) => m.concurrency}],
    text: ({m}) => `${m.address} takes at most so many requests at once, instead of ${limit(m.concurrency)}; others wait or go elsewhere.`},
  {label: 'Eject …', body: of('eject'), when: ({m}) => !m.ejected, fields: [{name: 'value', label: 'Seconds, 1 to 86400', number: true, step: 1, min: 1, max: 86400, initial: () => 60}],
    text: ({m}) => `${m.address} is left out for so many seconds, as if it had failed, and is then tried again by itself.`},
  {label: 'Return', body: of('return'), when: ({m}) => m.ejected,
    text: ({m}) => `${m.address} is taken back at once, whatever it was left out for.`},
  {label: 'Restore', body: of('restore'), when: ({m}) => m.steered && m.steered.length,
    text: ({m}) => `What the configuration says of ${m.address} holds again: ${configured(m.configured)}.`},
  {label: 'Remove', body: of('remove'), when: ({m}) => m.added,
    text: ({m}) => `${m.address} is taken out of the balancer; requests that are there go on to their end.`},
];

const BALANCER_ACTIONS = [
  {label: 'Add member …', when: ({own}) => !own.removed,
    fields: [{name: 'member', label: 'Address', wide: true, placeholder: 'http://10.0.0.9:8080'},
      {name: 'weight', label: 'Weight (1)', number: true, min: 0.01, max: 100, optional: true}],
    body: ({own}, values) => ({action: 'add', balancer: own.name, member: values.member, ...(values.weight != null ? {weight: values.weight} : {})}),
    text: ({own}) => `${own.name} gets one more member${own.places ? `; ${own.places.free} of ${many(own.places.all, 'place')} for such members ${own.places.free === 1 ? 'is' : 'are'} free` : ''}.`},
  {label: 'Reset statistics', body: ({own}) => ({action: 'reset', balancer: own.name}),
    text: ({own}) => `The figures of ${own.name} begin anew at zero; nothing that decides where requests go is forgotten.`},
];

const APP_ACTIONS = [
  {label: 'Roll', body: (app) => ({action: 'roll', balancer: app.balancer, application: app.name}),
    text: (app) => `All instances of ${app.name} are replaced, one after the other, without a lost request where there is room for one more.`},
];

const INSTANCE_ACTIONS = [
  {label: 'Restart', body: ({app, i}) => ({action: 'restart', balancer: app.balancer, application: app.name, instance: i.instance}),
    text: ({app, i}) => `Instance ${i.instance} of ${app.name} (pid ${i.pid || 'none'}) is replaced by a new one, without a lost request where there is room for two.`},
];

function configured({status, weight, concurrency}) {
  return `status ${status}, weight ${share(weight)}, concurrency ${limit(concurrency)}`;
}
