// What a release does to the databases of its environments.

import { el } from './dom.js';
import { table } from './table.js';
import { lasting, ago, bytes, badge } from './words.js';

const tones = { applied: 'good', pending: 'moves', held: 'idle' };

/** databases shows those that there is evidence of; null if there is none. */
export function databases(environments) {
  const touched = environments.filter((e) => e.database);
  if (touched.length === 0) {
    return null;
  }
  return el('section', { class: 'part' }, el('h2', {}, 'Migrations'), touched.map((e) => el('div', { class: 'database', 'data-key': e.name },
    el('h3', {}, e.name), el('p', { class: 'quiet' }, ways(e.database)),
    files(e), slowest(e), backups(e), backfills(e),
    (e.database.findings ?? []).map((text) => el('p', { class: 'box', 'data-tone': 'waits' }, text)))));
}

function ways({ from, to, migrations }) {
  const way = from != null && to != null && from !== to ? `Schema ${from} to ${to}. ` : '';
  return migrations.length === 0 ? `${way}Nothing to migrate.` : way;
}

function files({ name, database: d }) {
  return d.migrations.length === 0 ? null : table(`Migrations in ${name}`, ['Version', 'Name', 'State', 'Took'], d.migrations.map((m) => [
    String(m.version), m.name, badge(tones[m.state], m.state === 'held' ? 'held until nothing needs it' : m.state), m.seconds != null ? lasting(m.seconds) : '–']));
}

function slowest({ name, database: d }) {
  return !d.slowest ? null : el('details', {}, el('summary', {}, 'The slowest statements of the rehearsals'),
    table(`Statements rehearsed for ${name}`, ['Migration', 'Took', 'Statement', 'Locks', 'Written anew'], d.slowest.map((s) => [
      s.migration, lasting(s.seconds), el('code', {}, s.text), (s.locks ?? []).join(', ') || '–', (s.rewrites ?? []).join(', ') || '–'])));
}

function backups({ name, database: d }) {
  return !d.backups ? null : table(`Backups in ${name}`, ['Backup', 'Taken', 'Took', 'Size', 'Compared', 'Place'], d.backups.map((b) => [
    b.name, [ago(b.taken), ' ago'], lasting(Math.round((Date.parse(b.finished) - Date.parse(b.taken)) / 1000)), b.bytes ? bytes(b.bytes) : '–',
    b.unproved ? 'not restored by us' : `${b.tables} tables, ${b.rows} rows`, b.place ?? '–']));
}

function backfills({ name, database: d }) {
  return !d.backfills ? null : table(`Backfills in ${name}`, ['Backfill', 'Rows passed', 'Changed'], d.backfills.map((b) => [b.name, String(b.rows ?? 0), String(b.changed ?? 0)]));
}
