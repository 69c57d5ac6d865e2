// Tests of the hook: `node --test` in this folder runs them.
'use strict';
const test = require('node:test');
const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const { join } = require('node:path');
const { decide } = require('./hook.js');

const question = (query) => ({ type: 'authorize_publish', stream_key: 'live/show', data: { query } });

test('the right token may publish', () => {
  assert.strictEqual(decide(question('token=letmein')).decision, 'allow');
});

test('no token and a wrong one may not', () => {
  for (const query of ['', 'token=guess', 'letmein']) {
    assert.strictEqual(decide(question(query)).decision, 'deny');
  }
});

test('other events are no matter of this hook', () => {
  assert.deepStrictEqual(decide({ type: 'publish_start', data: {} }), { decision: 'pass' });
});

test('an event on standard input is answered on standard output', () => {
  const input = JSON.stringify(question('token=guess')) + '\n';
  const ran = spawnSync(process.execPath, [join(__dirname, 'hook.js')], { input, timeout: 20000 });
  assert.strictEqual(ran.status, 0);
  assert.strictEqual(JSON.parse(ran.stdout).reason.public, 'Wrong or missing token.');
});
