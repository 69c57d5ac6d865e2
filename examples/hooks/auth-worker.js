#!/usr/bin/env node
// The same worker as auth-worker.py, for Node.js.
//   [[hook]]
//   name = "auth"
//   on = ["authorize_publish", "authorize_play"]
//   worker = ["node", "examples/hooks/auth-worker.js"]
'use strict';
const readline = require('node:readline');

const token = process.env.STREAM_TOKEN ?? 'letmein';
const say = (message) => process.stdout.write(JSON.stringify(message) + '\n');

function decide(event) {
  const query = new URLSearchParams(event.data.query ?? '');
  if (query.get('token') === token) return { decision: 'allow' };
  return { decision: 'deny', reason: { code: 'bad_token', public: 'Wrong or missing token.' } };
}

say({ t: 'hello', proto: [1], concurrency: 16 });
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const frame = JSON.parse(line);
  if (frame.t === 'drain') lines.close();
  else if (frame.t === 'event') say({ d: frame.d, ...decide(frame.event) });
  // Sent before the server had read the hello: a bare event, answered by a bare answer.
  else if (frame.type) say(decide(frame));
});
