import { setTimeout as delay } from 'node:timers/promises';
import type { Container, ContainerStats } from '../../core/containers/types.ts';
import { WaferError } from '../../core/errors.ts';
import { command, jsonFlag } from '../command.ts';
import { type ContainerClient, createContainerClient } from '../container-client.ts';
import { formatBytes } from '../format.ts';
import { untilInterrupted } from '../interrupt.ts';
import { type Column, renderTable, type Ui } from '../ui.ts';

/** Two samples make a CPU share; so far apart they are. */
const EVERY_MS = 1000;

export interface Sample {
  container: Container;
  now: ContainerStats;
  before: ContainerStats | null;
}

const COLUMNS: readonly Column[] = [
  { header: 'CONTAINER' },
  { header: 'NAME', style: 'bold' },
  { header: 'CPU', align: 'right' },
  { header: 'MEMORY', align: 'right' },
  { header: 'LIMIT', align: 'right' },
  { header: 'PROCESSES', align: 'right' },
];

/** Of one core, between the two samples; null before there are two. */
export function cpuShare({ now, before }: Pick<Sample, 'now' | 'before'>): number | null {
  if (before === null || now.cpuMicros === null || before.cpuMicros === null || now.time <= before.time) return null;
  return Math.max(0, (now.cpuMicros - before.cpuMicros) / 1000 / (now.time - before.time));
}

function row(sample: Sample): string[] {
  const { container, now } = sample;
  const share = cpuShare(sample);
  return [
    container.id.slice(0, 12),
    container.name,
    share === null ? '-' : `${(share * 100).toFixed(1)} %`,
    now.memoryBytes === null ? '?' : formatBytes(now.memoryBytes),
    now.memoryLimitBytes === null ? '-' : formatBytes(now.memoryLimitBytes),
    String(now.pids),
  ];
}

/** One that ends while it is looked at is left out. */
async function sampleAll(
  client: ContainerClient,
  names: readonly string[],
  before: Map<string, ContainerStats>,
): Promise<Sample[]> {
  const containers =
    names.length > 0 ? await Promise.all(names.map((name) => client.get(name))) : await client.list(false);
  const running = containers.filter(({ status }) => status === 'running' || status === 'paused');
  const samples = await Promise.all(
    running.map(async (container) => {
      try {
        const now = await client.stats(container.id);
        return { container, now, before: before.get(container.id) ?? null };
      } catch (error) {
        if (error instanceof WaferError && ['conflict', 'container_not_found'].includes(error.code)) return null;
        throw error;
      }
    }),
  );
  return samples.filter((sample) => sample !== null);
}

const remember = (samples: readonly Sample[]) => new Map(samples.map(({ container, now }) => [container.id, now]));

async function watch(client: ContainerClient, names: readonly string[], ui: Ui): Promise<void> {
  const signal = untilInterrupted();
  const live = ui.liveOut();
  let before = new Map<string, ContainerStats>();
  while (!signal.aborted) {
    const samples = await sampleAll(client, names, before);
    before = remember(samples);
    live.draw(renderTable(COLUMNS, samples.map(row), ui.paint));
    await delay(EVERY_MS, undefined, { signal }).catch(() => {});
  }
}

export default command({
  name: 'stats',
  about: 'Shows what containers use, again and again on a terminal. CPU is of one core.',
  args: {
    container: { type: 'positional', description: 'Names or ids; without one all that run', required: false },
    'no-stream': { type: 'boolean', description: 'Once' },
    ...jsonFlag,
  },
  many: true,
  examples: [
    ['wafer stats', 'all that run, until ctrl-C'],
    ['wafer stats --no-stream web', 'one, once'],
  ],
  run: async ({ json }, { ui, env, positionals, rawArgs }) => {
    const client = createContainerClient(env);
    const once = rawArgs.includes('--no-stream') || json || !ui.stdoutIsTty;
    if (!once) return watch(client, positionals, ui);
    const first = await sampleAll(client, positionals, new Map());
    if (first.length > 0) await delay(EVERY_MS / 2);
    const samples = await sampleAll(client, positionals, remember(first));
    if (json) {
      return ui.json(
        samples.map((sample) => ({
          id: sample.container.id,
          name: sample.container.name,
          cpuShare: cpuShare(sample),
          ...sample.now,
        })),
      );
    }
    ui.table(COLUMNS, samples.map(row));
  },
});
