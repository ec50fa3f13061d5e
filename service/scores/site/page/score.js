// One score: how it begins, what is known of it, and what can be done with it.

import { el, say, show } from './dom.js';
import { get, send, signedIn, whoAmI } from './api.js';
import { files } from './files.js';
import { words, periods, entry, lasting } from './words.js';

/** score shows the page. */
export async function score({ caught, signal }) {
  const id = caught[1].toLowerCase();
  show('', el('p', { class: 'count' }, 'Loading …'));
  const found = (await get(`/api/scores/${id}`, { signal })).data;
  const own = found.ownerId === await whoAmI();
  const { beginning, section } = files({ score: found, own, signal });
  show([found.title, found.composer].filter(Boolean).join(' – '),
    el('article', { class: 'score' },
      el('p', { class: 'back' }, el('a', { href: '/' }, '← The catalogue')),
      el('header', {},
        el('h1', {}, found.title),
        el('p', { class: 'composer' }, found.composer ? el('a', { href: `/?${new URLSearchParams({ composer: found.composer })}` }, found.composer) : 'Unknown composer'),
        found.visibility === 'public' ? null : el('p', { class: 'badge' }, `${entry(words.visibility, found.visibility)}: ${found.visibility === 'private' ? 'only you see this' : 'whoever has the address sees this'}`)),
      beginning,
      facts(found),
      found.description ? el('section', {}, el('h2', {}, 'About'), el('p', { class: 'prose' }, found.description)) : null,
      tags(found.tags),
      section,
      signedIn() ? favorite(id, signal) : null));
}

function facts(found) {
  const rows = [
    ['Opus', found.opus], ['Instrument', entry(words.instrument, found.instrument)], ['Key', found.keySignature],
    ['Time', found.timeSignature], ['Tempo', found.tempoMarking],
    ['Length', found.durationSeconds && lasting(found.durationSeconds)],
    ['Difficulty', [entry(words.difficulty, found.difficulty), found.difficultyLevel && `level ${found.difficultyLevel}`].filter(Boolean).join(', ')],
    ['Period', entry(periods, found.stylePeriod)],
    ['Added', new Date(found.createdAt).toLocaleDateString('en', { dateStyle: 'medium' })],
  ];
  return el('dl', { class: 'facts' }, rows.filter(([, value]) => value).map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}

function tags(all) {
  if (all.length === 0) {
    return null;
  }
  return el('section', {}, el('h2', {}, 'Tags'),
    el('ul', { class: 'tags', role: 'list' }, all.map((tag) => el('li', {}, el('a', { href: `/?${new URLSearchParams({ tag })}` }, tag)))));
}

/** favorite is the button that keeps a score among the reader's favorites. */
function favorite(id, signal) {
  const button = el('button', { type: 'button', class: 'favorite', 'aria-pressed': 'false', disabled: true }, 'Favorite');
  const mark = (is) => button.setAttribute('aria-pressed', String(is));
  send('POST', '/api/favorites/check', { body: { ids: [id] }, signal }).then(({ data }) => {
    mark(data[id] === true);
    button.disabled = false;
  }, () => {}); // the button stays as it is
  button.addEventListener('click', async () => {
    const is = button.getAttribute('aria-pressed') === 'true';
    mark(!is);
    try {
      await send(is ? 'DELETE' : 'PUT', `/api/favorites/${id}`, { signal });
      say(is ? 'No longer a favorite' : 'Now a favorite');
    } catch (error) {
      mark(is);
      say(`That did not work: ${error.message}`);
    }
  });
  return el('p', { class: 'actions' }, button);
}
