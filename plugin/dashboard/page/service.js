// One Microservice: where it is in each environment, and how it came there.

import { el } from './dom.js';
import { chart, percent, share } from './chart.js';
import { databases } from './database.js';
import { step, wait, verdict, verdictTones, lasting, ago, left, release, badge } from './words.js';
import { buttons } from './orders.js';
import { table } from './table.js';

/** service shows one. may are the viewer's rights, null until they are known. */
export function service(d, may) {
  return el('div', { class: 'page' },
    head(d, may),
    d.release?.rejection ? rejection(d.release) : null,
    el('section', { 'aria-labelledby': 'pipeline' },
      el('h2', { id: 'pipeline', class: 'unseen' }, 'Environments, in order'),
      d.environments.length > 0
        ? el('ol', { class: 'pipeline' }, d.environments.map((e) => environment(e, may)))
        : el('p', { class: 'empty' }, 'The operator has told nothing of the environments yet.')),
    analyses(d), tests(d), databases(d.environments), settings(d), history(d), conditions(d));
}

function head(d, may) {
  return el('header', { class: 'intro' },
    el('div', { class: 'title' },
      el('h1', { tabindex: '-1' }, d.name), badge(d.tone, d.standing), buttons(d.verbs, may, {})),
    el('p', { class: 'quiet' }, d.release
      ? [`${release(d.release)}, cut `, ago(d.release.since), ' ago', d.release.author ? ` by ${d.release.author}` : '', ` · ${d.namespace}`]
      : d.namespace),
    el('p', { class: 'lead' }, d.summary));
}

function rejection({ name, rejection: r }) {
  return el('div', { class: 'box', 'data-tone': 'bad' },
    el('p', {}, el('b', {}, `${name} was rejected in ${r.environment}`), ` at ${step(r.step)}, `, ago(r.time), ` ago: ${r.reason}`),
    el('p', {}, r.message));
}

function environment(e, may) {
  return el('li', { class: 'environment', 'data-tone': e.tone, 'data-key': e.name },
    el('div', { class: 'title' }, el('h3', {}, e.name), badge(e.tone, `${step(e.step)}${e.weight ? ` ${e.weight}%` : ''}`)),
    canary(e),
    el('ol', { class: 'track', 'aria-label': `Steps in ${e.name}` }, e.track.map(station)),
    e.waiting ? waiting(e.waiting) : null,
    e.held ? el('p', { class: 'box', 'data-tone': 'waits' }, el('b', {}, `Held at ${e.held.release}`), ', for ', ago(e.held.since)) : null,
    facts(e),
    buttons(e.verbs, may, { environment: e.name, target: release(e.target) }));
}

function canary(e) {
  if (!e.canary) {
    return null;
  }
  const done = e.canary.every((s) => s.done);
  const weight = done ? 100 : e.weight ?? 0;
  return el('div', { class: 'share' },
    el('progress', { max: '100', value: weight, 'aria-label': `Share of requests that go to the new pods in ${e.name}` }, `${weight}%`),
    el('ol', { class: 'shares', 'aria-label': 'Weights' }, e.canary.map((s) => el('li', {
      class: s.now ? 'now' : s.done ? 'done' : 'ahead', 'aria-current': s.now ? 'step' : null,
    }, `${s.weight}%${s.pause ? ', then pause' : ''}`))));
}

function station(s) {
  const time = s.seconds != null ? el('span', { class: 'took' }, lasting(s.seconds)) : s.state === 'now' && s.since ? el('span', { class: 'took' }, ago(s.since)) : null;
  return el('li', { class: s.state, 'aria-current': s.state === 'now' ? 'step' : null }, el('span', {}, step(s.step)), time);
}

function waiting(w) {
  return el('div', { class: 'box', 'data-tone': w.person ? 'waits' : 'moves' },
    el('p', {}, el('b', {}, `Waits for ${wait(w.type)}`), ', for ', ago(w.since)),
    el('p', {}, w.message),
    w.deadline ? el('p', { class: 'quiet' }, 'Goes on by itself ', left(w.deadline)) : null,
    w.remedy ? el('p', { class: 'remedy' }, el('span', { class: 'quiet' }, 'What you can do: '), el('code', {}, w.remedy)) : null);
}

function facts(e) {
  const fact = (name, ...value) => [el('dt', {}, name), el('dd', {}, value)];
  return el('dl', { class: 'facts' },
    fact('Runs', release(e.runs)),
    e.target.name === e.runs.name ? null : fact('Target', release(e.target), e.effect ? `, ${e.effect.toLowerCase()}` : ''),
    fact('Pods ready', `${e.ready} of ${e.replicas}`),
    e.settings ? fact('Settings', `generation ${e.settings.generation}, on ${e.settings.acknowledged} of ${e.settings.pods} pods`,
      e.settings.rejected?.length ? el('span', { class: 'refused' }, `, refused by ${e.settings.rejected.length}`) : []) : null,
    e.schema == null ? null : fact('Schema', String(e.schema)),
    e.approvedBy?.length ? fact('Approved by', e.approvedBy.join(', ')) : null,
    fact('Namespace', e.namespace));
}

function section(title, ...content) {
  return el('section', { class: 'part' }, el('h2', {}, title), content);
}

function analyses(d) {
  const read = d.environments.filter((e) => e.readings?.length);
  return read.length === 0 ? null : section('Analysis', el('div', { class: 'figures' }, read.map((e) => el('div', { class: 'figure', 'data-key': e.name },
    el('h3', {}, `${e.name}, ${release(e.target)}`),
    chart(e.name, e.readings),
    el('p', { class: 'last' }, badge(verdictTones[e.readings.at(-1).verdict], verdict(e.readings.at(-1).verdict)), ' ', e.readings.at(-1).message ?? ''),
    el('details', {}, el('summary', {}, `All ${e.readings.length} readings`), readings(e))))));
}

function readings(e) {
  const side = (errors, requests) => `${errors} of ${requests} (${percent(share(errors, requests))})`;
  return table(`Readings in ${e.name}: errors since the weight began`, ['Ago', 'Weight', 'Verdict', 'New pods', 'The others', 'Why'],
    e.readings.toReversed().map((r) => [ago(r.time), `${r.weight}%`, badge(verdictTones[r.verdict], verdict(r.verdict)),
      side(r.canaryErrors, r.canaryRequests), side(r.stableErrors, r.stableRequests), r.message ?? '']));
}

function tests(d) {
  const made = d.environments.flatMap((e) => (e.smokeTests ?? []).map((t) => [e.name, t.name, t.target,
    badge(t.passed ? 'good' : 'bad', t.passed ? 'passed' : 'failed'), String(t.attempts), ago(t.time), t.message ?? '']));
  return made.length === 0 ? null : section('Smoke tests', table('The last result of each smoke test', ['Environment', 'Test', 'Of', 'Result', 'Attempts', 'Ago', 'Why'], made));
}

function settings(d) {
  const told = d.environments.filter((e) => e.settings);
  return told.length === 0 ? null : section('Settings',
    table('Settings in each environment', ['Environment', 'Generation', 'Pods that run with it', 'Refused'], told.map(({ name, settings: s }) => [name, String(s.generation),
      badge(s.rejected?.length ? 'bad' : s.acknowledged === s.pods ? 'good' : 'moves', `${s.acknowledged} of ${s.pods}`),
      s.rejected?.length ? el('ul', {}, s.rejected.map((r) => el('li', {}, el('b', {}, r.pod), `: ${r.reason}`))) : 'by none'])));
}

function history(d) {
  return d.history.length === 0 ? null : section('History', table('Releases, the newest first', ['Release', 'Version', 'Age', 'By', 'State', 'From let in to verified'],
    d.history.map((r) => [r.name, r.version, ago(r.since), r.author ?? '–', [badge(r.tone, r.state), r.rejection ? el('span', { class: 'why' }, r.rejection.message) : null],
      (r.passed ?? []).map((p) => `${p.environment} ${p.seconds != null ? lasting(p.seconds) : step(p.step).toLowerCase()}`).join(', ')])));
}

function conditions(d) {
  return d.conditions.length === 0 ? null : section('Conditions', table('What the operator says of all of it', ['Type', 'Status', 'For', 'Reason', 'Message'],
    d.conditions.map((c) => [c.type, c.status, ago(c.since), c.reason, c.message])));
}
