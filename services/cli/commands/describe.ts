import type { FunctionConfig, RuntimeName } from '../../core/functions/schema.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import { createClient } from '../client.ts';
import { command, jsonFlag, nameArgument } from '../command.ts';
import { formatAgo, formatBytes, formatMs, shortDigest } from '../format.ts';
import { callLines } from '../how-to-call.ts';

function settings({ config, image, base, from, codeBytes, addedBytes }: FunctionVersion): [string, string][] {
  const hasCommand = config.runtime === 'http' || config.runtime === 'image';
  return [
    ['Runtime', describeRuntime(config.runtime, base)],
    [hasCommand ? 'Command' : 'Handler', hasCommand ? config.command.join(' ') : config.handler],
    ['Image', shortDigest(image)],
    ...(from === undefined
      ? []
      : [['From', from.kind === 'image' ? from.reference : from.path] satisfies [string, string]]),
    ['Size', `${formatBytes(codeBytes)} of files, ${formatBytes(addedBytes)} added to the store`],
    ['Time limit', formatMs(config.timeoutMs)],
    ['Memory', `${config.memoryMb} MiB, /tmp ${config.tmpMb} MiB`],
    ...(config.cpu === undefined ? [] : [['CPU', `${config.cpu} cores`] satisfies [string, string]]),
    ...(config.pids === undefined ? [] : [['Processes', `at most ${config.pids}`] satisfies [string, string]]),
    ...(config.openFiles === undefined
      ? []
      : [['Open files', `at most ${config.openFiles}`] satisfies [string, string]]),
    ...(config.fileMb === undefined ? [] : [['Largest file', `${config.fileMb} MiB`] satisfies [string, string]]),
    ['Concurrency', describeConcurrency(config)],
    ['Egress', typeof config.egress === 'string' ? 'the public internet' : (config.egress ?? ['none']).join(', ')],
    ...durable(config),
    ['Environment', Object.keys(config.env).sort().join(', ') || '(none)'],
    ...secrets(config),
  ];
}

/** Names only: a value is shown nowhere. */
function secrets({ secrets: files = [], secretEnv = {} }: FunctionConfig): [string, string][] {
  const all = [...files, ...Object.entries(secretEnv).map(([variable, name]) => `${name} as $${variable}`)];
  return all.length === 0 ? [] : [['Secrets', all.join(', ')]];
}

/** Of invocations that are accepted first and run later: only what was set. */
function durable({ retries, queue, onSuccess, onFailure }: FunctionVersion['config']): [string, string][] {
  const words = (value: object) =>
    Object.entries(value)
      .map(([key, set]) => `${key} ${typeof set === 'object' ? JSON.stringify(set) : set}`)
      .join(', ');
  const rows: [string, string | undefined][] = [
    ['Retries', retries && words(retries)],
    ['Queue', queue && words(queue)],
    ['On success', onSuccess],
    ['On failure', onFailure],
  ];
  return rows.flatMap(([label, text]): [string, string][] => (text ? [[label, text]] : []));
}

function describeConcurrency({ concurrency, minInstances, reuse }: FunctionConfig): string {
  const each = reuse === false ? 'an instance for each call' : `${concurrency} per instance`;
  return `${each}, at least ${minInstances} kept`;
}

function describeRuntime(runtime: RuntimeName, base: string): string {
  if (base !== '') return `${runtime} on ${base}`;
  return runtime === 'image' ? 'image: its program runs once for each call' : `${runtime} in an image of its own`;
}

export default command({
  name: 'describe',
  about: 'Shows one function: its aliases, and the settings of its live version.',
  args: { ...nameArgument, ...jsonFlag },
  examples: [
    ['wafer describe hello', 'what is live, and how to call it'],
    ['wafer describe hello --json', 'the whole record'],
  ],
  run: async ({ name, json }, { ui, env }) => {
    const client = createClient(env);
    const detail = await client.describe(name);
    if (json) return ui.json(detail);
    const now = Date.now();
    const aliases = Object.entries(detail.aliases).map(([alias, version]) => `${alias} → v${version}`);
    ui.pairs([
      ['Name', ui.paint('bold', detail.name)],
      ['Aliases', aliases.join(', ')],
      ['Latest', `v${detail.latest}`],
      ['Created', formatAgo(detail.createdAt, now)],
      ...settings(detail.live),
    ]);
    ui.out();
    for (const line of callLines(client, detail.name, detail.live.config.runtime)) ui.out(line);
  },
});
