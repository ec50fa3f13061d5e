// Gives orders: a button, a question, and what came of it.

import { el, say } from './dom.js';
import { give } from './link.js';

const verbs = {
  approve: {
    name: 'Approve', title: ({ environment }) => `Let the release enter ${environment}?`, done: 'Approve',
    text: ({ target, environment }) => `You approve ${target} for ${environment}, in your name and as it is shown here. If what would be done changes, the approval is void.`,
  },
  abort: {
    name: 'Abort', grave: true, title: ({ environment }) => `Abort the rollout in ${environment}?`, done: 'Abort the rollout',
    text: ({ target }) => `The rollout of ${target} ends here and is taken back. The release is rejected in every environment until somebody retries it.`,
  },
  hold: {
    name: 'Hold', title: ({ environment }) => `Hold ${environment}?`, done: 'Hold',
    text: ({ environment }) => `${environment} stays at the release until somebody lets it go on.`,
  },
  rollback: {
    name: 'Roll back', grave: true, title: ({ environment }) => `Put ${environment} back?`, done: 'Roll back',
    text: ({ environment }) => `${environment} goes back to the release and is held there. The schema of its database stays as it is.`,
  },
  resume: {
    name: 'Resume', title: ({ environment, name }) => `Let ${environment ?? name} go on?`, done: 'Resume',
    text: ({ environment }) => (environment ? 'Its hold, or the canary step that waits for a person, ends.' : 'The operator works on it again, in every environment.'),
  },
  pause: {
    name: 'Pause', title: ({ name }) => `Pause ${name}?`, done: 'Pause',
    text: () => 'Nothing is written to any environment, not even a rollback, until somebody resumes it. A tool that applies the spec from elsewhere may take this back.',
  },
  retry: {
    name: 'Retry', title: ({ name }) => `Try the release of ${name} again?`, done: 'Retry',
    text: () => 'Its rejection is taken back, and every environment that has not verified it tries it again.',
  },
};

/** buttons are the orders that make sense and that the viewer may give. */
export function buttons(offers, may, { environment, target }) {
  const allowed = offers.filter(({ verb }) => verbs[verb] && (verb === 'approve' ? may?.approve.includes(environment) : may?.steer));
  return allowed.length === 0 ? null : el('p', { class: 'orders' }, allowed.map((offer) => el('button', {
    type: 'button', 'data-key': `${offer.verb} ${environment ?? ''}`, 'data-offer': JSON.stringify({ ...offer, environment, target }),
    class: offer.verb === 'approve' ? 'first' : null, 'aria-haspopup': 'dialog', 'aria-label': environment ? `${verbs[offer.verb].name} ${environment}` : null,
  }, verbs[offer.verb].name)));
}

/** question asks before an order is given, and shows what came of it. */
export function question(microservice, offer) {
  const dialog = document.getElementById('order');
  const verb = verbs[offer.verb];
  const told = { ...offer, ...microservice };
  const outcome = el('p', { class: 'outcome', role: 'status' });
  const cancel = el('button', { type: 'button', class: 'plain' }, 'Cancel');
  const go = el('button', { type: 'submit', class: verb.grave ? 'grave' : 'first' }, verb.done);
  const form = el('form', { method: 'dialog' },
    el('h2', { id: 'order-title' }, verb.title(told)), el('p', {}, verb.text(told)), choice(offer), changes(offer), outcome,
    el('p', { class: 'orders' }, cancel, go));
  cancel.addEventListener('click', () => dialog.close());
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    go.disabled = true;
    outcome.dataset.tone = 'moves';
    outcome.textContent = 'Given. Waiting until the operator has carried it out…';
    try {
      const text = await give({ ...microservice, verb: offer.verb, environment: offer.environment, plan: offer.plan, release: form.elements.release?.value });
      outcome.dataset.tone = 'good';
      outcome.textContent = text;
    } catch (error) {
      outcome.dataset.tone = 'bad';
      outcome.textContent = error.message;
      go.disabled = false;
    }
    say(outcome.textContent);
    cancel.textContent = 'Close';
    if (go.disabled) {
      go.remove();
      cancel.focus();
    }
  });
  dialog.replaceChildren(form);
  dialog.showModal();
  cancel.focus();
}

function choice({ releases }) {
  if (!releases?.length) {
    return null;
  }
  return el('p', { class: 'choice' }, el('label', { for: 'order-release' }, 'Release'),
    el('select', { id: 'order-release', name: 'release' }, releases.map((name) => el('option', { value: name }, name))));
}

function changes({ verb, changes: list }) {
  if (verb !== 'approve') {
    return null;
  }
  if (!list?.length) {
    return el('p', { class: 'quiet' }, 'What changes cannot be told: one of the two releases is not there.');
  }
  const value = (v) => (v === undefined ? 'not set' : JSON.stringify(v));
  return el('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'What changes' }, el('table', {}, el('caption', {}, 'What changes'),
    el('thead', {}, el('tr', {}, ['Field', 'From', 'To'].map((text) => el('th', { scope: 'col' }, text)))),
    el('tbody', {}, list.map((c) => el('tr', {}, el('th', { scope: 'row' }, c.path), el('td', {}, el('code', {}, value(c.from))), el('td', {}, el('code', {}, value(c.to))))))));
}
