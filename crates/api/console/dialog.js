// Questions to the user, and short words about what was done.

import { h, render } from './dom.js';
import { button } from './widgets.js';

/**
 * Asks before something is done. `fields` are `{name, label, value, hint}`; resolves to their values, or to null when the
 * user thinks better of it.
 */
export function ask({ title, text, fields = [], action, danger = false }) {
  return open(title, (close) => {
    const values = Object.fromEntries(fields.map((field) => [field.name, field.value ?? '']));
    const submit = (event) => {
      event.preventDefault();
      close(values);
    };
    return h(
      'form',
      { method: 'dialog', on: { submit } },
      text && h('p', null, text),
      fields.map((field) =>
        h(
          'label',
          { class: 'field' },
          h('span', null, field.label),
          h('input', { name: field.name, value: field.value ?? '', placeholder: field.hint, maxlength: 200, autocomplete: 'off', on: { input: (event) => (values[field.name] = event.target.value) } }),
        ),
      ),
      h('div', { class: 'actions' }, button('Cancel', () => close(null)), h('button', { type: 'submit', class: danger ? 'danger' : 'primary' }, action)),
    );
  });
}

/** Shows something until it is closed. */
export const show = (title, ...content) =>
  open(title, (close) => [h('div', null, content), h('div', { class: 'actions' }, button('Close', () => close(null), { class: 'primary' }))]);

function open(title, inside) {
  return new Promise((resolve) => {
    const dialog = document.createElement('dialog');
    let result = null;
    const close = (value) => {
      result = value;
      dialog.close();
    };
    dialog.setAttribute('aria-labelledby', 'dialog-title');
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(result);
    });
    render(dialog, h('h2', { id: 'dialog-title' }, title), inside(close));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** How long a word about success stays; one about a failure stays until it is closed. */
const SEEN_MS = 5000;
let words = [];
let last = 0;

/** Says in the corner what came of something. */
export function say(text, tone = 'good') {
  const id = ++last;
  const close = () => {
    words = words.filter((word) => word.id !== id);
    drawWords();
  };
  words = [...words, { id, text, tone, close }].slice(-4);
  drawWords();
  if (tone === 'good') setTimeout(close, SEEN_MS);
}

function drawWords() {
  render(
    document.getElementById('words'),
    words.map(({ id, text, tone, close }) =>
      h('div', { key: id, class: `word ${tone}`, role: tone === 'bad' ? 'alert' : 'status' }, h('p', null, text), button('×', close, { class: 'quiet', 'aria-label': 'Close' })),
    ),
  );
}

/** Does something for the user, and says what came of it. Returns the answer, or undefined when it failed. */
export async function attempt(doing, done) {
  try {
    const answer = await doing();
    if (done) say(typeof done === 'function' ? done(answer) : done);
    return answer ?? true;
  } catch (problem) {
    say(problem.message, 'bad');
    return undefined;
  }
}
