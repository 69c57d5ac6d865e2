// The connections of clients.

import { call, part } from '../api.js';
import { ask, attempt } from '../dialog.js';
import { h } from '../dom.js';
import { bytes, count, NONE, span, text } from '../format.js';
import { may } from '../session.js';
import { answered, button, empty, figures, filters, heading, link, table } from '../widgets.js';

const EVERY_MS = 2000;

async function kick(connection, done) {
  const answer = await ask({
    title: `Kick ${connection.id}?`,
    text: `${text(connection.client_ip)} is disconnected. Nothing keeps it from coming back but a hook.`,
    fields: [{ name: 'reason', label: 'Reason, which the client is told', hint: 'optional' }],
    action: 'Kick',
    danger: true,
  });
  if (answer && (await attempt(() => call('DELETE', `connections/${part(connection.id)}`, { query: answer }), `${connection.id} has been kicked.`))) done();
}

/** A table of connections; `done` is called after one was kicked. */
export function connectionsTable(items, done, nothing) {
  const columns = [
    { title: 'Connection', cell: (connection) => [h('span', { class: 'line mono' }, connection.id), h('span', { class: 'line dim' }, text(connection.state))] },
    { title: 'Client', class: 'wide', cell: (connection) => [h('span', { class: 'line mono' }, text(connection.client_ip)), h('span', { class: 'line dim' }, text(connection.protocol))] },
    { title: 'Role', cell: (connection) => text(connection.role) },
    { title: 'Stream', cell: (connection) => (connection.stream_key ? link(`streams/${part(connection.stream_key)}`, connection.stream_key) : h('span', { class: 'dim' }, NONE)) },
    { title: 'For', class: 'num', cell: (connection) => span(connection.duration_seconds) },
    { title: 'Received', class: 'num', cell: (connection) => bytes(connection.bytes_received) },
    { title: 'Sent', class: 'num', cell: (connection) => bytes(connection.bytes_sent) },
    {
      title: '',
      class: 'act',
      cell: (connection) => [
        link(`explain/${part(connection.id)}`, 'Explain'),
        may('operate', connection.stream_key) && button('Kick…', () => kick(connection, done), { class: 'danger', 'aria-label': `Kick ${connection.id}` }),
      ],
    },
  ];
  return table({ caption: 'Connections', columns, items, key: (connection) => connection.id, empty: nothing });
}

export function connections(page) {
  const list = page.watch('connections', EVERY_MS, { limit: 1000 });
  const wanted = { text: page.query.text ?? '', role: '' };
  const has = (connection) =>
    (!wanted.role || connection.role === wanted.role) &&
    [connection.id, connection.client_ip, connection.stream_key, connection.protocol].some((field) => String(field ?? '').includes(wanted.text));
  return {
    title: 'Connections',
    render() {
      return [
        heading('Connections'),
        answered(list, ({ items, next }) => {
          const roles = [...new Set(items.map((connection) => connection.role).filter(Boolean))].sort();
          return [
            figures([
              { name: 'Connected', value: count(items.length), note: next && 'or more' },
              ...roles.map((role) => ({ name: `${role.charAt(0).toUpperCase()}${role.slice(1)}s`, value: count(items.filter((connection) => connection.role === role).length) })),
            ]),
            filters([{ name: 'text', label: 'Find', hint: 'id, address, stream' }, { name: 'role', label: 'Role', options: roles }], wanted, () => page.draw()),
            connectionsTable(items.filter(has), () => list.touch(), items.length > 0 ? empty('No connection matches') : empty('Nobody is connected')),
            next && h('p', { class: 'dim' }, 'Only the first 1000 are shown.'),
          ];
        }),
      ];
    },
  };
}
