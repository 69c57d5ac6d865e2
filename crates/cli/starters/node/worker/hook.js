#!/usr/bin/env node
// A worker for Jackfield that decides who may publish: one line of JSON in, one line out.
//
// Standard output belongs to the protocol; what you print to standard error goes to the server's log.
// `decide` is the part to change. It may be async: events are answered in any order.
'use strict';
const readline = require('node:readline');

const TOKEN = process.env.STREAM_TOKEN ?? 'letmein';

/** What this hook says to an event. `jackfield events NAME` shows the fields of each. */
async function decide(event) {
  if (event.type !== 'authorize_publish') return { decision: 'pass' };
  const query = new URLSearchParams(event.data.query ?? '');
  if (query.get('token') === TOKEN) return { decision: 'allow' };
  // Only `public` reaches the client; `code` and `text` are for the log.
  return { decision: 'deny', reason: { code: 'bad_token', public: 'Wrong or missing token.' } };
}

/** One event that goes wrong must not end the worker. */
async function decideOrDeny(event) {
  try {
    return await decide(event);
  } catch (error) {
    console.error(error);
    return { decision: 'deny', reason: { code: 'hook_error' } };
  }
}

/** The answer to a line, or null if it wants none. */
async function answer(line) {
  let frame;
  try {
    frame = JSON.parse(line);
  } catch {
    return null;
  }
  if (frame?.t === 'event') return { d: frame.d, ...(await decideOrDeny(frame.event)) };
  // Sent before the server had read the hello: a bare event, answered by a bare answer.
  if (frame?.t === undefined && frame?.type) return decideOrDeny(frame);
  return null; // cancel, drain, and whatever later versions say
}

const say = (message) => process.stdout.write(JSON.stringify(message) + '\n');

function main() {
  // With the hello the server sends up to 16 events at once.
  say({ t: 'hello', proto: [1], concurrency: 16 });
  readline.createInterface({ input: process.stdin }).on('line', async (line) => {
    const said = await answer(line);
    if (said !== null) say(said);
  });
}

if (require.main === module) main();
module.exports = { answer, decide };
