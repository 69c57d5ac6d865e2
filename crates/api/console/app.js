// The frame: signing in, finding the way, and what surrounds every view.

import { get, pause, whenSignedOut } from './api.js';
import { show } from './dialog.js';
import { h, render } from './dom.js';
import { icon } from './icons.js';
import { Page } from './page.js';
import { forget, resume, signedIn, signIn, signOut } from './session.js';
import { button, empty, heading, link } from './widgets.js';
import { configuration } from './views/configuration.js';
import { connections } from './views/connections.js';
import { deadLetter, deadLetters } from './views/dead-letters.js';
import { deliveries, delivery } from './views/deliveries.js';
import { events } from './views/events.js';
import { explain, explainWhom } from './views/explain.js';
import { hook, hooks } from './views/hooks.js';
import { stream, streams } from './views/streams.js';

/** The views: their word in the address, their name, the second key of `g …`, the view of all, and the view of one. */
const VIEWS = [
  ['streams', 'Streams', 's', streams, stream],
  ['connections', 'Connections', 'c', connections],
  ['hooks', 'Hooks', 'h', hooks, hook],
  ['events', 'Events', 'e', events],
  ['deliveries', 'Deliveries', 'd', deliveries, delivery],
  ['dead-letters', 'Dead letters', 'l', deadLetters, deadLetter],
  ['explain', 'Explain', 'x', explainWhom, explain],
  ['configuration', 'Configuration', 'o', configuration],
];

const HEALTH_MS = 5000;
/** How long the second key of two may take. */
const CHORD_MS = 1200;

const app = document.getElementById('app');
const stored = {
  get: (name) => { try { return localStorage.getItem(`jackfield.${name}`); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(`jackfield.${name}`, value); } catch { /* It is forgotten with the tab. */ } },
};

let page;
let view;
let place = {};
let health;
let version;
let menuOpen = false;
let login = { busy: false, problem: undefined };
let queued = false;
/** How often somebody has gone somewhere: each visit to a view begins with fresh elements. */
let visit = 0;

function draw() {
  if (queued) return;
  queued = true;
  requestAnimationFrame(() => {
    queued = false;
    render(app, signedIn() ? frame() : doorway());
  });
}

// --- where we are

function go() {
  page?.end();
  visit += 1;
  const [path, search = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [word, ...rest] = path.split('/');
  place = { word: word || 'streams', params: rest.map(decoded), query: Object.fromEntries(new URLSearchParams(search)) };
  const [, , , all, one] = VIEWS.find(([name]) => name === place.word) ?? [];
  const make = place.params.length > 0 ? one : all;
  page = new Page({ params: place.params, query: place.query, draw });
  view = make ? make(page) : { title: 'Not found', render: () => [heading('Not found'), empty('There is no such page', link('streams', 'Go to the streams'))] };
  menuOpen = false;
  document.title = `${view.title} · Jackfield`;
  draw();
  lookAtHealth();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A reader hears where it is, and the next Tab begins there; unless somebody was quicker, and is in one of its fields. */
function arrive() {
  go();
  requestAnimationFrame(() => requestAnimationFrame(() => {
    if (document.querySelector('main')?.contains(document.activeElement)) return;
    document.querySelector('main h1')?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }));
}

// --- what surrounds the views

function frame() {
  return [
    h('header', { class: 'top', key: 'top' },
      h('a', { href: '#/streams', class: 'brand' }, mark(), h('span', null, 'Jackfield')),
      h('button', { type: 'button', class: 'menu', 'aria-expanded': String(menuOpen), 'aria-controls': 'side', on: { click: () => ((menuOpen = !menuOpen), draw()) } }, icon('menu'), h('span', null, 'Menu'))),
    h('div', { id: 'side', key: 'side', class: menuOpen ? 'side open' : 'side' }, navigation(), foot()),
    h('main', { id: 'main', key: `main ${visit}`, tabindex: -1 }, drained(), view.render()),
  ];
}

function navigation() {
  const problems = health?.hooks?.length ?? 0;
  return h('nav', { 'aria-label': 'Views' }, h('ul', null, VIEWS.map(([word, name, key]) =>
    h('li', { key: word },
      h('a', { href: `#/${word}`, 'aria-current': word === place.word ? 'page' : null, 'aria-keyshortcuts': `g ${key}`, on: { click: () => ((menuOpen = false), draw()) } },
        icon(word), h('span', null, name),
        word === 'hooks' && problems > 0 && h('span', { class: 'count', title: `${problems} with a problem` }, problems, h('span', { class: 'unseen' }, ' with a problem')))))));
}

function foot() {
  const [theme, next] = { light: ['Light', 'dark'], dark: ['Dark', 'system'] }[stored.get('theme')] ?? ['System', 'light'];
  return h('footer', null,
    h('p', { class: 'node' }, h('span', { class: 'mono' }, version?.node ?? ' '), h('span', { class: 'dim num' }, version ? ` ${version.version}` : ' ')),
    h('p', { class: 'buttons' },
      button([icon('theme'), `${theme} colours`], () => changeTheme(next), { class: 'quiet', title: `Use ${next} colours`, 'aria-keyshortcuts': 't' }),
      button([icon('keys'), 'Keys'], showKeys, { class: 'quiet', 'aria-keyshortcuts': '?' }),
      h('a', { href: 'api/v1/docs', class: 'quiet' }, icon('document'), 'API'),
      button([icon('leave'), 'Sign out'], leave, { class: 'quiet' })));
}

/** What is wrong with the whole server. */
function drained() {
  const lines = [];
  if (health?.unreachable) lines.push(['bad', 'The server does not answer. What is shown may be old.']);
  if (health?.status === 'draining') lines.push(['warn', 'This server is draining: it takes no new clients.']);
  if (health?.outbox?.state === 'failing') lines.push(['bad', `Events cannot be written to disk: ${health.outbox.lost ?? 0} lost so far.`]);
  return lines.map(([tone, words]) => h('p', { key: words, class: `notice ${tone}`, role: 'alert' }, words));
}

const mark = () =>
  h('svg', { class: 'mark', viewBox: '0 0 32 32', width: 28, height: 28, 'aria-hidden': 'true', focusable: 'false' },
    h('circle', { cx: 8, cy: 11, r: 4.5 }), h('circle', { cx: 24, cy: 11, r: 4.5 }), h('path', { d: 'M8 11 C 8 30, 24 30, 24 11' }));

async function lookAtHealth() {
  if (!signedIn() || document.hidden) return;
  try {
    health = await get('health');
    version ??= await get('version');
  } catch (problem) {
    // While it drains, health is an answer in the form of a failure.
    health = problem.status === 503 ? { ...problem.body, status: 'draining' } : problem.status ? undefined : { unreachable: true };
  }
  draw();
}

async function watchHealth() {
  for (;;) {
    await lookAtHealth();
    await pause(HEALTH_MS);
  }
}

// --- signing in and out

function doorway() {
  const submit = async (event) => {
    event.preventDefault();
    const field = event.target.elements.token;
    login = { busy: true };
    draw();
    try {
      await signIn(field.value.trim());
      field.value = '';
      login = { busy: false };
      go();
    } catch (problem) {
      login = { busy: false, problem };
      draw();
      field.select();
    }
  };
  return h('main', { id: 'main', key: 'doorway', class: 'doorway', tabindex: -1 },
    h('form', { on: { submit } },
      h('p', { class: 'brand' }, mark(), h('span', null, 'Jackfield')),
      h('h1', null, 'Sign in'),
      h('label', { class: 'field' }, h('span', null, 'Token'),
        h('input', { name: 'token', type: 'password', required: true, autocomplete: 'current-password', spellcheck: 'false', autofocus: true, 'aria-describedby': 'hint', ref: (field) => requestAnimationFrame(() => field.focus()) })),
      login.problem && h('p', { class: 'notice bad', role: 'alert' }, login.problem.status === 401 ? 'The server does not know this token.' : login.problem.message),
      h('button', { type: 'submit', class: 'primary', disabled: login.busy }, login.busy ? 'Asking…' : 'Sign in'),
      h('p', { id: 'hint', class: 'dim' }, 'The first token is in ', h('code', null, 'admin.token'), ' in the server’s data folder; ', h('code', null, 'jackfield token create'), ' makes others.')));
}

async function leave() {
  await signOut().catch(() => {});
  page?.end();
  [health, version] = [];
  document.title = 'Jackfield';
  draw();
}

whenSignedOut(() => {
  if (!signedIn()) return;
  forget();
  page?.end();
  login = { busy: false, problem: new Error('Your session has ended: sign in again.') };
  draw();
});

// --- colours and keys

function changeTheme(next) {
  stored.set('theme', next);
  if (next === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  draw();
}

const keysOn = () => stored.get('keys') !== 'off';

function showKeys() {
  const line = (keys, what) => h('div', null, h('dt', null, keys.map((key) => h('kbd', null, key))), h('dd', null, what));
  show('Keys',
    h('dl', { class: 'keys' },
      VIEWS.map(([, name, key]) => line(['g', key], name)),
      line(['/'], 'Filter or find'), line(['p'], 'Pause the events'), line(['t'], 'Light, dark or as the system'), line(['?'], 'This list')),
    h('label', { class: 'check' }, h('input', { type: 'checkbox', checked: keysOn(), on: { change: (event) => stored.set('keys', event.target.checked ? 'on' : 'off') } }), ' Keys without Ctrl or Alt do something'));
}

let chord = 0;
addEventListener('keydown', (event) => {
  const typing = event.target.closest?.('input:not([type=checkbox]), textarea, select, dialog');
  if (!signedIn() || !keysOn() || typing || event.ctrlKey || event.altKey || event.metaKey) return;
  if (performance.now() < chord) {
    chord = 0;
    const found = VIEWS.find(([, , key]) => key === event.key);
    if (found) return press(event, () => (location.hash = `#/${found[0]}`));
  }
  if (event.key === 'g') chord = performance.now() + CHORD_MS;
  else if (event.key === '?') press(event, showKeys);
  else if (event.key === '/') press(event, () => document.querySelector('main input[type=search]')?.focus());
  else if (event.key === 't') press(event, () => changeTheme({ light: 'dark', dark: 'system' }[stored.get('theme')] ?? 'light'));
  else if (view?.keys?.[event.key]) press(event, view.keys[event.key]);
});

function press(event, then) {
  event.preventDefault();
  then();
}

// The address is taken by the views, so the jump to the content is made by hand.
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  document.getElementById('main')?.focus();
});

addEventListener('hashchange', () => signedIn() && arrive());

resume().then(go, (problem) => {
  if (problem.status !== 401) login = { busy: false, problem };
  draw();
});
watchHealth();
