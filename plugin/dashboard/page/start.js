// Shows what the address names, and keeps it current.

import { el, become, say } from './dom.js';
import { follow, rights } from './link.js';
import { arrive, meet, orders } from './place.js';
import { overview } from './overview.js';
import { service } from './service.js';
import { question } from './orders.js';
import { tick } from './words.js';

// How often it is asked again which orders may be given, since rights change.
const rightsAge = 60_000;

const here = { namespace: '', name: '', state: null, may: null, filter: '', lost: null, since: null };
let leaving = new AbortController();

/** visit goes where the address leads. */
function visit() {
  const [, namespace = '', name = ''] = window.location.hash.match(/^#\/([^/]+)\/([^/]+)$/) ?? [];
  leaving.abort();
  leaving = new AbortController();
  Object.assign(here, { namespace, name, state: null, may: null, arrived: false });
  document.getElementById('where').replaceChildren(...(name ? [el('span', { 'aria-hidden': 'true' }, '/'), el('span', {}, name)] : []));
  document.title = name ? `${name} · Mirubato` : 'Mirubato';
  const { signal } = leaving;
  follow(namespace, name, { signal, onState: (state) => heard(state, signal), onLost: lost });
  if (name && orders) {
    const asking = window.setInterval(() => ask(signal), rightsAge);
    signal.addEventListener('abort', () => window.clearInterval(asking));
  }
}

function heard(state, signal) {
  const before = here.state;
  if (state.viewer) {
    meet(state.viewer);
  }
  Object.assign(here, { state, lost: null, hidden: false, since: state.link.problem ? here.since : new Date() });
  // Which environments there are decides what to ask.
  const names = (s) => s?.detail?.environments.map((e) => e.name).join(' ');
  if (orders && state.detail && (!here.may || names(before) !== names(state))) {
    ask(signal);
  }
  if (before?.detail && state.detail && before.detail.summary !== state.detail.summary) {
    say(state.detail.summary);
  }
  show();
}

async function ask(signal) {
  try {
    const may = await rights(here.namespace, here.name, signal);
    if (!signal.aborted) {
      here.may = may;
      show();
    }
  } catch {
    // Without an answer no orders are offered; that the connection is gone is told elsewhere.
  }
}

function lost(why, hidden) {
  here.lost = why;
  here.hidden = hidden;
  if (hidden) {
    Object.assign(here, { state: null, since: null, arrived: false });
    document.getElementById('main').replaceChildren(el('div', { class: 'page' }, el('h1', { tabindex: '-1' }, 'Nothing to see')));
  }
  show();
}

function show() {
  showLink();
  const main = document.getElementById('main');
  const { state } = here;
  if (!state || !(state.link.loaded || here.lost)) {
    return;
  }
  const wanted = el('main', { id: 'main', tabindex: '-1' }, content(state));
  become(main, wanted);
  if (!here.arrived) {
    here.arrived = true;
    main.querySelector('h1')?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
}

function content(state) {
  if (state.overview) {
    return overview(state.overview, here.filter);
  }
  if (state.detail) {
    return [service(state.detail, here.may), state.link.releases ? el('p', { class: 'box', 'data-tone': 'waits' }, `No releases, and so no history and no readings: ${state.link.releases}`) : null];
  }
  return el('div', { class: 'page' }, el('h1', { tabindex: '-1' }, 'Not here'),
    el('p', {}, `There is no Microservice ${here.name} in ${here.namespace}, or no longer. `, el('a', { href: '#/' }, 'All Microservices')));
}

/** showLink tells whether what is shown is what there is. */
function showLink() {
  const problem = here.lost ?? here.state?.link.problem;
  const link = document.getElementById('link');
  const [tone, text] = problem ? ['bad', here.hidden ? 'Not allowed' : 'Not connected'] : here.state ? ['good', 'Live'] : ['idle', 'Connecting'];
  link.dataset.tone = tone;
  if (link.textContent !== text) {
    link.textContent = text;
    say(text);
  }
  const trouble = document.getElementById('trouble');
  trouble.hidden = !problem;
  const words = problem ? `${problem}${here.since ? ` What you see is of ${here.since.toLocaleTimeString()}.` : ''}` : '';
  if (trouble.textContent !== words) {
    trouble.textContent = words;
  }
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-offer]');
  if (button) {
    question({ namespace: here.namespace, name: here.name }, JSON.parse(button.dataset.offer));
  } else if (event.target.closest('.skip')) {
    event.preventDefault(); // or the address would name no page
    document.getElementById('main').focus();
  }
});
document.addEventListener('input', (event) => {
  if (event.target.id === 'filter') {
    here.filter = event.target.value;
    show();
  }
});
window.addEventListener('hashchange', visit);
window.setInterval(tick, 1000);
arrive();
visit();
