// Asks the dashboard, and hears from it what changes.

import { credentials, unknown, silent, ended } from './place.js';

// Longer than the dashboard is ever silent.
const patience = 25_000;

/** Refused is the dashboard's answer to something that it did not do. */
export class Refused extends Error {
  constructor(status, text) {
    super(status === 401 ? unknown() : text);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, cache: 'no-store', headers: { ...options.headers, ...credentials() } });
  } catch (error) {
    if (error.name === 'AbortError') {
      throw error;
    }
    throw new Refused(0, silent);
  }
  if (!answer.ok) {
    const text = await answer.text();
    throw new Refused(answer.status, text.startsWith('{') ? JSON.parse(text).message : text);
  }
  return answer;
}

/** rights are which orders may be given to a Microservice. */
export async function rights(namespace, name, signal) {
  return (await ask(`/api/rights?${new URLSearchParams({ namespace, name })}`, { signal })).json();
}

/** give gives an order and returns what came of it. It throws Refused. */
export async function give(order) {
  const answer = await ask('/api/orders', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(order) });
  return (await answer.json()).message;
}

/**
 * follow hears of one Microservice, or of all if name is empty, until the signal ends it. onState is given each state, onLost why
 * there is none for now, and whether because nothing may be seen, or no longer. It connects again by itself, unless the dashboard does
 * not know this page.
 */
export async function follow(namespace, name, { signal, onState, onLost }) {
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      await hear(`/api/events?${new URLSearchParams({ namespace, name })}`, signal, (state) => {
        failures = 0;
        onState(state);
      });
      throw new Refused(0, ended);
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      onLost(error.message, error.status === 401 || error.status === 403);
      if (error.status === 401) {
        return;
      }
    }
    await new Promise((resolve) => { window.setTimeout(resolve, Math.min(500 * (failures + 1), 5000)); });
  }
}

// hear reads server-sent events. EventSource could not send the key.
async function hear(path, signal, onState) {
  const silence = new AbortController();
  let timer = null;
  const stillHere = () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => silence.abort(), patience);
  };
  try {
    stillHere();
    const answer = await ask(path, { signal: AbortSignal.any([signal, silence.signal]) });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ''; ;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      stillHere();
      const events = (rest + value).split('\n\n');
      rest = events.pop();
      events.forEach((event) => dispatch(event, onState));
    }
  } finally {
    window.clearTimeout(timer);
  }
}

function dispatch(event, onState) {
  const [, kind, data] = event.match(/^event: (\w+)\ndata: (.*)$/s) ?? [];
  if (kind === 'failed') {
    throw new Refused(500, data);
  }
  if (kind === 'state') {
    onState(JSON.parse(data));
  }
}
