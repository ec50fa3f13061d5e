// A table.

import { el } from './dom.js';

/** table is a table that may be wider than the screen. */
export function table(caption, heads, rows) {
  return el('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': caption },
    el('table', {}, el('caption', {}, caption),
      el('thead', {}, el('tr', {}, heads.map((text) => el('th', { scope: 'col' }, text)))),
      el('tbody', {}, rows.map(([first, ...others]) => el('tr', {}, el('th', { scope: 'row' }, first), others.map((cell) => el('td', {}, cell)))))));
}
