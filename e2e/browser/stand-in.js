// For work on the console alone: serves crates/api/console with answers that were written down, so that a change is seen
// by a reload of the page and nothing has to be built.
//
//   node e2e/browser/stand-in.js [PORT]        any token but `wrong` signs in; `?open` in the address shows the warning
//
// No test uses it: what the console and the server make of each other is tested with the server.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const CONSOLE = path.join(__dirname, '../../crates/api/console');
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types 'none'";

const started = Date.now();
let signedIn = false;
const ago = (ms) => new Date(Date.now() - ms).toISOString();
const seconds = () => Math.floor((Date.now() - started) / 1000);

const video = (width, height, fps, codec, string, bitrate) => ({ track: 0, kind: 'video', codec, codec_string: string, width, height, fps, bitrate });
const audio = (codec, string, sample_rate, channels, bitrate) => ({ track: 1, kind: 'audio', codec, codec_string: string, sample_rate, channels, bitrate });
const wave = (mean, at) => Math.round(mean * (1 + 0.12 * Math.sin(Date.now() / 9000 + at) + 0.05 * Math.sin(Date.now() / 2100 + at)));

const streams = () => [
  ['live/main-stage', [video(1920, 1080, 59.94, 'h264', 'avc1.64002a', wave(6.1e6, 0)), audio('aac', 'mp4a.40.2', 48000, 2, 161000)], 1284, 2002, 7384, '203.0.113.20'],
  ['live/side-stage', [video(1280, 720, 30, 'hevc', 'hvc1.1.6.L93.B0', wave(2.4e6, 2)), audio('opus', 'opus', 48000, 2, 128000)], 312, 4000, 3671, '203.0.113.21'],
  ['vip/backstage', [video(3840, 2160, 25, 'av1', 'av01.0.12M.08', wave(11.8e6, 4)), audio('aac', 'mp4a.40.2', 44100, 6, 320000)], 9, 1000, 96421, '2001:db8::7'],
  ['radio/night-shift', [audio('mp3', 'mp4a.6b', 44100, 2, 192000)], 0, undefined, 41, '198.51.100.4'],
].map(([key, tracks, viewers, key_frame_ms, uptime, client_ip], at) => ({
  key, state: 'live', epoch: at + 3, uptime_seconds: uptime + seconds(), viewers, tracks, key_frame_ms,
  bytes_received: (uptime + seconds()) * 780000, publisher: { conn_id: `c00000${at + 1}`, client_ip, protocol: at === 1 ? 'rtmps' : 'rtmp' },
  counters: { video_packets: 182734, audio_packets: 98213, dropped_frames: 0 },
}));

const connections = () => [
  ...streams().map((stream) => ({ id: stream.publisher.conn_id, client_ip: stream.publisher.client_ip, protocol: stream.publisher.protocol, role: 'publisher', stream_key: stream.key, state: 'publishing', duration_seconds: stream.uptime_seconds, bytes_received: stream.bytes_received, bytes_sent: 4211 })),
  ...Array.from({ length: 9 }, (_, at) => ({ id: `c0000${at + 20}`, client_ip: `192.0.2.${at + 10}`, protocol: 'rtmp', role: 'player', stream_key: at % 2 ? 'live/main-stage' : 'live/side-stage', state: 'playing', duration_seconds: 40 * at + seconds(), bytes_received: 3531, bytes_sent: 31e6 * at + seconds() * 760000 })),
];

const hook = (name, on, type, target, state, more) => ({
  name, id: name, on, mode: type === 'worker' ? 'decide' : 'notify', handler: { type, target }, origin: 'file', enabled: state !== 'disabled', state,
  waiting: 0, running: 0, queue: 1024, lag: { events: 0, seconds: 0 }, outcomes: { answered: 18231, timeout: 2 }, decisions: {}, failopens: 0, retried: 2, lost: 0, restarts: 0,
  latency: { queue: { p50_ms: 0.04, p99_ms: 0.31 }, connect: { p50_ms: 0, p99_ms: 1.2 }, handler: { p50_ms: 3.41, p99_ms: 18.7 } }, last_error: null, ...more,
});
const hooks = () => [
  hook('auth', ['authorize_publish', 'authorize_play'], 'worker', 'python3 /etc/jackfield/auth.py', 'ok', { running: 1, decisions: { allow: 17995, deny: 236 } }),
  hook('record', ['publish_start', 'publish_stop'], 'run', '/etc/jackfield/record.sh', 'ok'),
  hook('chat', ['publish_*', 'stream_*'], 'url', 'https://chat.example/hooks/jackfield', 'breaker_open', {
    waiting: 412, lag: { events: 412, seconds: 93 }, outcomes: { answered: 902, overload: 74, connect_error: 31 }, retried: 105,
    last_error: { at: ago(4000), outcome: 'overload', detail: '503 Service Unavailable, Retry-After 30' },
  }),
  hook('legacy-billing', ['play_stop'], 'url', 'http://billing.internal:8088/usage', 'disabled', { origin: 'api', outcomes: { answered: 12, handler_error: 1 }, last_error: { at: ago(86400e3), outcome: 'handler_error', detail: '410 Gone: it wants no more' } }),
];

const envelope = (type, key, conn, data, more) => ({ type, timestamp: Math.floor(Date.now() / 1000), id: '01JCX7ZK3M8Q2V4N5T6R7S8W9X', seq: '48213', node: 'edge-1', conn_id: conn, stream_key: key, time: ago(0), v: 1, data, ...more });
const question = envelope('authorize_publish', 'live/intruder', 'c000031', { app: 'live', stream_name: 'intruder', client_ip: '198.51.100.77', protocol: 'rtmp', query: 'token=wrong' }, { hook: 'auth', attempt: 1, deadline_ms: 4998 });
const refusal = { decision: 'deny', reason: { text: 'token `wrong` is not known', public: 'Wrong or missing token.', code: 'bad_token' } };

const deliveries = (cursor = 0) =>
  Array.from({ length: 50 }, (_, row) => {
    const at = row + cursor;
    const [name, event, outcome, decision] = [['auth', 'authorize_publish', 'answered', 'deny'], ['record', 'publish_start', 'answered'], ['chat', 'publish_start', 'overload'], ['auth', 'authorize_play', 'answered', 'allow'], ['auth', 'authorize_play', 'answered', 'allow'], ['chat', 'stream_create', 'timeout']][at % 6];
    return { id: `dlv_${(0xa4f1 - at).toString(16)}`, event_id: '01JCX7ZK3M8Q2V4N5T6R7S8W9X', event, hook: name, mode: decision ? 'decide' : 'notify', next: 'over', conn_id: 'c000031', detail: '', key: at % 6 === 0 ? 'live/intruder' : 'live/main-stage', attempt: at % 6 === 2 ? 3 : 1, outcome, decision, queued_ms: 0.04 + (at % 7) * 0.3, connect_ms: at % 6 === 2 ? 12.1 : 0, handler_ms: outcome === 'timeout' ? 5000 : 2.1 + (at % 5) * 1.7, at: ago(at * 3700) };
  });

const letters = [0, 1, 2].map((at) => ({ id: `dead_${at}`, hook: 'chat', event: ['publish_start', 'publish_stop', 'publish_start'][at], key: 'live/main-stage', event_id: '01JCX7ZK3M8Q2V4N5T6R7S8W9X', attempts: 10, outcome: 'overload', detail: '503 Service Unavailable', first_at: ago(8e7), at: ago(4e6 + at * 1e6), request: envelope('publish_start', 'live/main-stage', 'c000001', { app: 'live', stream_name: 'main-stage', client_ip: '203.0.113.20' }) }));

const explained = {
  session: null, conn_id: 'c000031', complete_since: null,
  questions: [
    { id: 'q1', event: 'authorize_connection', key: null, session_id: null, at: ago(61000), verdict: 'allow', denied_by: null, reason: null, public: null, failopen: [], default: 'no_hook', elapsed_ms: 0.1, steps: [{ hook: 'auth', matched: false, why: 'other_event' }] },
    { id: 'q2', event: 'authorize_publish', key: 'live/intruder', session_id: 's000031', at: ago(60990), verdict: 'deny', denied_by: 'auth', reason: refusal.reason, public: refusal.reason.public, failopen: [], default: null, elapsed_ms: 3.94, steps: [
      { hook: 'geo', matched: false, why: 'other_stream' },
      { hook: 'auth', matched: true, why: 'asked', delivery: 'dlv_a4f1', outcome: 'answered', decision: 'deny', policy: null, queued_ms: 0.04, connect_ms: 0, handler_ms: 3.81, answer: { ...refusal, value: null, tags: {} }, detail: null, input_sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08' },
      { hook: 'audit', matched: false, why: 'not_reached' }] },
  ],
};

const toml = '[server]\nnode = "edge-1"\ndrain_timeout = "10s"\n\n[http]\nlisten = [":8080"]\n\n[[hook]]\nname = "auth"\non = ["authorize_publish", "authorize_play"]\nworker = ["python3", "/etc/jackfield/auth.py"]\n\n[[hook]]\nname = "chat"\nurl = "https://chat.example/hooks/jackfield"\nsecret = "***"\n';

const list = (items) => ({ items, next: null });
const one = (items, name, key) => items.find((item) => item[name] === key);

/** Method and path to the answer: a document, or a status. */
function answer(method, at, query, body) {
  const [kind, name, action] = at.split('/').map(decodeURIComponent);
  if (kind === 'session') {
    if (method === 'POST') signedIn = body.token !== 'wrong';
    if (method === 'DELETE') signedIn = false;
    return method === 'DELETE' ? 204 : signedIn ? { csrf: 'c', name: 'admin', scopes: ['read', 'operate', 'hooks'].map((scope) => ({ scope, stream_prefix: null })) } : 401;
  }
  if (!signedIn && kind !== 'health') return 401;
  if (method !== 'GET') {
    if (action === 'test') return { request: question, answer: refusal, outcome: 'answered', decision: 'deny', verdict: 'deny', queued_ms: 0.03, connect_ms: 0, handler_ms: 3.7, detail: null };
    if (kind === 'reload') return { hooks: 4, warnings: [] };
    if (kind === 'dead-letters' && name === 'replay') return { replayed: 3 };
    if (kind === 'dead-letters' && method === 'DELETE' && !name) return { dropped: 3 };
    return 204;
  }
  switch (kind) {
    case 'health': return { status: 'ok', hooks: [{ name: 'chat', problem: 'breaker_open' }, { name: 'legacy-billing', problem: 'disabled' }], outbox: { state: 'ok', lost: 0 } };
    case 'version': return { version: '0.1.0', node: 'edge-1', started_at: new Date(started).toISOString(), uptime_seconds: seconds() };
    case 'config': return { config: {}, toml };
    case 'streams': return name ? (one(streams(), 'key', name) ?? 404) : list(streams());
    case 'connections': return list(connections());
    case 'hooks': return name ? (one(hooks(), 'name', name) ?? 404) : list(hooks());
    case 'events': return list(['authorize_publish', 'authorize_play', 'publish_start', 'publish_stop', 'stream_create', 'stream_delete'].map((event) => ({ name: event, kind: 'notice' })));
    case 'deliveries': {
      const cursor = Number(query.get('cursor') ?? 0);
      if (name) return { ...deliveries()[0], id: name, request: question, answer: refusal, attempts: [{ attempt: 1, at: ago(1000), outcome: 'answered', queued_ms: 0.04, connect_ms: 0, handler_ms: 3.81, detail: null }] };
      return { items: deliveries(cursor).filter((delivery) => (!query.get('hook') || delivery.hook === query.get('hook')) && (!query.get('key') || delivery.key === query.get('key'))), next: cursor < 150 ? String(cursor + 50) : null };
    }
    case 'dead-letters': return name ? (one(letters, 'id', name) ?? 404) : list(letters);
    case 'explain': return name === 'c000031' || name === 's-31' ? explained : 404;
    default: return 404;
  }
}

function stream(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  let at = 48213;
  const timer = setInterval(() => {
    at += 1;
    const type = ['publish_start', 'play_start', 'play_stop', 'connection_close'][at % 4];
    response.write(`id: ${at}\nevent: ${type}\ndata: ${JSON.stringify(envelope(type, type.startsWith('conn') ? undefined : 'live/main-stage', 'c000020', { app: 'live', stream_name: 'main-stage', client_ip: '192.0.2.10', protocol: 'rtmp', duration_seconds: at % 90 }, { seq: String(at) }))}\n\n`);
    if (at % 3 === 0) response.write(`event: delivery\ndata: ${JSON.stringify(deliveries()[at % 6])}\n\n`);
  }, 700);
  response.on('close', () => clearInterval(timer));
}

http
  .createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    if (url.pathname === '/api/v1/events/stream') return signedIn ? stream(response) : response.writeHead(401).end();
    if (url.pathname.startsWith('/api/v1/')) {
      let body = '';
      request.on('data', (piece) => (body += piece));
      request.on('end', () => {
        const said = answer(request.method, url.pathname.slice('/api/v1/'.length), url.searchParams, body ? JSON.parse(body) : undefined);
        const status = typeof said === 'number' ? said : 200;
        response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' });
        response.end(status === 204 ? '' : JSON.stringify(typeof said === 'number' ? { title: http.STATUS_CODES[status], status, detail: status === 401 ? 'This needs a bearer token.' : 'There is nothing here.' } : said));
      });
      return undefined;
    }
    const name = url.pathname === '/' ? 'index.html' : path.posix.normalize(url.pathname).replace(/^\/console\//, '');
    fs.readFile(path.join(CONSOLE, name), (error, content) => {
      if (error) return response.writeHead(404).end();
      if (url.searchParams.has('open')) content = content.toString().replace('data-exposure="closed"', 'data-exposure="open"');
      response.writeHead(200, { 'content-type': TYPES[path.extname(name)], 'content-security-policy': POLICY, 'x-content-type-options': 'nosniff' });
      return response.end(content);
    });
    return undefined;
  })
  .listen(Number(process.argv[2] ?? 0), '127.0.0.1', function listening() {
    console.log(`http://127.0.0.1:${this.address().port}/`);
  });
