// Makes elements and brings those that are shown up to date. Nothing here reads HTML from a text: what the cluster says stays text.

const graphics = 'http://www.w3.org/2000/svg';

/** el makes an element. An attribute that is true stands alone; one that is false, null or undefined is left out, and so are such children. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** draw makes an element of a drawing, in the same way. */
export function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS(graphics, name), attributes, children);
}

function fill(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== false && value != null) {
      made.setAttribute(key, value === true ? '' : value);
    }
  }
  made.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return made;
}

/**
 * become makes what is shown into what is wanted and keeps what they have in common, so that the focus, a selection and what somebody
 * has unfolded stay. Elements with different values of data-key are never made into each other: a button that is about to be
 * pressed does not turn into another.
 */
export function become(shown, wanted) {
  if (shown.nodeType === Node.TEXT_NODE) {
    if (shown.data !== wanted.data) {
      shown.data = wanted.data;
    }
    return;
  }
  for (const { name } of [...shown.attributes]) {
    if (!wanted.hasAttribute(name) && name !== 'open') {
      shown.removeAttribute(name);
    }
  }
  for (const { name, value } of wanted.attributes) {
    if (shown.getAttribute(name) !== value && name !== 'open') {
      shown.setAttribute(name, value);
    }
  }
  children(shown, wanted);
}

function children(shown, wanted) {
  const keyed = new Map([...shown.children].filter((child) => child.dataset.key).map((child) => [child.dataset.key, child]));
  const kept = new Set([...wanted.children].map((child) => child.dataset.key).filter((key) => keyed.has(key)).map((key) => keyed.get(key)));
  let at = shown.firstChild;
  for (const child of [...wanted.childNodes]) {
    const key = child.dataset?.key;
    while (key && at && keyed.get(key) && at !== keyed.get(key) && !kept.has(at)) {
      at = remove(at);
    }
    const match = key ? keyed.get(key) : at;
    if (!match || !alike(match, child)) {
      shown.insertBefore(child, at);
      continue;
    }
    if (match === at) {
      at = at.nextSibling;
    } else {
      shown.insertBefore(match, at);
    }
    become(match, child);
  }
  while (at) {
    at = remove(at);
  }
}

function remove(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.dataset?.key === b.dataset?.key;
}

/** say tells a screen reader something that others see. */
export function say(text) {
  document.getElementById('said').textContent = text;
}
