// What things are called on the page, and lengths of time.

import { el } from './dom.js';

const steps = { BackUp: 'Back up', RollBack: 'Roll back' };

export function step(name) { return steps[name] ?? name; }

const waits = {
  PreviousEnvironment: 'the environment before', NameConflict: 'a name', SmokeTest: 'a smoke test', Pods: 'pods', Approval: 'approval',
  Window: 'a window', Step: 'the canary step', Analysis: 'the analysis', Rejected: 'another release', Pause: 'a person', Hold: 'a person', Budget: 'its turn',
};

/** wait is what is waited for, in words. */
export function wait(type) { return waits[type] ?? type.toLowerCase(); }

const verdicts = { Pass: 'pass', Fail: 'fail', NotEnoughData: 'not enough data', SourceDown: 'source down' };

export function verdict(name) { return verdicts[name] ?? name; }

export const verdictTones = { Pass: 'good', Fail: 'bad', NotEnoughData: 'idle', SourceDown: 'waits' };

/** lasting is a length of time in at most two units. */
export function lasting(seconds) {
  if (seconds < 10 && !Number.isInteger(seconds)) {
    return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
  }
  const whole = Math.max(0, Math.floor(seconds));
  const units = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const first = units.findIndex(([length]) => whole >= length);
  if (first < 0) {
    return '0 s';
  }
  const [length, name] = units[first];
  const parts = [`${Math.floor(whole / length)} ${name}`];
  const second = units[first + 1];
  if (second && first > 0 && Math.floor((whole % length) / second[0]) > 0) {
    parts.push(`${Math.floor((whole % length) / second[0])} ${second[1]}`);
  }
  return parts.join(' ');
}

/** ago is a moment that has been, and left one to come; both are kept current by tick. */
export function ago(time) { return moment(time, 'ago'); }
export function left(time) { return moment(time, 'left'); }

function moment(time, way) {
  const made = el('time', { datetime: time, 'data-way': way, title: new Date(time).toLocaleString() });
  made.textContent = distance(made);
  return made;
}

function distance(made) {
  const seconds = (Date.now() - Date.parse(made.dateTime)) / 1000;
  if (made.dataset.way === 'left') {
    return seconds >= 0 ? 'any moment' : `in ${lasting(Math.ceil(-seconds))}`;
  }
  return lasting(Math.floor(Math.max(0, seconds)));
}

/** tick brings all lengths of time up to date. */
export function tick() {
  for (const made of document.querySelectorAll('time[data-way]')) {
    const text = distance(made);
    if (made.textContent !== text) {
      made.firstChild.data = text;
    }
  }
}

export function bytes(n) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const unit = n > 0 ? Math.min(units.length - 1, Math.floor(Math.log10(n) / 3)) : 0;
  return `${unit === 0 ? n : (n / 1000 ** unit).toFixed(1)} ${units[unit]}`;
}

/** release is a release as people call it. */
export function release({ name, version } = {}) {
  return name ? `${name}${version ? ` (${version})` : ''}` : 'nothing';
}

export function badge(tone, text) { return el('span', { class: 'badge', 'data-tone': tone }, text); }
