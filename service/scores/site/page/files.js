// The files of a score: what there is, how the music in them begins, and adding another one.

import { el, say } from './dom.js';
import { get, picture, send, upload } from './api.js';

// lookAgain is how often it is asked whether a file has been read, in milliseconds.
const lookAgain = 700;

const formats = { musicxml: 'MusicXML', mxl: 'MusicXML, compressed', pdf: 'PDF' };

/** files returns what is shown of the files of a score, and fills it in. Those of one's own can be added to. */
export function files({ score, own, signal }) {
  const beginning = el('figure', { class: 'incipit', hidden: true });
  const list = el('ul', { class: 'files', role: 'list' });
  const section = el('section', { hidden: !own }, el('h2', {}, 'Files'), list, own ? adding(score, refresh, signal) : null);

  async function refresh() {
    const all = (await get(`/api/scores/${score.id}/versions`, { signal })).data;
    list.replaceChildren(...all.map((version) => row(score, version)));
    section.hidden = all.length === 0 && !own;
    if (all.some(({ format, state }) => format !== 'pdf' && state === 'completed')) {
      await begin(beginning, score, signal);
    }
  }

  refresh().catch(() => {}); // the page says what is known all the same
  return { beginning, section };
}

function row(score, version) {
  const state = { pending: 'being read', failed: version.reason ?? 'could not be read' }[version.state];
  return el('li', {},
    score.visibility !== 'private'
      ? el('a', { href: contentOf(version), download: version.fileName }, version.fileName)
      : el('button', { type: 'button', class: 'link', onclick: () => fetchPrivate(version) }, version.fileName),
    el('span', { class: 'quiet' }, [formats[version.format] ?? version.format, sizeOf(version.size), state].filter(Boolean).join(' · ')));
}

function contentOf({ scoreId, id }) { return `/api/scores/${scoreId}/versions/${id}/content`; }

/** fetchPrivate opens a file that only some may read, by a link that is good for moments. */
async function fetchPrivate({ scoreId, id, fileName }) {
  try {
    const { data } = await send('POST', `/api/scores/${scoreId}/versions/${id}/links`, { body: { seconds: 30 } });
    el('a', { href: data.url, download: fileName }).click();
  } catch (error) {
    say(`That did not work: ${error.message}`);
  }
}

function sizeOf(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

async function begin(figure, score, signal) {
  const address = await picture(`/api/scores/${score.id}/incipit.svg`, signal);
  const before = figure.querySelector('img')?.src;
  if (before) {
    URL.revokeObjectURL(before);
  }
  signal.addEventListener('abort', () => URL.revokeObjectURL(address));
  figure.replaceChildren(el('img', { src: address, alt: `The first bars of ${score.title}` }), el('figcaption', {}, 'The first bars'));
  figure.hidden = false;
}

/** adding is the form that adds a file. */
function adding(score, refresh, signal) {
  const chosen = el('input', { type: 'file', id: 'file', name: 'file', required: true, accept: '.musicxml,.xml,.mxl,.pdf', 'aria-describedby': 'file-said' });
  const bar = el('progress', { max: '100', value: '0', hidden: true, 'aria-label': 'Upload' });
  const told = el('p', { class: 'quiet', id: 'file-said' }, 'MusicXML or PDF. What is in it is read afterwards.');
  const error = el('p', { class: 'error', role: 'alert' });
  const button = el('button', { type: 'submit' }, 'Upload');
  const cancel = el('button', { type: 'button', class: 'link', hidden: true }, 'Cancel');
  const form = el('form', { class: 'stacked adding' },
    el('div', { class: 'field' }, el('label', { for: 'file' }, 'Add a file'), chosen), told, bar, error, el('div', { class: 'acts' }, button, cancel));

  /** add takes the file in, and returns what became of it. */
  async function add(sending) {
    const sent = await upload(`/api/scores/${score.id}/versions`, chosen.files[0], (part) => {
      bar.value = Math.round(part * 100);
      told.textContent = part < 1 ? `Uploading: ${bar.value} %` : 'Uploaded. It is being stored.';
    }, sending).catch((problem) => {
      told.textContent = 'Nothing was added.';
      throw problem;
    });
    cancel.hidden = true; // what is there is not taken back
    told.textContent = 'The file is there. It is being read.';
    await refresh();
    const reason = await ended(sent.taskId ?? sent.data.taskId, signal);
    await refresh();
    form.reset();
    return reason ? `It is kept, but could not be read: ${reason}` : 'The file has been read.';
  }

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const sending = new AbortController();
    cancel.onclick = () => sending.abort();
    error.textContent = '';
    button.disabled = true;
    bar.hidden = cancel.hidden = false;
    bar.value = 0;
    told.textContent = 'Uploading';
    try {
      told.textContent = await add(AbortSignal.any([signal, sending.signal]));
      say(told.textContent);
    } catch (problem) {
      if (signal.aborted) {
        return; // the reader has gone elsewhere
      }
      error.textContent = sending.signal.aborted ? '' : problem.message;
    }
    bar.hidden = cancel.hidden = true;
    button.disabled = false;
  });
  return form;
}

/** ended waits for a task, and returns why it failed, or null. */
async function ended(id, signal) {
  while (id && !signal.aborted) {
    const { data } = await get(`/api/tasks/${id}`, { signal });
    if (data.state === 'completed' || data.state === 'failed') {
      return data.state === 'failed' ? data.reason : null;
    }
    await new Promise((resolve) => { window.setTimeout(resolve, lookAgain); });
  }
  return null;
}
