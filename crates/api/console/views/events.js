// The live tail of events and deliveries.

import { follow, part } from '../api.js';
import { h } from '../dom.js';
import { clock, count, millis, NONE, text } from '../format.js';
import { badge, button, document_, empty, filters, heading, link, settled, tone } from '../widgets.js';

/** Rows that are kept: older ones are in the log, which the API has. */
const KEPT = 300;
/** How often what came is drawn: a person reads no faster. */
const DRAW_MS = 250;

export function events(page) {
  const wanted = { type: page.query.type ?? '', key: page.query.key ?? '', conn: page.query.conn ?? '' };
  const tail = { rows: [], held: [], seen: 0, paused: false, deliveries: true, state: 'waiting', problem: undefined, open: new Set() };
  let stop = new AbortController();
  let drawn;

  const soon = () => {
    drawn ??= setTimeout(() => {
      drawn = undefined;
      page.draw();
    }, DRAW_MS);
  };

  function take(event) {
    tail.seen += 1;
    const row = read(event, tail.seen);
    if (tail.paused) tail.held = [row, ...tail.held].slice(0, KEPT);
    else tail.rows = [row, ...tail.rows].slice(0, KEPT);
    soon();
  }

  function start() {
    stop.abort();
    stop = new AbortController();
    Object.assign(tail, { rows: [], held: [], seen: 0, state: 'waiting', problem: undefined });
    tail.open.clear();
    const state = (now, problem) => {
      Object.assign(tail, { state: now, problem });
      page.draw();
    };
    const query = { ...wanted, include: tail.deliveries ? 'events,deliveries' : 'events' };
    page.run(() => follow('events/stream', query, { event: take, state }, AbortSignal.any([page.signal, stop.signal])));
    page.draw();
  }

  function pause() {
    tail.paused = !tail.paused;
    if (!tail.paused) {
      tail.rows = [...tail.held, ...tail.rows].slice(0, KEPT);
      tail.held = [];
    }
    page.draw();
  }

  const again = settled(start);
  start();
  return {
    title: 'Events',
    keys: { p: pause },
    render() {
      return [
        heading('Events', { actions: [h('span', { class: 'live', role: 'status' }, stateOf(tail)), button(tail.paused ? `Go on${tail.held.length ? ` (${tail.held.length} new)` : ''}` : 'Pause', pause, { 'aria-keyshortcuts': 'p' }), button('Clear', () => ((tail.rows = []), page.draw()))] }),
        filters(
          [
            { name: 'type', label: 'Type', hint: 'publish_*' },
            { name: 'key', label: 'Stream', hint: 'live/*' },
            { name: 'conn', label: 'Connection', hint: 'c000001' },
          ],
          wanted,
          again,
          h('label', { class: 'check' }, h('input', { type: 'checkbox', checked: tail.deliveries, on: { change: (event) => ((tail.deliveries = event.target.checked), start()) } }), ' and the calls of hooks'),
        ),
        tail.problem && tail.state === 'refused' && h('p', { class: 'notice bad', role: 'alert' }, tail.problem.message),
        tail.rows.length === 0
          ? empty('Nothing has happened yet', 'Events stand here as they happen. What happened before is in the log of the API: events/log.')
          : h('ol', { class: 'tail', 'aria-label': 'Events, newest first' }, tail.rows.map((row) => rowOf(row, tail, page))),
        tail.rows.length >= KEPT && h('p', { class: 'dim' }, `The newest ${KEPT} of ${count(tail.seen)} are shown.`),
      ];
    },
  };
}

const STATES = { open: ['good', 'following'], waiting: ['warn', 'connecting'], refused: ['bad', 'refused'] };

function stateOf(tail) {
  const [colour, word] = tail.paused ? ['dim', 'paused'] : STATES[tail.state];
  return badge(colour, word);
}

/** What stands in a row of the list, from an event as it was sent. */
function read(event, number) {
  let body;
  try {
    body = JSON.parse(event.data);
  } catch {
    body = { data: event.data };
  }
  const type = event.event ?? 'message';
  if (type === 'deliveries_missed') return { number, type: 'missed', kind: 'gap', body, what: `${count(body.count)} calls of hooks came faster than they could be sent here` };
  if (type === 'gap') return { number, type, kind: 'gap', body, what: `events ${text(body.from)} to ${text(body.to)} are no longer kept` };
  if (type === 'delivery') {
    const times = [body.queued_ms, body.connect_ms, body.handler_ms].filter((time) => typeof time === 'number');
    return { number, type: body.hook, kind: 'delivery', at: body.at, key: body.key, conn: body.conn_id, word: body.decision ?? body.outcome, what: `${text(body.event)} in ${times.length ? millis(times.reduce((a, b) => a + b, 0)) : NONE}`, body, to: body.id && `deliveries/${part(body.id)}` };
  }
  return { number, type, kind: 'event', at: body.time ?? (body.timestamp ? body.timestamp * 1000 : undefined), key: body.stream_key, conn: body.conn_id, what: summary(body.data, body.stream_key), body };
}

/** The first fields of an event in a line, but for those that its stream says. */
function summary(data, key) {
  if (!data || typeof data !== 'object') return text(data);
  const told = (name) => key !== undefined && (name === 'app' || name === 'stream_name');
  const fields = Object.entries(data).filter(([name, value]) => !told(name) && value !== '' && value !== null && typeof value !== 'object');
  return fields.slice(0, 8).map(([name, value]) => `${name}=${value}`).join('  ');
}

function rowOf(row, tail, page) {
  const open = tail.open.has(row.number);
  const toggle = () => {
    if (open) tail.open.delete(row.number);
    else tail.open.add(row.number);
    page.draw();
  };
  return h(
    'li',
    { key: row.number, class: row.kind },
    h(
      'button',
      { type: 'button', class: 'row', 'aria-expanded': String(open), on: { click: toggle } },
      h('span', { class: 'num dim at' }, row.at ? clock(row.at) : NONE),
      h('span', { class: 'what' }, row.kind === 'delivery' && h('span', { class: 'dim' }, '→ '), row.type),
      h('span', { class: 'mono who' }, row.key ?? row.conn ?? ''),
      h('span', { class: 'more dim' }, row.word && [badge(tone(row.word), row.word), ' '], row.what),
    ),
    open &&
      h(
        'div',
        { class: 'opened' },
        h('p', { class: 'links' }, row.key && link(`streams/${part(row.key)}`, 'Stream'), row.conn && link(`explain/${part(row.conn)}`, 'Explain'), row.to && link(row.to, 'Delivery'), row.kind === 'event' && row.body.id && link(`deliveries?event_id=${part(row.body.id)}`, 'Its deliveries')),
        document_(row.body, 'The event as it was sent'),
      ),
  );
}
