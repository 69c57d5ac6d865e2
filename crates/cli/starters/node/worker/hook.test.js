// Tests of the hook: `node --test` in this folder runs them.
'use strict';
const test = require('node:test');
const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const { join } = require('node:path');
const { decide } = require('./hook.js');

const question = (query) => ({ type: 'authorize_publish', stream_key: 'live/show', data: { query } });

test('the right token may publish', async () => {
  assert.strictEqual((await decide(question('token=letmein'))).decision, 'allow');
});

test('no token and a wrong one may not', async () => {
  for (const query of ['', 'token=guess', 'letmein']) {
    assert.strictEqual((await decide(question(query))).decision, 'deny');
  }
});

test('other events are no matter of this hook', async () => {
  assert.deepStrictEqual(await decide({ type: 'publish_start', data: {} }), { decision: 'pass' });
});

test('each event is answered with its own id', () => {
  const lines = [
    { t: 'event', d: 'dlv_1', event: question('token=letmein') },
    { t: 'cancel', d: 'dlv_1' },
    { t: 'event', d: 'dlv_2', event: { broken: true, type: 'authorize_publish' } },
    question('token=guess'),
    { t: 'drain' },
  ];
  const input = 'no JSON\n\n' + lines.map((line) => JSON.stringify(line) + '\n').join('');
  const ran = spawnSync(process.execPath, [join(__dirname, 'hook.js')], { input, timeout: 20000 });
  assert.strictEqual(ran.status, 0);
  const said = ran.stdout.toString().trim().split('\n').map((line) => JSON.parse(line));
  assert.strictEqual(said[0].t, 'hello');
  const told = said.slice(1).map((answer) => [answer.d ?? null, answer.decision]).sort();
  assert.deepStrictEqual(told, [['dlv_1', 'allow'], ['dlv_2', 'deny'], [null, 'deny']].sort());
});
