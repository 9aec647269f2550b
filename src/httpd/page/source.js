/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the messages come from: a stream, or asking again and again where there is none.
 */
'use strict';

const POLL = 2000;          // without a stream
const FIRST = 2000;         // until a new stream has to have said something; meanwhile nobody should look at nothing
const SILENCE = 15000;      // after which a stream is taken for dead
const AGAIN = 30000;        // until the stream is tried again

const begun = Date.now();

const source = (() => {
  let stream = null;
  let heard = 0;        // when the stream last said something; 0: not yet
  let opened = 0;
  let closed = 0;
  let asking = null;
  let next = 0;         // when to ask next
  let why = '';

  function tell(message) {
    if (!take(message)) look();
    draw();
  }

  function end() {
    if (stream) stream.close();
    stream = null;
    heard = 0;
    closed = Date.now();
  }

  function begin() {
    end();
    const mine = stream = new EventSource('?as=stream');
    opened = Date.now();
    mine.addEventListener('message', (event) => {
      if (stream !== mine) return;
      let message;
      try {
        message = JSON.parse(event.data);
      } catch (error) {
        end();
        return;
      }
      // what comes next is said on top of a whole; without one it means nothing
      if (message.whole === false && !heard) return;
      heard = Date.now();
      why = '';
      tell(message);
    });
    mine.addEventListener('error', () => {
      if (stream !== mine) return;
      heard = 0;
      // refused; otherwise the browser tries again by itself
      if (mine.readyState === EventSource.CLOSED) end();
      tick();
    });
  }

  async function look() {
    if (asking) return asking;
    const from = Date.now();
    asking = (async () => {
      try {
        const answer = await fetch('?as=json', {headers: {Accept: 'application/json'}, signal: AbortSignal.timeout(SILENCE)});
        if (!answer.ok) throw new Error(`The server answers ${answer.status} ${answer.statusText}.`);
        const message = await answer.json();
        why = '';
        // what the stream has said since then holds; the token is as new as the session
        if (heard && message.time < model.top.time) model.top.steering = message.steering;
        else take(message);
        draw();
      } catch (error) {
        why = error.message.startsWith('The server') ? error.message : '';
      } finally {
        asking = null;
        // a large answer is not asked for all the time
        next = Date.now() + Math.max(POLL, 4 * (Date.now() - from));
      }
    })();
    return asking;
  }

  function tick() {
    const at = Date.now();
    if (stream && heard && at - heard > SILENCE) end();
    if (stream && !heard && at - opened > SILENCE) end();
    if (!stream && (!closed || at - closed > AGAIN)) begin();
    if (!heard && at >= next && (!stream || at - opened > FIRST)) look();
    draw();
    renderLink();
  }

  return {tick, look, live: () => heard > 0, trouble: () => why};
})();
