// The configuration as it is in force, and what can be done to the server as a whole.

import { call } from '../api.js';
import { ask, attempt, say } from '../dialog.js';
import { h } from '../dom.js';
import { span, text } from '../format.js';
import { may } from '../session.js';
import { answered, button, document_, facts, heading, moment } from '../widgets.js';

export function configuration(page) {
  const version = page.watch('version', 5000);
  const config = page.watch('config');
  const state = { problems: [], warnings: [] };

  async function reload() {
    try {
      const { hooks, warnings } = await call('POST', 'reload');
      Object.assign(state, { problems: [], warnings: warnings ?? [] });
      say(`Reloaded: ${hooks} ${hooks === 1 ? 'hook' : 'hooks'}.`);
    } catch (problem) {
      Object.assign(state, { problems: problem.body?.problems ?? [problem.message], warnings: [] });
      say('The configuration was not reloaded; the former one stays in force.', 'bad');
    }
    config.touch();
  }

  async function drain() {
    const sure = await ask({ title: 'Drain this server?', text: 'It takes no new clients, and health says so to load balancers. Nothing but a restart undoes this.', action: 'Drain', danger: true });
    if (sure) await attempt(() => call('POST', 'drain'), 'The server drains.');
  }

  async function copy() {
    await attempt(() => navigator.clipboard.writeText(config.value.toml), 'Copied.');
  }

  const said = (list, colour, title) =>
    list.length > 0 && h('div', { class: `notice ${colour}`, role: 'alert' }, h('strong', null, title), h('ul', null, list.map((line) => h('li', null, typeof line === 'string' ? line : (line.detail ?? line.text ?? JSON.stringify(line))))));

  return {
    title: 'Configuration',
    render() {
      return [
        heading('Configuration', {
          actions: [
            config.value?.toml && navigator.clipboard && button('Copy', copy),
            may('operate') && button('Reload', reload),
            may('operate') && button('Drain…', drain, { class: 'danger' }),
          ],
        }),
        said(state.problems, 'bad', 'Not valid:'),
        said(state.warnings, 'warn', 'Warnings:'),
        answered(version, (value) => facts([['Version', text(value.version)], ['Node', text(value.node)], ['Up since', moment(value.started_at)], ['Uptime', span(value.uptime_seconds)]])),
        h('h2', null, 'As merged'),
        h('p', { class: 'dim' }, 'From flags, environment, file and defaults. Secrets are masked.'),
        answered(config, (value) => document_(value.toml ?? value.config ?? value, 'Configuration')),
      ];
    },
  };
}
