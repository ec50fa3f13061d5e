// Asks the service, in the name of whoever has signed in.
//
// The access token is kept in sessionStorage: it outlives a reload, ends with the tab, is seen by no other site, and is never sent by
// itself as a cookie would be. It is good for minutes. The refresh token, which is good for weeks, stays in memory alone: after a
// reload, whoever wants to stay longer signs in again.

const stored = 'mirubato.token';
let refreshToken = null;
const listeners = [];
let me = null;

/** Problem is why the service did not do something, in words for a person. */
export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(wording(status, body, retryAfter));
    this.status = status;
    this.details = body?.details ?? [];
    this.requestID = status >= 500 ? body?.requestId : undefined;
    this.mayPass = status === 0 || status === 408 || status === 429 || status >= 500;
    this.title = { 0: 'No connection', 404: 'Not found', 429: 'A little too fast' }[status];
  }
}

function wording(status, body, retryAfter) {
  switch (status) {
    case 0: return 'The library does not answer. Check your connection.';
    case 401: return 'Sign in to see this.';
    case 404: return 'There is nothing here, or it is not for everybody.';
    case 429: return `Please wait ${retryAfter ?? 'a few'} seconds.`;
  }
  if (status >= 500) {
    return 'The library cannot answer at the moment. It usually can a little later.';
  }
  const details = (body?.details ?? []).map((d) => [d.field, d.message].filter(Boolean).join(' ')).join('; ');
  return [body?.error, details].filter(Boolean).join(': ') || `The library refused this (${status}).`;
}

/** onSession calls the listener now and whenever somebody signs in or out. */
export function onSession(listener) {
  listeners.push(listener);
  listener(signedIn());
}

export function signedIn() { return token() !== null; }

function token() { return window.sessionStorage.getItem(stored); }

function keep(access, refresh) {
  me = null;
  if (access === null) {
    window.sessionStorage.removeItem(stored);
  } else {
    window.sessionStorage.setItem(stored, access);
  }
  refreshToken = refresh;
  listeners.forEach((listener) => listener(signedIn()));
}

/** whoAmI is who has signed in, null if that is nobody. */
export async function whoAmI() {
  if (!signedIn()) {
    return null;
  }
  me ??= get('/api/auth/me').then(({ data }) => data.id, () => null);
  return me;
}

/** signIn exchanges an address and a password for tokens. */
export async function signIn(email, password) {
  const tokens = await send('POST', '/api/auth/token', { body: { email, password }, anonymous: true });
  keep(tokens.data.accessToken, tokens.data.refreshToken);
}

/** useToken takes an access token that somebody has already, once the service has said that it holds. */
export async function useToken(access) {
  const before = token();
  window.sessionStorage.setItem(stored, access);
  try {
    await send('GET', '/api/auth/me', { once: true });
  } catch (problem) {
    if (before === null) {
      window.sessionStorage.removeItem(stored);
    } else {
      window.sessionStorage.setItem(stored, before);
    }
    throw problem;
  }
  keep(access, null);
}

/** signOut ends the session here at once, and at the service if it can be reached. */
export function signOut() {
  const refresh = refreshToken;
  keep(null, null);
  if (refresh !== null) {
    send('POST', '/api/auth/logout', { body: { refreshToken: refresh }, anonymous: true }).catch(() => {});
  }
}

/** get reads something. */
export function get(path, options = {}) { return send('GET', path, options); }

/**
 * send makes a request and returns the answer's body, null if it has none. It throws a Problem, or the AbortError of options.signal.
 * An access token that has expired is renewed once.
 */
export async function send(method, path, options = {}) {
  const answer = await exchange(method, path, options);
  if (answer.status === 401 && signedIn() && !options.anonymous && !options.once) {
    await renew();
    return send(method, path, { ...options, once: true });
  }
  const body = await bodyOf(answer);
  if (!answer.ok) {
    throw new Problem(answer.status, body, answer.headers.get('Retry-After'));
  }
  return body;
}

async function exchange(method, path, { body, signal, anonymous }) {
  const headers = {};
  if (body !== undefined) {
    headers['Content-Type'] = 'application/json';
  }
  if (signedIn() && !anonymous) {
    headers.Authorization = `Bearer ${token()}`;
  }
  try {
    return await fetch(path, {
      method, headers, signal, credentials: 'omit',
      // What is one reader's own is kept by no cache, not even the browser's.
      cache: headers.Authorization ? 'no-store' : 'default',
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === 'AbortError') {
      throw error;
    }
    throw new Problem(0);
  }
}

async function bodyOf(answer) {
  if (answer.status === 204) {
    return null;
  }
  try {
    return await answer.json();
  } catch (error) {
    if (error.name === 'AbortError') {
      throw error;
    }
    throw new Problem(answer.ok ? 0 : answer.status);
  }
}

// renewing is shared by requests that find out at the same time, since a refresh token is good for one use.
let renewing = null;

function renew() {
  renewing ??= (async () => {
    const refresh = refreshToken;
    if (refresh === null) {
      keep(null, null);
      return;
    }
    try {
      const tokens = await send('POST', '/api/auth/refresh', { body: { refreshToken: refresh }, anonymous: true });
      keep(tokens.data.accessToken, tokens.data.refreshToken);
    } catch {
      keep(null, null);
    }
  })().finally(() => { renewing = null; });
  return renewing;
}

/** picture returns an address for an image of the service, which the reader may be the only one to see. Whoever takes it revokes it. */
export async function picture(path, signal, once = false) {
  const answer = await exchange('GET', path, { signal });
  if (answer.status === 401 && signedIn() && !once) {
    await renew();
    return picture(path, signal, true);
  }
  if (!answer.ok) {
    throw new Problem(answer.status);
  }
  return URL.createObjectURL(await answer.blob());
}

/**
 * upload sends a file as the part "file" of a form, and tells what part of it is on its way, 0 to 1. It returns the answer's body. It
 * throws a Problem, or the AbortError of the signal, which breaks it off. An access token that has expired is renewed once.
 */
export async function upload(path, file, progress, signal) {
  try {
    return await transfer(path, file, progress, signal);
  } catch (problem) {
    if (problem.status !== 401 || !signedIn()) {
      throw problem;
    }
    await renew();
    return transfer(path, file, progress, signal);
  }
}

function transfer(path, file, progress, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest(); // fetch does not tell how far a body is
    request.open('POST', path);
    request.responseType = 'json';
    if (signedIn()) {
      request.setRequestHeader('Authorization', `Bearer ${token()}`);
    }
    request.upload.addEventListener('progress', (event) => event.lengthComputable && progress(event.loaded / event.total));
    request.addEventListener('load', () => {
      if (request.status >= 200 && request.status < 300) {
        resolve(request.response);
      } else {
        reject(new Problem(request.status, request.response, request.getResponseHeader('Retry-After')));
      }
    });
    request.addEventListener('error', () => reject(new Problem(0)));
    const abort = () => {
      request.abort();
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    request.addEventListener('loadend', () => signal.removeEventListener('abort', abort));
    const form = new FormData();
    form.append('file', file);
    request.send(form);
  });
}
