// Small drawings beside words, in the colour of the text.

import { h } from './dom.js';

/** Paths on a field of 16 × 16. */
const PATHS = {
  streams: 'M2 4h12v8H2z M6.5 6.2v3.6L9.8 8z',
  connections: 'M5 2.5v4 M11 2.5v4 M3.5 6.5h9v1.5a4.5 4.5 0 0 1-9 0z M8 12.5v1.5',
  hooks: 'M8 2v7.5a2.8 2.8 0 1 1-5.6 0 M5.5 4.5L8 2l2.5 2.5',
  events: 'M2 8h2.6L6.3 3.5 9.4 12.5 11.2 8H14',
  deliveries: 'M2 8h11 M9 4l4 4-4 4',
  'dead-letters': 'M2 4h12v8.5H2z M2 4.5l6 4.5 6-4.5',
  explain: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z M6.3 6.2a1.8 1.8 0 1 1 2.5 1.9c-.6.3-.8.6-.8 1.2 M8 11.2v.3',
  configuration: 'M2 4.5h7 M12 4.5h2 M2 11.5h2 M7 11.5h7 M10.5 3v3 M5.5 10v3',
  document: 'M4 1.8h5.5L12.5 5v9.2h-8.5z M9.3 2v3.2h3 M6.3 8.3h4 M6.3 11h4',
  menu: 'M2 4h12 M2 8h12 M2 12h12',
  theme: 'M13.5 9.8A6 6 0 0 1 6.2 2.5a6 6 0 1 0 7.3 7.3z',
  keys: 'M1.5 4h13v8h-13z M4 6.7h.1 M6.7 6.7h.1 M9.3 6.7h.1 M12 6.7h.1 M5 9.6h6',
  leave: 'M6.5 2.5h-4v11h4 M6 8h8 M11 5l3 3-3 3',
};

export const icon = (name) =>
  h('svg', { class: 'icon', viewBox: '0 0 16 16', width: 16, height: 16, 'aria-hidden': 'true', focusable: 'false' }, h('path', { d: PATHS[name] }));
