// All hooks, one hook, and trying it.

import { call, part } from '../api.js';
import { attempt, ask } from '../dialog.js';
import { h } from '../dom.js';
import { count, millis, NONE, span, text } from '../format.js';
import { may } from '../session.js';
import { answered, badge, button, document_, empty, facts, figures, heading, link, moment, table, tone, trouble } from '../widgets.js';

const EVERY_MS = 2000;

const STATES = { ok: ['good', 'ok'], disabled: ['dim', 'disabled'], breaker_open: ['bad', 'breaker open'], half_open: ['warn', 'half open'], full: ['warn', 'queue full'] };

const state = (hook) => {
  const [colour, word] = STATES[hook.state] ?? [tone(hook.state), text(hook.state).replaceAll('_', ' ')];
  return badge(colour, word);
};

const latency = (hook, part_, quantile) => millis(hook.latency?.[part_]?.[quantile]);

const sum = (counts) => Object.values(counts ?? {}).reduce((total, value) => total + value, 0);

/** Counts by word, the largest first. */
function tally(counts, none) {
  const list = Object.entries(counts ?? {}).filter(([, value]) => value > 0).sort((one, other) => other[1] - one[1]);
  if (list.length === 0) return h('span', { class: 'dim' }, none);
  return h('span', { class: 'tally' }, list.map(([word, value]) => h('span', { key: word }, badge(tone(word), word.replaceAll('_', ' ')), h('span', { class: 'num' }, count(value)))));
}

async function toggle(hook, done) {
  const on = hook.enabled === false;
  if (!on) {
    const sure = await ask({ title: `Disable ${hook.name}?`, text: 'It is not called any more. Its questions are answered without it; its notices wait until it is enabled again, as long as they are kept.', action: 'Disable', danger: true });
    if (!sure) return;
  }
  if (await attempt(() => call('POST', `hooks/${part(hook.name)}/${on ? 'enable' : 'disable'}`), `${hook.name} is ${on ? 'enabled' : 'disabled'}.`)) done();
}

const toggler = (hook, done) =>
  may('hooks') && button(hook.enabled === false ? 'Enable' : 'Disable', () => toggle(hook, done), { 'aria-label': `${hook.enabled === false ? 'Enable' : 'Disable'} ${hook.name}` });

export function hooks(page) {
  const list = page.watch('hooks', EVERY_MS, { limit: 1000 });
  const columns = [
    {
      title: 'Hook',
      class: 'wide',
      cell: (hook) => [
        h('span', { class: 'line' }, link(`hooks/${part(hook.name)}`, hook.name), ' ', state(hook)),
        h('span', { class: 'line dim clip', title: (hook.on ?? []).join(' ') }, (hook.on ?? []).join(' ')),
      ],
    },
    { title: 'Handler', cell: (hook) => [h('span', { class: 'line' }, text(hook.handler?.type)), h('span', { class: 'line dim mono clip', title: hook.handler?.target }, text(hook.handler?.target))] },
    { title: 'Latency', class: 'num', cell: (hook) => (hook.latency?.handler?.p50_ms == null ? h('span', { class: 'dim' }, NONE) : [h('span', { class: 'line' }, latency(hook, 'handler', 'p50_ms')), h('span', { class: 'line dim' }, 'p99 ', latency(hook, 'handler', 'p99_ms'))]) },
    { title: 'Waiting', class: 'num', cell: (hook) => [count(hook.waiting ?? 0), hook.queue ? h('span', { class: 'dim' }, ` / ${count(hook.queue)}`) : null] },
    { title: 'Behind', class: 'num', cell: (hook) => (hook.lag?.events > 0 ? [h('span', { class: 'line' }, count(hook.lag.events)), h('span', { class: 'line dim' }, span(hook.lag.seconds))] : h('span', { class: 'dim' }, 'none')) },
    { title: 'Calls', class: 'num', cell: (hook) => count(sum(hook.outcomes)) },
    { title: '', class: 'act', cell: (hook) => toggler(hook, () => list.touch()) },
  ];
  return {
    title: 'Hooks',
    render() {
      return [
        heading('Hooks'),
        answered(list, ({ items }) => [
          figures([
            { name: 'Hooks', value: count(items.length) },
            { name: 'Not well', value: count(items.filter((hook) => hook.state !== 'ok').length) },
            { name: 'Waiting', value: count(items.reduce((total, hook) => total + (hook.waiting ?? 0), 0)) },
          ]),
          table({
            caption: 'Hooks',
            columns,
            items,
            key: (hook) => hook.name,
            empty: empty('No hook yet', ['Start the server with ', h('code', null, '--hook-script publish_start=./notify.sh'), ', or put a ', h('code', null, '[[hook]]'), ' into its configuration and reload it.']),
          }),
        ]),
      ];
    },
  };
}

export function hook(page) {
  const [name] = page.params;
  const one = page.watch(`hooks/${part(name)}`, EVERY_MS);
  const catalogue = page.watch('events');
  const trial = { event: undefined, key: 'live/test', data: '{}', busy: false, result: undefined, problem: undefined };
  return {
    title: name,
    render() {
      return [
        heading(name, { above: link('hooks', 'Hooks'), actions: [link(`deliveries?hook=${part(name)}`, 'Deliveries'), link(`dead-letters?hook=${part(name)}`, 'Dead letters'), one.value && toggler(one.value, () => one.touch())] }),
        answered(one, (value) => [inside(value), may('hooks') && tryIt(page, value, names(catalogue.value), trial)]),
      ];
    },
  };
}

const names = (catalogue) => (Array.isArray(catalogue) ? catalogue : (catalogue?.items ?? [])).map((event) => event.name);

const TIMES = [
  { title: 'Part of a call', cell: ({ name, what }) => [name, h('span', { class: 'dim' }, ` ${what}`)] },
  { title: 'p50', class: 'num', cell: ({ times }) => millis(times?.p50_ms) },
  { title: 'p99', class: 'num', cell: ({ times }) => millis(times?.p99_ms) },
];

function inside(hook) {
  const parts = [
    { name: 'Queue', what: 'until its turn', times: hook.latency?.queue },
    { name: 'Connect', what: 'until the handler was reached', times: hook.latency?.connect },
    { name: 'Handler', what: 'until it had answered', times: hook.latency?.handler },
  ];
  return [
    figures([
      { name: 'State', value: state(hook) },
      { name: 'Waiting', value: count(hook.waiting), note: hook.queue && `of ${count(hook.queue)}` },
      { name: 'Running', value: count(hook.running) },
      { name: 'Behind by', value: hook.lag?.events > 0 ? count(hook.lag.events) : 'nothing', note: hook.lag?.events > 0 && `events, ${span(hook.lag.seconds)}` },
    ]),
    hook.last_error &&
      h('p', { class: 'notice warn' }, h('strong', null, text(hook.last_error.outcome).replaceAll('_', ' ')), ' at ', moment(hook.last_error.at), ': ', text(hook.last_error.detail)),
    facts([
      ['On', h('span', { class: 'mono' }, (hook.on ?? []).join(' '))],
      ['Handler', [text(hook.handler?.type), ' ', h('span', { class: 'mono' }, text(hook.handler?.target))]],
      ['Mode', text(hook.mode)],
      ['From', { file: 'the configuration file', flag: 'a flag', api: 'the API' }[hook.origin] ?? text(hook.origin)],
      ['Outcomes', tally(hook.outcomes, 'no call yet')],
      ['Decisions', tally(hook.decisions, 'none yet')],
      ['Retried', count(hook.retried)],
      ['Lost', count(hook.lost)],
      ['Let pass on failure', count(hook.failopens)],
      ['Restarts', count(hook.restarts)],
    ]),
    h('h2', null, 'Latency'),
    table({ caption: 'Latency of its calls', columns: TIMES, items: parts, key: ({ name }) => name }),
  ];
}

/** The events of the catalogue that this hook is on. */
function fitting(hook, all) {
  const patterns = (hook.on ?? []).map((pattern) => new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`));
  const found = all.filter((name) => patterns.some((pattern) => pattern.test(name)));
  return found.length > 0 ? found : (hook.on ?? []);
}

function tryIt(page, hook, all, trial) {
  const events = fitting(hook, all);
  trial.event ??= events[0];
  async function submit(event) {
    event.preventDefault();
    Object.assign(trial, { busy: true, result: undefined, problem: undefined });
    page.draw();
    try {
      const data = JSON.parse(trial.data || '{}');
      trial.result = await call('POST', `hooks/${part(hook.name)}/test`, { body: { event: trial.event, data, ...(trial.key ? { stream_key: trial.key } : {}) }, signal: page.signal });
    } catch (problem) {
      trial.problem = problem instanceof SyntaxError ? new Error(`The data is no JSON: ${problem.message}`) : problem;
    }
    trial.busy = false;
    page.draw();
  }
  const take = (field) => (event) => (trial[field] = event.target.value);
  return [
    h('h2', null, 'Test'),
    h('p', { class: 'dim' }, 'Calls the handler for real, with an example of the event that is marked ', h('code', null, '"test": true'), '.'),
    h(
      'form',
      { class: 'trial', on: { submit } },
      h('label', { class: 'field' }, h('span', null, 'Event'), h('select', { name: 'event', value: trial.event, on: { change: take('event') } }, events.map((name) => h('option', { key: name, value: name }, name)))),
      h('label', { class: 'field' }, h('span', null, 'Stream'), h('input', { name: 'key', value: trial.key, spellcheck: 'false', autocomplete: 'off', on: { input: take('key') } })),
      h('label', { class: 'field broad' }, h('span', null, 'Data that replaces the example’s, as JSON'), h('textarea', { name: 'data', rows: 3, spellcheck: 'false', value: trial.data, on: { input: take('data') } })),
      h('div', { class: 'actions' }, h('button', { type: 'submit', class: 'primary', disabled: trial.busy || !trial.event }, trial.busy ? 'Asking…' : 'Test')),
    ),
    trouble(trial.problem),
    trial.result && result(trial.result),
  ];
}

function result(answer) {
  const verdict = answer.verdict && typeof answer.verdict === 'object' ? (answer.verdict.verdict ?? answer.verdict.decision ?? JSON.stringify(answer.verdict)) : answer.verdict;
  return h(
    'section',
    { class: 'result', 'aria-label': 'Result of the test', ref: (section) => requestAnimationFrame(() => section.scrollIntoView({ block: 'nearest' })) },
    facts([
      ['Outcome', badge(tone(answer.outcome), text(answer.outcome).replaceAll('_', ' '))],
      ['Decision', answer.decision ? badge(tone(answer.decision), answer.decision) : NONE],
      ['Verdict', verdict ? badge(tone(verdict), verdict) : NONE],
      ['Queue', millis(answer.queued_ms)],
      ['Connect', millis(answer.connect_ms)],
      ['Handler', millis(answer.handler_ms)],
      answer.detail && ['Detail', answer.detail],
    ]),
    h('div', { class: 'pair' }, h('div', null, h('h3', null, 'Request'), document_(answer.request ?? null, 'Request')), h('div', null, h('h3', null, 'Answer'), document_(answer.answer ?? null, 'Answer'))),
  );
}
