// Every call of a hook: the list, and one with its request and answer.

import { call, part } from '../api.js';
import { attempt } from '../dialog.js';
import { h } from '../dom.js';
import { millis, NONE, text } from '../format.js';
import { may } from '../session.js';
import { answered, badge, bar, button, document_, empty, facts, filters, heading, link, moment, pager, settled, table, tone } from '../widgets.js';

const EVERY_MS = 2000;

const FILTERS = [
  { name: 'hook', label: 'Hook', hint: 'its name' },
  { name: 'event', label: 'Event', hint: 'authorize_publish' },
  { name: 'key', label: 'Stream', hint: 'live/show' },
  { name: 'outcome', label: 'Outcome', hint: 'timeout' },
  { name: 'session', label: 'Session', hint: 's000001' },
  { name: 'event_id', label: 'Event id', hint: '01J…' },
];

/** The three parts of a call's time, of which a bar shows the shares. */
export function times(call_) {
  const parts = [['queued', call_.queued_ms ?? 0], ['connect', call_.connect_ms ?? 0], ['handler', call_.handler_ms ?? 0]];
  const whole = parts.reduce((sum, [, value]) => sum + value, 0);
  const title = `queue ${millis(call_.queued_ms)}, connect ${millis(call_.connect_ms)}, handler ${millis(call_.handler_ms)}`;
  return h('span', { class: 'times', title }, h('span', { class: 'num' }, millis(whole)), bar(parts, whole));
}

/** What becomes of a delivery after a try. */
const FATES = { over: 'it is over', again: 'it is tried again', lost: 'it is lost', kept: 'it is a dead letter' };

export const outcome = (delivery) => badge(tone(delivery.outcome), text(delivery.outcome).replaceAll('_', ' '));

const COLUMNS = [
  { title: 'At', class: 'num', cell: (delivery) => link(`deliveries/${part(delivery.id)}`, moment(delivery.at)) },
  { title: 'Hook', cell: (delivery) => link(`hooks/${part(delivery.hook)}`, delivery.hook) },
  { title: 'Event', cell: (delivery) => h('span', { class: 'mono' }, delivery.event) },
  { title: 'Stream', class: 'wide', cell: (delivery) => h('span', { class: 'mono' }, text(delivery.key)) },
  { title: 'Try', class: 'num', cell: (delivery) => text(delivery.attempt) },
  { title: 'Came to', cell: (delivery) => (delivery.decision ? badge(tone(delivery.decision), delivery.decision) : outcome(delivery)) },
  { title: 'Took', class: 'num', cell: times },
];

export function deliveries(page) {
  const wanted = Object.fromEntries(FILTERS.map(({ name }) => [name, page.query[name] ?? '']));
  const list = page.list('deliveries', EVERY_MS, { limit: 50, ...wanted });
  const again = settled(() => list.filter({ limit: 50, ...wanted }));
  return {
    title: 'Deliveries',
    render() {
      const narrowed = Object.values(wanted).some(Boolean);
      return [
        heading('Deliveries'),
        filters(FILTERS, wanted, again),
        answered(list, () => [
          table({
            caption: 'Deliveries, newest first',
            columns: COLUMNS,
            items: list.items,
            key: (delivery) => `${delivery.id} ${delivery.attempt}`,
            empty: list.next
              ? empty('None in what was searched', 'The newest ones have been looked at; older ones may match.')
              : narrowed
                ? empty('No delivery matches')
                : empty('No hook has been called yet'),
          }),
          pager(list, 'deliveries'),
        ]),
      ];
    },
  };
}

const ATTEMPTS = [
  { title: 'Try', class: 'num', cell: (attempt_) => text(attempt_.attempt) },
  { title: 'At', class: 'num', cell: (attempt_) => moment(attempt_.at) },
  { title: 'Outcome', cell: outcome },
  { title: 'Queue', class: 'num', cell: (attempt_) => millis(attempt_.queued_ms) },
  { title: 'Connect', class: 'num', cell: (attempt_) => millis(attempt_.connect_ms) },
  { title: 'Handler', class: 'num', cell: (attempt_) => millis(attempt_.handler_ms) },
  { title: 'Detail', class: 'wide', cell: (attempt_) => text(attempt_.detail) },
];

export function delivery(page) {
  const [id] = page.params;
  const one = page.watch(`deliveries/${part(id)}`, EVERY_MS);
  const replay = async () => {
    const begun = await attempt(() => call('POST', `deliveries/${part(id)}/replay`), 'It is being delivered again.');
    if (begun?.id) location.hash = `#/deliveries/${part(begun.id)}`;
  };
  return {
    title: 'Delivery',
    render() {
      const whom = one.value?.conn_id ?? one.value?.session_id;
      return [
        heading(one.value ? `${one.value.event} → ${one.value.hook}` : 'Delivery', {
          above: link('deliveries', 'Deliveries'),
          actions: [whom && link(`explain/${part(whom)}`, 'Explain'), one.value?.mode === 'notify' && may('operate', one.value.key) && button('Replay', replay)],
        }),
        one.problem?.status === 404 ? empty('Not tried yet, or no longer kept', 'It stands here as soon as it has been tried.') : answered(one, inside),
      ];
    },
  };
}

function inside(value) {
  return [
    facts([
      ['Outcome', outcome(value)],
      ['Decision', value.decision ? badge(tone(value.decision), value.decision) : NONE],
      ['Stream', value.key ? link(`streams/${part(value.key)}`, value.key) : NONE],
      ['At', moment(value.at)],
      ['Mode', { decide: 'its answer decides', notify: 'it is told' }[value.mode] ?? text(value.mode)],
      ['Then', [FATES[value.next] ?? text(value.next), value.again_at && [' at ', moment(value.again_at)]]],
      value.policy && ['On failure', value.policy],
      ['Delivery', h('span', { class: 'mono' }, text(value.id))],
      ['Event', value.event_id ? link(`deliveries?event_id=${part(value.event_id)}`, h('span', { class: 'mono' }, value.event_id)) : NONE],
      value.detail && ['Detail', value.detail],
    ]),
    h('h2', null, 'Tries'),
    table({ caption: 'Tries of this delivery', columns: ATTEMPTS, items: value.attempts ?? [value], key: (attempt_) => `${attempt_.attempt} ${attempt_.at}` }),
    h('div', { class: 'pair' }, h('section', null, h('h2', null, 'Request'), document_(value.request ?? null, 'Request')), h('section', null, h('h2', null, 'Answer'), document_(value.answer ?? null, 'Answer'))),
  ];
}
