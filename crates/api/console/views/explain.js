// Why a client was let in or not: all questions that were asked for it, in order.

import { part } from '../api.js';
import { h } from '../dom.js';
import { millis, NONE, text } from '../format.js';
import { answered, badge, document_, empty, facts, heading, link, moment, table, tone } from '../widgets.js';
import { times } from './deliveries.js';

/** Where the newest refusals are looked for. */
const LOOKED_AT = 500;

export function explainWhom(page) {
  const state = { id: '' };
  const recent = page.watch('deliveries', 5000, { limit: LOOKED_AT });
  const submit = (event) => {
    event.preventDefault();
    if (state.id.trim()) location.hash = `#/explain/${part(state.id.trim())}`;
  };
  const whom = (delivery) => delivery.conn_id ?? delivery.session_id;
  const columns = [
    { title: 'At', class: 'num', cell: (delivery) => moment(delivery.at) },
    { title: 'Connection', cell: (delivery) => (whom(delivery) ? link(`explain/${part(whom(delivery))}`, whom(delivery)) : NONE) },
    { title: 'Question', cell: (delivery) => h('span', { class: 'mono' }, delivery.event) },
    { title: 'Stream', class: 'wide', cell: (delivery) => h('span', { class: 'mono' }, text(delivery.key)) },
    { title: 'Refused by', cell: (delivery) => link(`hooks/${part(delivery.hook)}`, delivery.hook) },
  ];
  return {
    title: 'Explain',
    render() {
      return [
        heading('Explain'),
        h('p', null, 'Every question that was asked for a client, each hook that could have answered, and what it said.'),
        h(
          'form',
          { class: 'filters', role: 'search', on: { submit } },
          h('label', null, h('span', null, 'Connection or session'), h('input', { name: 'id', type: 'search', value: state.id, placeholder: 'c000001', spellcheck: 'false', autocomplete: 'off', on: { input: (event) => (state.id = event.target.value) } })),
          h('button', { type: 'submit', class: 'primary' }, 'Explain'),
        ),
        h('h2', null, 'Refused of late'),
        answered(recent, ({ items }) => {
          const refused = items.filter((delivery) => delivery.mode === 'decide' && (delivery.decision === 'deny' || delivery.policy === 'deny'));
          return table({ caption: 'Refused of late', columns, items: refused, key: (delivery) => delivery.id, empty: empty('Nobody was refused', `None of the newest ${items.length} calls of hooks came to a refusal.`) });
        }),
      ];
    },
  };
}

export function explain(page) {
  const [id] = page.params;
  const one = page.watch(`explain/${part(id)}`, 5000);
  return {
    title: `Explain ${id}`,
    render() {
      const missing = one.problem?.status === 404;
      const connection = one.value?.conn_id;
      return [
        heading(id, { above: link('explain', 'Explain'), mono: true, actions: [connection && link(`events?conn=${part(connection)}`, 'Events'), id.startsWith('s') && link(`deliveries?session=${part(id)}`, 'Deliveries')] }),
        missing
          ? empty('Nothing is known of it', one.problem.message)
          : answered(one, ({ session, conn_id, complete_since, questions }) => [
              complete_since && h('p', { class: 'notice warn' }, 'Only what was asked since ', moment(complete_since), ' was looked at: older questions may be missing.'),
              facts([['Connection', text(conn_id)], session && ['Session', session], ['Questions', text(questions.length)]]),
              h('ol', { class: 'questions' }, questions.map((question) => asked(question))),
            ]),
      ];
    },
  };
}

/** What decided when no answer did. */
const DEFAULTS = {
  no_hook: 'no hook decides this question, so it is allowed',
  no_opinion: 'every hook that was asked passed, so it is allowed',
  on_error: 'a hook failed, and what is set for that case acted',
};

/** Why a hook was asked, or was not. */
const WHY = {
  asked: '',
  other_event: 'it is not on this event',
  only_told: 'it is only told of this',
  other_stream: 'it is for other streams',
  disabled: 'it is disabled',
  not_reached: 'the question was decided before its turn',
};

/** A reason has a text for the log, one for the client, and a code. */
const reasons = (reason) => [['Reason', reason?.text], ['For the client', reason?.public], ['Code', reason?.code]].filter(([, words]) => words);

function asked(question) {
  const { verdict, steps } = question;
  const called = steps.filter((step) => step.matched).length;
  return h(
    'li',
    { key: question.id, class: `question ${tone(verdict)}` },
    h('header', null, h('h2', { class: 'mono' }, question.event), badge(tone(verdict), verdict ?? 'the client left'), h('span', { class: 'dim' }, question.key && [h('span', { class: 'mono' }, question.key), ' · '], moment(question.at), ' · ', h('span', { class: 'num' }, millis(question.elapsed_ms)))),
    facts([
      question.denied_by && ['Refused by', link(`hooks/${part(question.denied_by)}`, question.denied_by)],
      question.public && ['Told to the client', question.public],
      ...reasons(question.reason).filter(([, words]) => words !== question.public),
      question.failopen.length > 0 && ['Let pass on failure', question.failopen.join(', ')],
      question.default && ['No answer', DEFAULTS[question.default] ?? question.default],
    ]),
    steps.length === 0
      ? h('p', { class: 'dim' }, 'There is no hook.')
      : h('ol', { class: 'steps', 'aria-label': `${called} of ${steps.length} hooks were asked` }, steps.map((step) => stepOf(step, question))),
  );
}

function stepOf(step, question) {
  return h(
    'li',
    { key: step.hook, class: step.matched ? 'matched' : 'unmatched' },
    h(
      'div',
      { class: 'line' },
      link(`hooks/${part(step.hook)}`, step.hook),
      ' ',
      step.matched ? [step.decision && [badge(tone(step.decision), step.decision), ' '], step.outcome !== 'answered' && badge(tone(step.outcome), text(step.outcome).replaceAll('_', ' '))] : badge('dim', 'not asked'),
      h('span', { class: 'dim' }, ' ', WHY[step.why] ?? step.why),
    ),
    step.matched && [
      // Those of who refused stand above.
      step.hook !== question.denied_by && reasons(step.answer?.reason).map(([name, words]) => h('p', { key: name, class: 'spoken' }, h('span', { class: 'dim' }, `${name}: `), words)),
      step.answer?.value && h('p', { class: 'spoken' }, h('span', { class: 'dim' }, 'Instead: '), h('span', { class: 'mono' }, step.answer.value)),
      step.detail && h('p', { class: 'spoken' }, h('span', { class: 'dim' }, 'Failure: '), step.detail),
      step.policy && h('p', { class: 'spoken' }, h('span', { class: 'dim' }, 'Set for a failure: '), step.policy),
      h(
        'details',
        null,
        h('summary', null, 'Call ', times(step)),
        facts([
          ['Delivery', step.delivery ? link(`deliveries/${part(step.delivery)}`, h('span', { class: 'mono' }, step.delivery)) : NONE],
          ['Queue', millis(step.queued_ms)],
          ['Connect', millis(step.connect_ms)],
          ['Handler', millis(step.handler_ms)],
          ['SHA-256 of its input', h('span', { class: 'mono break' }, text(step.input_sha256))],
        ]),
        step.answer && [h('h3', null, 'Answer'), document_(step.answer, `Answer of ${step.hook}`)],
      ),
    ],
  );
}
