// Where the page is: on one's own machine, served by kubectl mirubato dashboard.

const stored = 'mirubato.key';

/** orders says whether orders can be given here. */
export const orders = true;

/** arrive keeps the key that the address was opened with, and takes it out of the address. */
export function arrive() {
  const found = window.location.hash.match(/^#key=([A-Z0-9]+)$/);
  if (found) {
    window.localStorage.setItem(stored, found[1]);
    window.history.replaceState(null, '', '/#/');
  }
}

/** credentials are sent with everything that is asked. */
export function credentials() {
  return { Authorization: `Bearer ${window.localStorage.getItem(stored) ?? ''}` };
}

/** meet hears who is looking. It is whoever started the dashboard. */
export function meet() {}

/** unknown does what there is to do when the dashboard does not know this page, and says so. */
export function unknown() {
  return 'This page does not belong to a dashboard that runs. Open the address that kubectl mirubato dashboard has printed.';
}

export const silent = 'The dashboard does not answer. If it has ended, start it again: kubectl mirubato dashboard';
export const ended = 'The dashboard has ended. Start it again: kubectl mirubato dashboard';
export const nothing = 'There are no Microservices here. kubectl mirubato dashboard -A shows those of all namespaces, -n those of another.';
