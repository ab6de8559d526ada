import { type Client, createClient } from '../client.ts';
import { command, jsonFlag, nameArgument } from '../command.ts';
import { showExplanation } from '../explanation.ts';
import { parseCount } from '../numbers.ts';

export default command({
  name: 'explain',
  about:
    'Shows where the time of the calls of a function goes, by kind of start and phase, and what would make first calls faster or rarer.\nIt reads the receipts of its newest 500 invocations, called or accepted (wafer invoke --async, schedules, webhooks), and of the newest 100 calls that waited for a start.',
  args: {
    ...nameArgument,
    alias: { type: 'string', description: 'Explain the version of this alias (default live)' },
    version: { type: 'string', valueHint: 'NUMBER', description: 'Explain this version' },
    ...jsonFlag,
  },
  examples: [
    ['wafer explain hello', 'the live version'],
    ['wafer explain hello --version 3', 'an earlier one'],
    ['wafer explain hello --json | jq .advice', 'for a program'],
  ],
  run: async ({ name, alias, version, json }, { ui, env }) => {
    const client: Client = createClient(env);
    const number = version === undefined ? undefined : parseCount('--version', version);
    const explanation = await client.explain(name, { alias, version: number });
    if (json) return ui.json(explanation);
    showExplanation(ui, explanation);
  },
});
