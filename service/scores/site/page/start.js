// Shows the page that the address names, and follows links without loading everything anew.

import { el, show, arrive, failure, say } from './dom.js';
import { onSession, signedIn, signOut } from './api.js';
import { catalogue } from './catalogue.js';
import { score } from './score.js';
import { signIn } from './signin.js';

// pages are asked in order; each gets what its pattern caught, and a signal that ends when another page is shown.
const pages = [
  [/^\/$/, catalogue],
  [/^\/scores\/([0-9a-fA-F-]{36})$/, score],
  [/^\/sign-in$/, signIn],
];

let leaving = new AbortController();

/** visit shows the page of the address that is in the bar now. */
async function visit({ moved }) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const here = new URL(window.location.href);
  marks(here);
  const [caught, page] = find(here.pathname);
  try {
    await page({ here, caught, signal, go });
  } catch (error) {
    if (signal.aborted) {
      return;
    }
    show('Not shown', el('h1', { class: 'unseen' }, 'Not shown'), failure(error, () => visit({ moved: true })));
  }
  if (moved && !signal.aborted) {
    arrive();
  }
}

function find(path) {
  for (const [pattern, page] of pages) {
    const caught = path.match(pattern);
    if (caught) {
      return [caught, page];
    }
  }
  return [null, nowhere];
}

function nowhere() {
  show('Not found', el('section', { class: 'notice' },
    el('h1', {}, 'There is no such page'),
    el('p', {}, el('a', { href: '/' }, 'Go to the catalogue'))));
}

/** go shows another address. With replace it takes the place of the present one, so that "back" does not lead there. */
function go(address, { replace = false } = {}) {
  window.history[replace ? 'replaceState' : 'pushState'](null, '', address);
  return visit({ moved: true });
}

// A link to a page of this site is followed here, unless the reader wants it elsewhere.
document.addEventListener('click', (event) => {
  const link = event.target.closest('a[href]');
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) {
    return;
  }
  const to = new URL(link.href);
  if (link.matches('.skip')) {
    // A step of the history would show the page anew, and take the focus from whoever has moved on meanwhile.
    event.preventDefault();
    document.getElementById(to.hash.slice(1)).focus();
    return;
  }
  if (to.origin !== window.location.origin || link.target || link.hasAttribute('download') || to.hash || find(to.pathname)[0] === null) {
    return;
  }
  event.preventDefault();
  go(to.pathname + to.search);
});

window.addEventListener('popstate', () => visit({ moved: true }));

/** marks shows where one can go, and which of the places this is. */
function marks(here) {
  const mine = here.pathname === '/' && here.searchParams.get('owner') === 'me';
  const link = (href, text, current) => el('a', { href, 'aria-current': current ? 'page' : null }, text);
  const places = [link('/', 'Catalogue', here.pathname === '/' && !mine)];
  if (signedIn()) {
    places.push(link('/?owner=me', 'My scores', mine));
    places.push(el('button', { type: 'button', class: 'link', onclick: leave }, 'Sign out'));
  } else {
    places.push(link('/sign-in', 'Sign in', here.pathname === '/sign-in'));
  }
  document.getElementById('places').replaceChildren(...places);
}

function leave() {
  signOut();
  say('Signed out');
  go('/');
}

onSession(() => marks(new URL(window.location.href)));
visit({ moved: false });
