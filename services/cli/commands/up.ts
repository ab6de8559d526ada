import { homedir } from 'node:os';
import { type Config, dataPaths, readConfig } from '../../core/config.ts';
import { WaferError } from '../../core/errors.ts';
import type { Platform } from '../../platform.ts';
import type { BaseProgress } from '../../worker/base-images/index.ts';
import { packageVersion } from '../assets.ts';
import { type CliContext, command } from '../command.ts';
import { keyExpression } from '../how-to-call.ts';
import type { Task, Ui } from '../ui.ts';

const BAR_WIDTH = 20;

function refuseRoot(): void {
  if (process.getuid?.() !== 0) return;
  throw new WaferError('running_as_root', 'The platform does not run as root, and needs no root.', {
    hint: 'Start it as an ordinary user; "npm start" as root makes the user "wafer" and starts it as that.',
  });
}

/** Below the home directory, as people write it. */
const short = (path: string) => (path.startsWith(`${homedir()}/`) ? `~${path.slice(homedir().length)}` : path);

const LIMITS: Record<Platform['engine']['limits'], string> = {
  v2: 'cgroup v2: memory, CPU and processes of each sandbox are limited by the kernel',
  v1: 'cgroup v1: memory, CPU and processes of each sandbox are limited by the kernel',
  none: 'no cgroup: rlimits and a memory watcher only; "wafer doctor" says how to get more',
};

function showBanner(ui: Ui, url: string, config: Config, { limits, ids }: Platform['engine']): void {
  const keyFile = dataPaths(config.dataDir).adminKey;
  ui.out(`${ui.paint('green', '●')} ${ui.paint('bold', `Wafer ${packageVersion()}`)} serves ${ui.paint('cyan', url)}`);
  ui.pairs([
    ['  Key', short(keyFile)],
    ['  Data', short(config.dataDir)],
    ['  Redis', config.redisUrl === null ? 'embedded' : 'external (WAFER_REDIS_URL)'],
    ['  Limits', LIMITS[limits]],
    ...(ids === 'range'
      ? []
      : [['  Ids', 'one host user for all sandboxes; "wafer doctor" says how to get more'] as const]),
    ['  API', `${url}/docs`],
    ['  Try', 'wafer init hello && wafer deploy hello && wafer invoke hello'],
    ['  Or', `curl -H "Authorization: Bearer ${keyExpression(keyFile)}" ${url}/v1/functions`],
  ]);
  ui.out(ui.paint('dim', 'Ctrl-C stops it.'));
}

/** Resolves at the first SIGINT or SIGTERM; the second ends the process at once. */
function untilStopped(ui: Ui): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let stopping = false;
    const stop = (signal: NodeJS.Signals) => {
      if (stopping) {
        ui.err('Stopped at once.');
        process.exit(signal === 'SIGINT' ? 130 : 143);
      }
      stopping = true;
      ui.err('Stopping: calls that run may finish. Once more stops at once.');
      resolve(signal);
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
  });
}

/** Base images take minutes the first time, so they get a bar. */
function showBaseImage(ui: Ui, task: Task, { image, percent, text, state }: BaseProgress): void {
  const filled = Math.round((Math.min(100, percent) / 100) * BAR_WIDTH);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
  task.update(`Base image ${image.padEnd(10)} ${bar} ${String(Math.round(percent)).padStart(3)} %  ${text}`);
  if (state === 'built') ui.err(`${ui.paintErr('green', '✓')} base image ${image}`);
}

async function serve({ ui, env }: CliContext): Promise<void> {
  refuseRoot();
  const config = readConfig(env);
  const task = ui.task('Starting');
  const stopped = untilStopped(ui);
  const { startPlatform } = await import('../../platform.ts');
  const platform = await startPlatform(config, {
    onProgress: (text) => task.update(`Starting: ${text}`),
    onBaseImage: (progress) => showBaseImage(ui, task, progress),
  }).finally(() => task.clear());
  showBanner(ui, platform.url, config, platform.engine);
  await stopped;
  await platform.close();
}

export default command({
  name: 'up',
  about: 'Starts the platform: API, worker and an embedded Redis in one process tree, without root. It stays in front.',
  args: {},
  examples: [
    ['wafer up', 'on 127.0.0.1:7070'],
    ['WAFER_PORT=8080 wafer up', 'on another port; "wafer config" lists all settings'],
    ['WAFER_REDIS_URL=redis://host:6379 wafer up', 'with your own Redis'],
  ],
  run: async (_args, context) => serve(context),
});
