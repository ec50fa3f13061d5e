// Signing in, by address and password or with an access token that one has already.

import { el, say, show } from './dom.js';
import { signIn as byPassword, useToken } from './api.js';

/** signIn shows the page. */
export async function signIn({ go }) {
  const done = async () => {
    say('Signed in');
    await go('/?owner=me', { replace: true });
  };
  show('Sign in',
    el('div', { class: 'narrow' },
      el('h1', {}, 'Sign in'),
      form('Sign in', [
        ['email', 'Email', { type: 'email', autocomplete: 'username', required: true, maxlength: '254' }],
        ['password', 'Password', { type: 'password', autocomplete: 'current-password', required: true, maxlength: '256' }],
      ], ({ email, password }) => byPassword(email, password), done, 'Address or password are not right.'),
      el('details', { class: 'other' },
        el('summary', {}, 'Use an access token'),
        form('Use the token', [['token', 'Access token', { type: 'password', autocomplete: 'off', required: true, spellcheck: 'false' }]],
          ({ token }) => useToken(token.trim()), done, 'The token does not hold; it may have expired.')),
      el('p', { class: 'quiet' }, 'Once this tab is closed, nothing of this is kept on the device.')));
}

function form(action, fields, submit, done, refused) {
  const error = el('p', { class: 'error', role: 'alert', id: `error-${fields[0][0]}` });
  const button = el('button', { type: 'submit' }, action);
  const made = el('form', { class: 'stacked' },
    fields.map(([name, label, properties]) => el('div', { class: 'field' },
      el('label', { for: name }, label), el('input', { id: name, name, 'aria-describedby': error.id, ...properties }))),
    error, button);
  made.addEventListener('submit', async (event) => {
    event.preventDefault();
    error.textContent = '';
    button.disabled = true;
    try {
      await submit(Object.fromEntries(new FormData(made)));
    } catch (problem) {
      error.textContent = problem.status === 401 ? refused : problem.message;
      button.disabled = false;
      made.elements.namedItem(fields[0][0]).focus();
      return;
    }
    await done();
  });
  return made;
}
