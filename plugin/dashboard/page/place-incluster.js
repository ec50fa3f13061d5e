// Where the page is: in the cluster, served by the operator to many people, of whom each sees what they may.

import { el } from './dom.js';

/** orders says whether orders can be given here. */
export const orders = false;

/** arrive has nothing to do: who somebody is, the browser or a proxy sends by itself. */
export function arrive() {}

/** credentials are sent with everything that is asked, beside the cookie. */
export function credentials() { return {}; }

/** meet hears who is looking, and lets those who signed in sign out. */
export function meet({ name, signedIn }) {
  const footer = document.querySelector('.bottom p');
  const text = `You are ${name}. What you see are your own rights in the cluster; nothing can be changed here.`;
  if (footer.textContent !== text) {
    footer.textContent = text;
  }
  if (signedIn && !document.getElementById('leave')) {
    document.getElementById('link').before(el('form', { id: 'leave', method: 'post', action: '/signout' }, el('button', { type: 'submit' }, 'Sign out')));
  }
}

/** unknown does what there is to do when the dashboard does not know this page, and says so. */
export function unknown() {
  window.location.reload(); // to the form, or, behind a proxy, to its own
  return 'You are not signed in, or no longer.';
}

export const silent = 'The dashboard does not answer. It is asked again until it does.';
export const ended = 'The dashboard has ended this page. It is asked again.';
export const nothing = 'There are no Microservices here, or none that you may see.';
