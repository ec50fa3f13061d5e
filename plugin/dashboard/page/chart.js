// Draws the readings of an analysis: the share of errors of the new pods beside that of the others.

import { draw, el } from './dom.js';
import { verdict, verdictTones } from './words.js';

const size = { width: 640, height: 190, left: 56, right: 12, top: 22, bottom: 26 };
const inner = { width: size.width - size.left - size.right, height: size.height - size.top - size.bottom };

/** share is errors of requests, 0 to 1; null where there were no requests. */
export function share(errors, requests) { return requests > 0 ? errors / requests : null; }

/** percent is a share as text, with as many digits as say something. */
export function percent(value) {
  if (value === null) {
    return '–';
  }
  const p = value * 100;
  return `${p === 0 || p >= 10 ? Math.round(p) : Number(p.toPrecision(2))}%`;
}

/** chart draws at least one reading. */
export function chart(name, readings) {
  const points = readings.map((r) => ({
    ...r, at: Date.parse(r.time), canary: share(r.canaryErrors, r.canaryRequests), stable: share(r.stableErrors, r.stableRequests),
  }));
  const first = points[0].at;
  const span = Math.max(1, points.at(-1).at - first);
  const top = ceiling(Math.max(0.01, ...points.map((p) => Math.max(p.canary ?? 0, p.stable ?? 0))));
  const x = (p) => size.left + (points.length > 1 ? ((p.at - first) / span) * inner.width : inner.width / 2);
  const y = (value) => size.top + inner.height * (1 - value / top);
  const last = points.at(-1);
  return el('figure', { class: 'chart' },
    draw('svg', { viewBox: `0 0 ${size.width} ${size.height}`, role: 'img', 'aria-label': `Share of errors in ${name}: the new pods ${percent(last.canary)}, the others ${percent(last.stable)}, verdict ${verdict(last.verdict)}` },
      grid(top, y), weights(points, x), line(points, 'stable', x, y), line(points, 'canary', x, y),
      points.map((p) => p.canary === null ? null : draw('circle', { class: 'dot', 'data-tone': verdictTones[p.verdict], cx: x(p), cy: y(p.canary), r: 4 },
        draw('title', {}, `${clock(p.at)}: ${verdict(p.verdict)}. ${p.message ?? ''}`))),
      draw('text', { class: 'axis', x: size.left, y: size.height - 6 }, clock(first)),
      points.length > 1 ? draw('text', { class: 'axis', x: size.width - size.right, y: size.height - 6, 'text-anchor': 'end' }, clock(last.at)) : null),
    el('figcaption', {},
      el('span', { class: 'key canary' }, `new pods ${percent(last.canary)}`), el('span', { class: 'key stable' }, `the others ${percent(last.stable)}`),
      el('span', { class: 'quiet' }, 'share of errors since the weight began')));
}

function clock(at) { return new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' }); }

// ceiling is a round number above the highest value.
function ceiling(value) {
  const scale = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((n) => n * scale).find((n) => n >= value * 1.05) ?? 10 * scale;
}

function grid(top, y) {
  return [0, top / 2, top].map((value) => [
    draw('line', { class: 'grid', x1: size.left, x2: size.width - size.right, y1: y(value), y2: y(value) }),
    draw('text', { class: 'axis', x: size.left - 6, y: y(value) + 4, 'text-anchor': 'end' }, percent(value)),
  ]);
}

// weights are lines where a new weight begins.
function weights(points, x) {
  return points.map((p, i) => p.weight === points[i - 1]?.weight ? null : [
    draw('line', { class: 'weight', x1: x(p), x2: x(p), y1: size.top, y2: size.height - size.bottom }),
    draw('text', { class: 'axis', x: x(p) + 4, y: size.top - 8 }, `${p.weight}%`),
  ]);
}

// line breaks off where there was nothing to count, and where a new weight begins to count anew.
function line(points, side, x, y) {
  let path = '';
  points.forEach((p, i) => {
    if (p[side] === null) {
      return;
    }
    const goesOn = i > 0 && points[i - 1][side] !== null && points[i - 1].weight === p.weight;
    path += `${goesOn ? 'L' : 'M'}${x(p).toFixed(1)} ${y(p[side]).toFixed(1)}`;
  });
  return draw('path', { class: `line ${side}`, d: path });
}
