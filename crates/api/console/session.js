// Who is signed in. The token itself is never kept here: the server gives a cookie that scripts cannot read.

import { call, get, useCsrf } from './api.js';

/** What is allowed: `{scope, stream_prefix}`, for all streams or for those under a prefix. */
let grants;

/** Whether somebody is signed in. */
export const signedIn = () => grants !== undefined;

/** Forgets who was. */
export function forget() {
  grants = undefined;
  useCsrf('');
}

/** Takes up the session that the browser still has a cookie of. */
export async function resume() {
  take(await get('session'));
}

export async function signIn(token) {
  take(await call('POST', 'session', { body: { token } }));
}

export async function signOut() {
  try {
    await call('DELETE', 'session');
  } finally {
    forget();
  }
}

/** Whether who is signed in may do what needs this scope, to this stream or to what is no stream's; the server decides in the end. */
export function may(scope, key) {
  const covers = (prefix) => key === prefix || key?.startsWith(`${prefix}/`);
  return (grants ?? []).some((grant) => grant.scope === scope && (!grant.stream_prefix || covers(grant.stream_prefix)));
}

function take(answer) {
  useCsrf(answer.csrf);
  grants = answer.scopes;
}
