// What several views are made of.

import { h } from './dom.js';
import { clock, NONE } from './format.js';

/** A heading with what can be done at its side. */
export function heading(title, { above, actions, mono } = {}) {
  return h(
    'header',
    { class: 'heading' },
    above && h('p', { class: 'above' }, above),
    h('h1', { tabindex: -1, class: mono ? 'mono' : null }, title),
    actions && h('div', { class: 'actions' }, actions),
  );
}

/** A link within the console. */
export const link = (to, ...children) => h('a', { href: `#/${to}` }, children);

export const button = (label, press, more = {}) =>
  h('button', { type: 'button', on: { click: press }, ...more }, label);

/** A word for a state, with a colour and a mark that do not depend on each other. */
export const badge = (tone, ...label) => h('span', { class: `badge ${tone}` }, label);

/** What a call came to: good, bad, or to be looked at. */
export function tone(word) {
  const known = String(word ?? '').toLowerCase();
  if (/^(ok|answered|allow|live|enabled)$/.test(known)) return 'good';
  if (/^(deny|lost|breaker_open)$/.test(known)) return 'bad';
  if (known === '' || /^(pass|cancelled|disabled)$/.test(known)) return 'dim';
  return /error|timeout|crashed|overload|budget|late|full|half_open|resumable/.test(known) ? 'warn' : 'plain';
}

/** A time of day with the exact moment behind it. */
export const moment = (value) =>
  value ? h('time', { datetime: value, title: value, class: 'num' }, clock(value)) : NONE;

/** Pairs of a name and a value. */
export function facts(pairs) {
  return h(
    'dl',
    { class: 'facts' },
    pairs.filter(Boolean).map(([name, value]) => h('div', { key: name }, h('dt', null, name), h('dd', null, value ?? NONE))),
  );
}

/** Large figures. */
export function figures(list) {
  return h(
    'dl',
    { class: 'figures' },
    list.filter(Boolean).map(({ name, value, note, drawing }) =>
      h('div', { key: name }, h('dt', null, name), h('dd', { class: 'num' }, value, note && h('small', null, note)), drawing),
    ),
  );
}

/**
 * A table. A column has a `title`, a `cell` of an item, and perhaps a `class` (`num` for figures, `wide` for what takes
 * the room that is left, `act` for buttons). On a narrow screen each row becomes a card that names its cells.
 */
export function table({ caption, columns, items, key, empty, row = () => ({}) }) {
  if (items.length === 0 && empty) return empty;
  const head = h('tr', null, columns.map((column) => h('th', { scope: 'col', class: column.class }, column.title || h('span', { class: 'unseen' }, 'Actions'))));
  const rows = items.map((item) =>
    h(
      'tr',
      { key: key(item), ...row(item) },
      columns.map((column, at) =>
        h(at === 0 ? 'th' : 'td', { scope: at === 0 ? 'row' : null, class: column.class, 'data-title': column.title || null }, h('div', null, column.cell(item))),
      ),
    ),
  );
  return h('div', { class: 'sheet' }, h('table', null, h('caption', { class: 'unseen' }, caption), h('thead', null, head), h('tbody', null, rows)));
}

/** Nothing there: why, and what to do about it. */
export const empty = (title, ...lines) =>
  h('div', { class: 'empty' }, h('p', { class: 'title' }, title), lines.map((line) => h('p', null, line)));

/** What went wrong with getting what should stand here. */
export function trouble(problem) {
  if (!problem) return null;
  const detail = problem.status === 403 ? `${problem.message} Your token does not cover this.` : problem.message;
  return h('p', { class: 'notice bad', role: 'alert' }, detail);
}

/** While the first answer is on its way. */
export const waiting = () => h('p', { class: 'waiting', role: 'status' }, 'Asking the server…');

/** The answer of `source` by `show`, or what stands in for it. */
export function answered(source, show) {
  return [trouble(source.problem), source.waiting ? waiting() : source.value !== undefined && !source.refused && show(source.value)];
}

/** The end of a list by pages. */
export function pager(list, what) {
  if (!list.next && !list.held) return null;
  const found = list.items.length > 0;
  return h(
    'nav',
    { class: 'pager', 'aria-label': `Pages of ${what}` },
    list.held && button('Back to the newest', () => list.newest()),
    list.next &&
      button(list.busy ? 'Searching…' : found ? `Older ${what}` : 'Search further back', () => list.more(), { disabled: list.busy }),
    list.held && h('span', { class: 'dim' }, `${list.items.length} shown; new ones wait.`),
  );
}

/** Fields that narrow a list. Each change asks again, once the typing pauses. */
export function filters(fields, values, change, ...more) {
  return h(
    'form',
    { class: 'filters', role: 'search', on: { submit: (event) => event.preventDefault() } },
    fields.map(({ name, label, hint, options }) => {
      const take = (event) => {
        values[name] = event.target.value.trim();
        change();
      };
      return h(
        'label',
        { key: name },
        h('span', null, label),
        options
          ? h('select', { name, value: values[name] ?? '', on: { change: take } }, h('option', { value: '' }, 'Any'), options.map((word) => h('option', { key: word, value: word }, word)))
          : h('input', { name, type: 'search', value: values[name] ?? '', placeholder: hint, spellcheck: 'false', autocomplete: 'off', autocapitalize: 'off', on: { input: take } }),
      );
    }),
    more,
  );
}

/** Calls `then` once nothing has called this for `ms`. */
export function settled(then, ms = 300) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(then, ms);
  };
}

/** A line of past values, for the eye only: the figure stands beside it. */
export function sparkline(values, { width = 72, height = 20, wide } = {}) {
  const top = Math.max(...values, 1);
  const step = width / Math.max(values.length - 1, 1);
  const at = (value, index) => `${(index * step).toFixed(1)},${(height - 1.5 - (value / top) * (height - 3)).toFixed(1)}`;
  const points = values.length > 1 ? values.map(at).join(' ') : '';
  return h(
    'svg',
    { class: wide ? 'spark wide' : 'spark', viewBox: `0 0 ${width} ${height}`, width: wide ? null : width, height, preserveAspectRatio: 'none', 'aria-hidden': 'true', focusable: 'false' },
    points && h('polygon', { points: `0,${height} ${points} ${width},${height}` }),
    points && h('polyline', { points, 'vector-effect': 'non-scaling-stroke' }),
  );
}

/** Parts of a whole as a bar: `[class, value]`; the figures stand beside it. */
export function bar(parts, whole) {
  let from = 0;
  return h(
    'svg',
    { class: 'bar', viewBox: '0 0 100 6', preserveAspectRatio: 'none', 'aria-hidden': 'true', focusable: 'false' },
    parts.map(([name, value]) => {
      const width = whole > 0 ? (Math.max(value, 0) / whole) * 100 : 0;
      const piece = h('rect', { class: name, x: from.toFixed(2), y: 0, width: width.toFixed(2), height: 6 });
      from += width;
      return piece;
    }),
  );
}

/** Longer documents are shown without colours. */
const COLOURED = 20000;

/** A JSON document, indented. */
export function document_(value, label) {
  const plain = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
  const inside = typeof value === 'string' || plain.length > COLOURED ? plain : coloured(value, '');
  return h('pre', { class: 'code', tabindex: 0, role: 'region', 'aria-label': label }, h('code', null, inside));
}

function coloured(value, indent) {
  const word = (name) => h('span', { class: name }, JSON.stringify(value));
  if (value === null || typeof value === 'boolean') return word('lit');
  if (typeof value === 'number') return word('fig');
  if (typeof value === 'string') return word('str');
  const list = Array.isArray(value);
  const inner = `${indent}  `;
  const lines = Object.entries(value).map(([name, item], at, all) => [
    `\n${inner}`,
    list ? null : [h('span', { class: 'name' }, JSON.stringify(name)), ': '],
    coloured(item, inner),
    at < all.length - 1 ? ',' : '',
  ]);
  const [open, close] = list ? '[]' : '{}';
  return lines.length > 0 ? [open, lines, `\n${indent}${close}`] : `${open}${close}`;
}
