// All Microservices.

import { el } from './dom.js';
import { nothing } from './place.js';
import { step, wait, badge } from './words.js';

/** overview shows those that hold the words of a filter. */
export function overview({ microservices }, filter) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = microservices.filter((m) => {
    const text = `${m.namespace}/${m.name} ${m.standing} ${m.summary} ${m.version} ${m.release}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const people = microservices.filter((m) => m.person).length;
  return el('div', { class: 'page' },
    el('header', { class: 'intro' },
      el('h1', { tabindex: '-1' }, 'Microservices'),
      el('p', { class: 'quiet' }, count(microservices, people))),
    el('p', { class: 'filter' },
      el('label', { for: 'filter' }, 'Filter'),
      el('input', { id: 'filter', type: 'search', autocomplete: 'off', spellcheck: 'false' })),
    rows.length > 0 ? table(rows) : el('p', { class: 'empty' },
      microservices.length > 0 ? 'None of them fits the filter.' : nothing));
}

function count(all, people) {
  const text = all.length === 1 ? '1 Microservice' : `${all.length} Microservices`;
  if (people === 0) {
    return `${text}, none waits for a person`;
  }
  return `${text}, ${people === 1 ? '1 waits' : `${people} wait`} for a person`;
}

function table(rows) {
  return el('table', { class: 'services', role: 'table' },
    el('caption', { class: 'unseen' }, 'Microservices, by namespace and name'),
    el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' },
      ['Name', 'State', 'Environments', 'What is going on'].map((text) => el('th', { scope: 'col', role: 'columnheader' }, text)))),
    el('tbody', { role: 'rowgroup' }, rows.map(row)));
}

function row(m) {
  return el('tr', { role: 'row', 'data-key': `${m.namespace}/${m.name}` },
    el('th', { scope: 'row', role: 'rowheader', class: 'who' },
      el('a', { href: `#/${m.namespace}/${m.name}` }, m.name), el('span', { class: 'quiet' }, m.namespace)),
    el('td', { role: 'cell' }, badge(m.tone, m.standing.split(':')[0]), m.person ? el('span', { class: 'person' }, 'waits for a person') : null),
    el('td', { role: 'cell' }, el('ol', { class: 'marks' }, m.environments.map(mark))),
    el('td', { role: 'cell', class: 'summary' }, m.summary || 'Nothing told yet'));
}

function mark(e) {
  const at = `${step(e.step)}${e.weight ? ` ${e.weight}%` : ''}`;
  return el('li', { 'data-tone': e.tone, title: e.waiting ? `waits for ${wait(e.waiting)}` : null },
    el('b', {}, e.name), ' ', el('span', {}, at));
}
