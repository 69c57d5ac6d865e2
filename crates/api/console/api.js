// The HTTP API, as `api/v1/docs` describes it; the console has no other way to the server.

const BASE = new URL('api/v1/', document.baseURI);

/** What must stand in the header of whatever changes something: the cookie alone is not enough. */
let csrf = '';

/** An answer that is no success: RFC 9457. */
export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body?.detail ?? body?.title ?? (status ? `The server answered ${status}.` : 'The server cannot be reached.'));
    this.status = status;
    this.body = body;
    this.retryAfter = retryAfter;
  }
}

/** Called when the server does not know us (any more). */
let onSignedOut = () => {};
export const whenSignedOut = (then) => (onSignedOut = then);
export const useCsrf = (token) => (csrf = token ?? '');

/** `path` with the parameters of `query` that are set. */
export function address(path, query = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') url.searchParams.set(name, value);
  }
  return url;
}

/** One part of a path: a stream's key has slashes. */
export const part = encodeURIComponent;

/** Asks and returns the answer's document, or undefined if it has none. Throws a Problem. */
export async function call(method, path, { query, body, signal } = {}) {
  const response = await send(method, address(path, query), body, signal, 'application/json');
  if (response.status === 202 || response.status === 204) {
    const text = await response.text();
    return text ? JSON.parse(text) : undefined;
  }
  return response.json();
}

export const get = (path, query, signal) => call('GET', path, { query, signal });

async function send(method, url, body, signal, accept, more = {}) {
  const headers = { accept, ...more };
  if (method !== 'GET') headers['x-csrf-token'] = csrf;
  if (body !== undefined) headers['content-type'] = 'application/json';
  let response;
  try {
    response = await fetch(url, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body), cache: 'no-store', credentials: 'same-origin', redirect: 'error' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(0);
  }
  if (response.ok) return response;
  const problem = new Problem(response.status, await response.json().catch(() => null), response.headers.get('retry-after'));
  // A wrong token of who signs in is no end of a session.
  if (response.status === 401 && !(method === 'POST' && url.pathname.endsWith('/session'))) onSignedOut();
  throw problem;
}

/** How long to wait before the stream of events is asked for again, at first and at most. */
const AGAIN_MS = 1000;
const AGAIN_AT_MOST_MS = 15000;

/**
 * Follows server-sent events until `signal` ends it, and goes on where it was when the connection breaks.
 *
 * `on.event({event, data, id})` gets each, `on.state('open' | 'waiting' | 'refused', problem)` what becomes of the
 * connection. A browser's EventSource hears only the types that it is told beforehand, and hides what a refusal says.
 */
export async function follow(path, query, on, signal) {
  let last;
  let wait = AGAIN_MS;
  while (!signal.aborted) {
    try {
      const more = last === undefined ? {} : { 'last-event-id': last };
      const response = await send('GET', address(path, query), undefined, signal, 'text/event-stream', more);
      on.state('open');
      wait = AGAIN_MS;
      for await (const event of events(response.body)) {
        if (event.id) last = event.id;
        // A sign of life tells the place alone.
        if (event.data !== undefined) on.event(event);
      }
    } catch (error) {
      if (signal.aborted) return;
      const refused = error instanceof Problem && error.status >= 400 && error.status < 500 && error.status !== 429;
      on.state(refused ? 'refused' : 'waiting', error);
      if (refused) return;
    }
    if (!signal.aborted) on.state('waiting');
    await pause(wait, signal);
    wait = Math.min(wait * 2, AGAIN_AT_MOST_MS);
  }
}

export function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}

/** WHATWG HTML §9.2.6: fields of lines, an empty line ends an event. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let event = {};
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === '') {
        if (event.data !== undefined || event.id) yield event;
        event = {};
        continue;
      }
      const at = line.indexOf(':');
      const field = at < 0 ? line : line.slice(0, at);
      const text = at < 0 ? '' : line.slice(at + 1).replace(/^ /, '');
      if (field === 'data') event.data = event.data === undefined ? text : `${event.data}\n${text}`;
      else if (field === 'event' || field === 'id') event[field] = text;
    }
  }
}
