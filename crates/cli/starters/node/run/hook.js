#!/usr/bin/env node
// A program for Jackfield that decides who may publish: an event on standard input, an answer on standard output.
//
// It is started for each event, which costs the start of an interpreter; a worker is faster. What you print to
// standard error goes to the server's log. `decide` is the part to change.
'use strict';
const fs = require('node:fs');

const TOKEN = process.env.STREAM_TOKEN ?? 'letmein';

/** What this hook says to an event. `jackfield events NAME` shows the fields of each. */
function decide(event) {
  if (event.type !== 'authorize_publish') return { decision: 'pass' };
  const query = new URLSearchParams(event.data.query ?? '');
  if (query.get('token') === TOKEN) return { decision: 'allow' };
  // Only `public` reaches the client; `code` and `text` are for the log.
  return { decision: 'deny', reason: { code: 'bad_token', public: 'Wrong or missing token.' } };
}

if (require.main === module) console.log(JSON.stringify(decide(JSON.parse(fs.readFileSync(0, 'utf8')))));
module.exports = { decide };
