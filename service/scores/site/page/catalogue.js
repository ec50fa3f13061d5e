// The catalogue: search as you type, filters, pages. All of what is asked for stands in the address, so that it can be kept, shared and
// gone back to.

import { el, say, show, failure } from './dom.js';
import { get, send, signedIn } from './api.js';
import { words, periods, entry } from './words.js';

const onPage = 24;
const foundAtMost = 48;
// pause is how long somebody who types has to rest before it is asked, in milliseconds.
const pause = 250;

const filters = ['composer', 'instrument', 'difficulty', 'stylePeriod', 'category', 'tag'];
const sorts = [
  ['', 'Newest'], ['title', 'Title'], ['composer', 'Composer'], ['difficultyLevel', 'Easiest'], ['-difficultyLevel', 'Hardest'],
];

/** catalogue shows the page. */
export async function catalogue({ here, signal, go }) {
  const asked = new URLSearchParams(here.search);
  const mine = asked.get('owner') === 'me';
  if (mine && !signedIn()) {
    await go('/sign-in', { replace: true });
    return;
  }
  const results = el('section', { class: 'results', 'aria-label': 'Scores', 'aria-busy': 'true' }, waiting());
  const form = controls(asked, (changed, { typing = false } = {}) => {
    // Typing a word is one step of the way, not one for each letter.
    const address = addressOf(changed);
    window.history[typing && window.history.state?.typing ? 'replaceState' : 'pushState']({ typing }, '', address);
    refresh(changed);
  });
  let asking = new AbortController();
  signal.addEventListener('abort', () => asking.abort());

  async function refresh(wanted) {
    asking.abort();
    asking = new AbortController();
    const { signal: current } = asking;
    results.setAttribute('aria-busy', 'true');
    try {
      const found = await find(wanted, current);
      if (current.aborted) {
        return; // something else has been asked for meanwhile
      }
      results.replaceChildren(...listing(found, wanted));
      say(found.text);
    } catch (error) {
      if (current.aborted) {
        return;
      }
      results.replaceChildren(failure(error, () => refresh(wanted)));
    }
    results.removeAttribute('aria-busy');
  }

  show(mine ? 'My scores' : '',
    el('div', { class: 'intro' },
      el('h1', {}, mine ? 'My scores' : 'The catalogue'),
      el('p', {}, mine ? 'What you have put into the library.' : 'Sheet music that everybody may read.'),
      mine ? adding(go) : null),
    el('div', { class: 'catalogue' }, form, results));
  categories(form, asked, signal);
  await refresh(asked);
}

/** adding is the form that adds a score, whose page then takes its files. */
function adding(go) {
  const error = el('p', { class: 'error', role: 'alert' });
  const button = el('button', { type: 'submit' }, 'Add');
  const form = el('form', { class: 'stacked' },
    field('Title', el('input', { type: 'text', id: 'new-title', name: 'title', maxlength: '255', required: true })),
    field('Composer', el('input', { type: 'text', id: 'new-composer', name: 'composer', maxlength: '255' })),
    field('Who may see it', el('select', { id: 'new-visibility', name: 'visibility' },
      [['private', 'Only you'], ['unlisted', 'Whoever has the address'], ['public', 'Everybody']].map(([value, text]) => el('option', { value }, text)))),
    error, el('div', {}, button));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    error.textContent = '';
    button.disabled = true;
    try {
      const { data } = await send('POST', '/api/scores', { body: Object.fromEntries(new FormData(form)) });
      await go(`/scores/${data.id}`);
    } catch (problem) {
      error.textContent = problem.message;
      button.disabled = false;
    }
  });
  return el('details', { class: 'other narrow' }, el('summary', {}, 'Add a score'), form);
}

/** addressOf is where the catalogue shows what is asked for. */
function addressOf(asked) {
  const text = asked.toString();
  return text ? `/?${text}` : '/';
}

/** find asks the service, which searches by words or lists page by page. */
async function find(asked, signal) {
  const query = new URLSearchParams();
  for (const name of [...filters, 'owner']) {
    if (asked.get(name)) {
      query.set(name, asked.get(name));
    }
  }
  if (!query.has('owner')) {
    query.set('visibility', 'public');
  }
  const text = (asked.get('q') ?? '').trim();
  if (text) {
    query.set('q', text);
    query.set('limit', foundAtMost);
    const { data } = await get(`/api/scores/search?${query}`, { signal });
    const more = data.length === foundAtMost ? `The ${foundAtMost} best matches` : counted(data.length, 'match', 'matches');
    return { cards: data, text: data.length === 0 ? 'No matches' : more };
  }
  const sort = asked.get('sort') ?? '';
  if (sort) {
    query.set('sort', sort.replace('-', ''));
    query.set('order', sort.startsWith('-') ? 'desc' : 'asc');
  }
  query.set('limit', onPage);
  query.set('page', pageOf(asked));
  const { data, pagination } = await get(`/api/scores?${query}`, { signal });
  return { cards: data, pagination, text: counted(pagination.total, 'score', 'scores') };
}

function pageOf(asked) {
  const page = Number.parseInt(asked.get('page') ?? '1', 10);
  return page >= 1 && page <= 10000 ? page : 1;
}

function counted(n, one, many) { return `${n.toLocaleString('en')} ${n === 1 ? one : many}`; }

/** listing is what was found. */
function listing({ cards, pagination, text }, asked) {
  if (cards.length === 0) {
    return [empty(asked)];
  }
  return [
    el('p', { class: 'count' }, text),
    el('ol', { class: 'cards', role: 'list' }, cards.map(card)),
    pagination && pagination.totalPages > 1 ? turning(pagination, asked) : null,
  ].filter(Boolean);
}

function empty(asked) {
  const narrowed = asked.get('q') || filters.some((name) => asked.get(name));
  const mine = asked.get('owner') === 'me';
  return el('div', { class: 'notice' },
    el('h2', {}, narrowed ? 'Nothing fits' : 'Nothing here yet'),
    el('p', {}, narrowed ? 'Try fewer words, or take a filter away.' : 'Scores appear here once somebody adds them.'),
    narrowed ? el('p', {}, el('a', { href: mine ? '/?owner=me' : '/' }, 'Show everything')) : null);
}

function card(found) {
  const facts = [found.opus, found.keySignature, entry(words.instrument, found.instrument), found.stylePeriod && entry(periods, found.stylePeriod)];
  return el('li', {},
    el('a', { class: 'card', href: `/scores/${found.id}` },
      el('span', { class: 'title' }, found.title),
      el('span', { class: 'composer' }, found.composer ?? 'Unknown composer'),
      el('span', { class: 'facts' }, facts.filter(Boolean).join(' · ')),
      grade(found)));
}

function grade({ difficulty, difficultyLevel }) {
  if (!difficulty && !difficultyLevel) {
    return null;
  }
  const text = entry(words.difficulty, difficulty);
  return el('span', { class: `grade ${difficulty ?? ''}` }, [text, difficultyLevel && `level ${difficultyLevel}`].filter(Boolean).join(', '));
}

/** turning leads to other pages. */
function turning({ page, totalPages, hasNext, hasPrev }, asked) {
  const to = (n, text, rel, possible) => {
    if (!possible) {
      return el('span', { class: 'turn', 'aria-hidden': 'true' }, text);
    }
    const there = new URLSearchParams(asked);
    there.set('page', n);
    return el('a', { class: 'turn', rel, href: addressOf(there) }, text);
  };
  return el('nav', { class: 'pages', 'aria-label': 'Pages' },
    to(page - 1, '← Previous', 'prev', hasPrev),
    el('span', {}, `Page ${page} of ${totalPages.toLocaleString('en')}`),
    to(page + 1, 'Next →', 'next', hasNext));
}

function waiting() {
  return el('div', { class: 'waiting', role: 'presentation' }, [1, 2, 3, 4, 5, 6].map(() => el('span', {})));
}

/** controls are the search and the filters. They call changed with what is asked for by now. */
function controls(asked, changed) {
  const search = el('input', {
    type: 'search', id: 'q', name: 'q', maxlength: '200', autocomplete: 'off', spellcheck: 'false', enterkeyhint: 'search',
    placeholder: 'Title, composer, tag', value: asked.get('q') ?? '',
  });
  const composer = el('input', {
    type: 'text', id: 'composer', name: 'composer', maxlength: '255', autocomplete: 'off', placeholder: 'Whole name', value: asked.get('composer') ?? '',
  });
  const narrowing = el('details', { class: 'narrowing' },
    el('summary', {}, 'Filters'),
    el('div', { class: 'fields' },
      field('Composer', composer),
      field('Instrument', choice('instrument', [['', 'Any'], ...words.instrument], asked)),
      field('Difficulty', choice('difficulty', [['', 'Any'], ...words.difficulty], asked)),
      field('Period', choice('stylePeriod', [['', 'Any'], ...periods], asked)),
      field('Category', choice('category', [['', 'Any']], asked)),
      field('Order', choice('sort', sorts, asked))));
  const wide = window.matchMedia('(min-width: 52rem)');
  narrowing.open = wide.matches || filters.some((name) => asked.get(name));
  const form = el('form', { class: 'controls', role: 'search', 'aria-label': 'Search the catalogue' },
    el('div', { class: 'search' }, el('label', { for: 'q' }, 'Search'), search), narrowing,
    asked.get('tag') ? el('p', { class: 'tag' }, `Tagged “${asked.get('tag')}” `, el('a', { href: without(asked, 'tag') }, 'any tag')) : null);

  const read = () => {
    const now = new URLSearchParams();
    const given = new FormData(form);
    for (const name of ['q', ...filters, 'sort']) {
      const value = String(given.get(name) ?? '').trim();
      if (value) {
        now.set(name, value);
      }
    }
    for (const name of ['owner', 'tag']) {
      if (asked.get(name)) {
        now.set(name, asked.get(name));
      }
    }
    return now;
  };
  let timer;
  let last = addressOf(read());
  const tell = (options) => {
    window.clearTimeout(timer);
    const now = read();
    if (addressOf(now) !== last) {
      last = addressOf(now);
      changed(now, options);
    }
  };
  form.addEventListener('input', (event) => {
    window.clearTimeout(timer);
    if (event.target === search) {
      timer = window.setTimeout(() => tell({ typing: true }), pause);
    }
  });
  form.addEventListener('change', (event) => event.target !== search && tell());
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    tell();
  });
  return form;
}

function without(asked, name) {
  const rest = new URLSearchParams(asked);
  rest.delete(name);
  return addressOf(rest);
}

function field(label, control) {
  return el('div', { class: 'field' }, el('label', { for: control.id }, label), control);
}

function choice(name, options, asked) {
  const made = el('select', { id: name, name }, options.map(([value, text]) => el('option', { value }, text)));
  made.value = asked.get(name) ?? '';
  return made;
}

/** categories fills the filter, indented as they lie below each other. Without them the catalogue can do. */
async function categories(form, asked, signal) {
  let all;
  try {
    all = (await get('/api/categories', { signal })).data;
  } catch {
    return;
  }
  const choices = form.elements.namedItem('category');
  const depth = new Map();
  for (const { id, parentId, name } of all) {
    depth.set(id, parentId ? (depth.get(parentId) ?? 0) + 1 : 0);
    choices.append(el('option', { value: id }, `${'\u2003'.repeat(depth.get(id))}${name}`));
  }
  choices.value = asked.get('category') ?? '';
  choices.closest('.field').hidden = all.length === 0;
}
