// All streams, and one stream.

import { call, part } from '../api.js';
import { attempt, ask } from '../dialog.js';
import { h } from '../dom.js';
import { bytes, codec, count, distance, NONE, rate, shape, span, text } from '../format.js';
import { may } from '../session.js';
import { answered, badge, button, empty, facts, figures, filters, heading, link, sparkline, table, trouble, tone } from '../widgets.js';
import { connectionsTable } from './connections.js';

const EVERY_MS = 2000;
/** Two minutes of bit rates. */
const SAMPLES = 60;
/** Bit rates of the past by stream: they outlive a visit, so that a stream's own page begins with them. */
const past = new Map();

/** Keeps the figures of streams that are there, and forgets the others. */
function remember(streams) {
  const keys = new Set(streams.map((stream) => stream.key));
  for (const key of past.keys()) if (!keys.has(key)) past.delete(key);
  for (const stream of streams) note(stream);
}

function note(stream) {
  const now = performance.now();
  const seen = past.get(stream.key) ?? { rates: [] };
  if (seen.epoch !== stream.epoch) Object.assign(seen, { epoch: stream.epoch, rates: [], bytes: undefined });
  const measured = seen.bytes === undefined ? undefined : ((stream.bytes_received - seen.bytes) * 8000) / (now - seen.at);
  const told = (stream.tracks ?? []).reduce((sum, track) => sum + (track.bitrate ?? 0), 0);
  seen.rate = told || (measured >= 0 ? measured : undefined);
  if (seen.at === undefined || now - seen.at > EVERY_MS / 2) {
    Object.assign(seen, { at: now, bytes: stream.bytes_received });
    if (seen.rate !== undefined) seen.rates = [...seen.rates, seen.rate].slice(-SAMPLES);
  }
  past.set(stream.key, seen);
}

const rateOf = (stream) => past.get(stream.key)?.rate;
const ratesOf = (stream) => past.get(stream.key)?.rates ?? [];

const tracksOf = (stream, kind) => (stream.tracks ?? []).filter((track) => track.kind === kind);

/** The first track of a kind in two lines, and how many more there are. */
function preview(stream, kind) {
  const [track, ...others] = tracksOf(stream, kind);
  if (!track) return h('span', { class: 'dim' }, NONE);
  return [
    h('span', { class: 'line' }, codec(track.codec), others.length > 0 && h('span', { class: 'dim' }, ` +${others.length}`)),
    h('span', { class: 'line dim num' }, shape(track)),
  ];
}

const COLUMNS = [
  {
    title: 'Stream',
    class: 'wide',
    cell: (stream) => [
      h('span', { class: 'line' }, link(`streams/${part(stream.key)}`, stream.key), stream.state && stream.state !== 'live' && [' ', badge(tone(stream.state), stream.state)]),
      h('span', { class: 'line dim' }, stream.publisher?.client_ip ? `${stream.publisher.client_ip} · ${text(stream.publisher.protocol)}` : 'its publisher has gone'),
    ],
  },
  { title: 'Video', cell: (stream) => preview(stream, 'video') },
  { title: 'Audio', cell: (stream) => preview(stream, 'audio') },
  { title: 'Bit rate', class: 'num', cell: (stream) => h('span', { class: 'paired' }, sparkline(ratesOf(stream)), h('span', null, rate(rateOf(stream)))) },
  { title: 'Key frames', class: 'num', cell: (stream) => distance(stream.key_frame_ms) },
  { title: 'Viewers', class: 'num', cell: (stream) => count(stream.viewers) },
  { title: 'Uptime', class: 'num', cell: (stream) => span(stream.uptime_seconds) },
];

export function streams(page) {
  const list = page.watch('streams', EVERY_MS, { limit: 1000 });
  const wanted = { key: page.query.key ?? '' };
  list.seen = ({ items }) => remember(items);
  const nothing = () =>
    empty(
      'No stream yet',
      ['Publish to ', h('code', null, `rtmp://${location.hostname}/live/show`), ', with OBS or with'],
      h('code', { class: 'command' }, `ffmpeg -re -i FILE -c copy -f flv rtmp://${location.hostname}/live/show`),
      ['It shows up here as soon as it is accepted. If it is not, ', link('explain', 'Explain'), ' says which hook refused it.'],
    );
  return {
    title: 'Streams',
    render() {
      return [
        heading('Streams'),
        answered(list, ({ items, next }) => {
          const sum = (of) => items.reduce((total, item) => total + (of(item) ?? 0), 0);
          const shown = items.filter((stream) => stream.key.includes(wanted.key));
          return [
            figures([
              { name: 'Live', value: count(items.length), note: next && 'or more' },
              { name: 'Viewers', value: count(sum((stream) => stream.viewers)) },
              { name: 'Coming in', value: rate(sum(rateOf)) },
            ]),
            items.length > 8 && filters([{ name: 'key', label: 'Stream', hint: 'part of its name' }], wanted, () => page.draw()),
            table({ caption: 'Live streams', columns: COLUMNS, items: shown, key: (stream) => stream.key, empty: items.length > 0 ? empty('No stream has this in its name') : nothing() }),
            next && h('p', { class: 'dim' }, 'Only the first 1000 are shown.'),
          ];
        }),
      ];
    },
  };
}

const TRACKS = [
  { title: 'Track', cell: (track) => text(track.track) },
  { title: 'Kind', cell: (track) => text(track.kind) },
  { title: 'Codec', cell: (track) => [codec(track.codec), track.codec_string && h('span', { class: 'dim mono' }, ` ${track.codec_string}`)] },
  { title: 'Format', cell: shape },
  { title: 'Bit rate', class: 'num', cell: (track) => rate(track.bitrate) },
];

export function stream(page) {
  const [key] = page.params;
  const one = page.watch(`streams/${part(key)}`, EVERY_MS);
  const viewers = page.watch('connections', EVERY_MS, { limit: 1000 });
  one.seen = note;

  async function unpublish() {
    const answer = await ask({
      title: 'Unpublish this stream?',
      text: `The publisher of ${key} is sent away, and its viewers see the end of the stream. The encoder may come back unless a hook refuses it.`,
      fields: [{ name: 'reason', label: 'Reason, which the encoder is told', hint: 'optional' }],
      action: 'Unpublish',
      danger: true,
    });
    if (answer && (await attempt(() => call('DELETE', `streams/${part(key)}/publisher`, { query: answer }), `${key} has been unpublished.`))) one.touch();
  }

  return {
    title: key,
    render() {
      const gone = one.problem?.status === 404;
      return [
        heading(key, {
          above: link('streams', 'Streams'),
          mono: true,
          actions: [
            link(`events?key=${part(key)}`, 'Events'),
            link(`deliveries?key=${part(key)}`, 'Deliveries'),
            !gone && one.value?.state === 'live' && may('operate', key) && button('Unpublish…', unpublish, { class: 'danger' }),
          ],
        }),
        gone ? empty('Nobody publishes this stream', 'It may come back; this page waits for it.') : answered(one, (value) => inside(value, viewers)),
      ];
    },
  };
}

function inside(stream, connections) {
  const publisher = stream.publisher;
  const here = (connections.value?.items ?? []).filter((connection) => connection.stream_key === stream.key);
  const counters = Object.entries(stream.counters ?? {}).map(([name, value]) => [name.replaceAll('_', ' '), typeof value === 'number' ? count(value) : text(value)]);
  return [
    figures([
      { name: 'Bit rate', value: rate(rateOf(stream)), drawing: sparkline(ratesOf(stream), { width: 240, height: 36, wide: true }) },
      { name: 'Viewers', value: count(stream.viewers) },
      { name: 'Uptime', value: span(stream.uptime_seconds) },
      { name: 'Key frames every', value: distance(stream.key_frame_ms) },
    ]),
    h('h2', null, 'Tracks'),
    table({ caption: 'Tracks of this stream', columns: TRACKS, items: stream.tracks ?? [], key: (track) => track.track, empty: empty('No track yet', 'The publisher is there but has sent no media.') }),
    h('h2', null, 'Publisher'),
    facts([
      ['Connection', publisher?.conn_id ? [link(`explain/${part(publisher.conn_id)}`, publisher.conn_id), h('span', { class: 'dim' }, ' why it was let in')] : 'gone'],
      ['Address', text(publisher?.client_ip)],
      ['Protocol', text(publisher?.protocol)],
      ['State', stream.state === 'resumable' ? 'its publisher has gone and may return' : text(stream.state)],
      ['Epoch', count(stream.epoch)],
      ['Received', bytes(stream.bytes_received)],
    ]),
    counters.length > 0 && [h('h2', null, 'Counters'), facts(counters)],
    h('h2', null, 'Connections of this stream'),
    trouble(connections.problem),
    connectionsTable(here, () => connections.touch(), empty('None')),
  ];
}
