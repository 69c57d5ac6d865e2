// Notices that no try could deliver.

import { call, part } from '../api.js';
import { ask, attempt } from '../dialog.js';
import { h } from '../dom.js';
import { count, text } from '../format.js';
import { may } from '../session.js';
import { answered, button, document_, empty, facts, filters, heading, link, moment, pager, settled, table } from '../widgets.js';
import { outcome } from './deliveries.js';

const EVERY_MS = 2000;

const FILTERS = [
  { name: 'hook', label: 'Hook', hint: 'its name' },
  { name: 'event', label: 'Event', hint: 'publish_start' },
  { name: 'key', label: 'Stream', hint: 'live/show' },
];

const set = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value));

/** What a filter says in words. */
const words = (values) => Object.entries(set(values)).map(([name, value]) => `${name} ${value}`).join(', ');

async function replayOne(letter, done) {
  if (await attempt(() => call('POST', `dead-letters/${part(letter.id)}/replay`), `${letter.event} is being delivered to ${letter.hook} again.`)) done();
}

async function dropOne(letter, done) {
  const sure = await ask({ title: 'Drop this dead letter?', text: `${letter.hook} will never get this ${letter.event}. This cannot be undone.`, action: 'Drop', danger: true });
  if (sure && (await attempt(() => call('DELETE', `dead-letters/${part(letter.id)}`), 'It has been dropped.'))) done();
}

async function replayAll(wanted, done) {
  const sure = await ask({ title: 'Replay dead letters?', text: `All ${words(wanted) ? `with ${words(wanted)}` : 'of them, whatever the hook,'} are delivered again, in their order.`, action: 'Replay all' });
  if (sure && (await attempt(() => call('POST', 'dead-letters/replay', { body: set(wanted) }), (answer) => `${count(answer.replayed)} are being delivered again.`))) done();
}

async function dropAll(wanted, done) {
  const sure = await ask({ title: 'Drop dead letters?', text: `All with ${words(wanted)} are given up. This cannot be undone.`, action: 'Drop all', danger: true });
  if (sure && (await attempt(() => call('DELETE', 'dead-letters', { query: set(wanted) }), (answer) => `${count(answer.dropped)} have been dropped.`))) done();
}

export function deadLetters(page) {
  const wanted = Object.fromEntries(FILTERS.map(({ name }) => [name, page.query[name] ?? '']));
  const list = page.list('dead-letters', EVERY_MS, { limit: 50, ...wanted });
  const again = settled(() => list.filter({ limit: 50, ...wanted }));
  const done = () => list.newest();
  const columns = [
    { title: 'Since', class: 'num', cell: (letter) => link(`dead-letters/${part(letter.id)}`, moment(letter.at)) },
    { title: 'Hook', cell: (letter) => link(`hooks/${part(letter.hook)}`, letter.hook) },
    { title: 'Event', cell: (letter) => [h('span', { class: 'line mono' }, letter.event), h('span', { class: 'line dim mono' }, text(letter.key))] },
    { title: 'Tries', class: 'num', cell: (letter) => text(letter.attempts) },
    { title: 'Failed by', class: 'wide', cell: (letter) => [h('span', { class: 'line' }, outcome(letter)), letter.detail && h('span', { class: 'line dim clip', title: letter.detail }, letter.detail)] },
    {
      title: '',
      class: 'act',
      cell: (letter) =>
        may('operate', letter.key) && [
          button('Replay', () => replayOne(letter, done), { 'aria-label': `Replay ${letter.event} to ${letter.hook}` }),
          button('Drop…', () => dropOne(letter, done), { class: 'danger', 'aria-label': `Drop ${letter.event} to ${letter.hook}` }),
        ],
    },
  ];
  return {
    title: 'Dead letters',
    render() {
      const narrowed = Object.values(wanted).some(Boolean);
      const any = !list.refused && list.items.length > 0 && may('operate');
      return [
        heading('Dead letters', {
          actions: any && [
            button(narrowed ? 'Replay all that match…' : 'Replay all…', () => replayAll(wanted, done)),
            narrowed && button('Drop all that match…', () => dropAll(wanted, done), { class: 'danger' }),
          ],
        }),
        filters(FILTERS, wanted, again),
        answered(list, () => [
          table({
            caption: 'Dead letters, newest first',
            columns,
            items: list.items,
            key: (letter) => letter.id,
            empty: list.next
              ? empty('None in what was searched', 'The newest ones have been looked at; older ones may match.')
              : narrowed
                ? empty('No dead letter matches')
                : empty('No dead letters', 'Every notice has reached its hook, or is still being tried.'),
          }),
          pager(list, 'dead letters'),
        ]),
      ];
    },
  };
}

export function deadLetter(page) {
  const [id] = page.params;
  const one = page.watch(`dead-letters/${part(id)}`);
  const back = () => (location.hash = '#/dead-letters');
  return {
    title: 'Dead letter',
    render() {
      const letter = one.value;
      return [
        heading(letter ? `${letter.event} → ${letter.hook}` : 'Dead letter', {
          above: link('dead-letters', 'Dead letters'),
          actions: letter && [
            link(`deliveries?event_id=${part(letter.event_id)}&hook=${part(letter.hook)}`, 'Its tries'),
            may('operate', letter.key) && [button('Replay', () => replayOne(letter, back)), button('Drop…', () => dropOne(letter, back), { class: 'danger' })],
          ],
        }),
        answered(one, (value) => [
          facts([
            ['Failed by', outcome(value)],
            ['Detail', text(value.detail)],
            ['Tries', text(value.attempts)],
            ['First try', moment(value.first_at)],
            ['Given up', moment(value.at)],
            ['Stream', text(value.key)],
            ['Event id', h('span', { class: 'mono' }, text(value.event_id))],
          ]),
          h('h2', null, 'Request'),
          document_(value.request ?? null, 'Request'),
        ]),
      ];
    },
  };
}
