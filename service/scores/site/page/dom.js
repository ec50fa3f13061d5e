// Makes elements. Nothing here, or anywhere in the page, reads HTML from a text: what people have written stays text.

/**
 * el makes an element. A property that begins with "on" is a listener, one that is true stands alone, one that is false, null or
 * undefined is left out; children that are null are left out as well.
 */
export function el(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith('on')) {
      made.addEventListener(key.slice(2), value);
    } else if (value === true) {
      made.setAttribute(key, '');
    } else if (value !== false && value != null) {
      made.setAttribute(key, value);
    }
  }
  made.append(...children.flat().filter((child) => child != null));
  return made;
}

/** say tells a screen reader something that others see. */
export function say(text) {
  const said = document.getElementById('said');
  // The same text twice is said twice only if it was gone in between.
  said.textContent = '';
  window.setTimeout(() => { said.textContent = text; }, 50);
}

/** show puts content into the page, names the page, and moves on to its beginning unless the reader stays where they are. */
export function show(title, ...content) {
  document.title = title ? `${title} · Mirubato` : 'Mirubato';
  document.getElementById('main').replaceChildren(...content);
}

/** arrive moves the focus to the heading of a page that was gone to, so that whoever hears the page hears where they are. */
export function arrive() {
  const heading = document.querySelector('main h1');
  if (heading) {
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }
  window.scrollTo(0, 0);
}

/** failure is what stands where something could not be shown; again tries it again, if that may help. */
export function failure(error, again) {
  return el('section', { class: 'notice', role: 'alert' },
    el('h2', {}, error.title ?? 'This could not be shown'),
    el('p', {}, error.message),
    error.requestID ? el('p', { class: 'quiet' }, `Request ${error.requestID}`) : null,
    again && error.mayPass !== false ? el('button', { type: 'button', onclick: again }, 'Try again') : null);
}
