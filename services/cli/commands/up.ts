import { type Config, dataPaths, readConfig } from '../../core/config.ts';
import { WaferError } from '../../core/errors.ts';
import { packageVersion } from '../../core/package-root.ts';
import type { Platform } from '../../platform.ts';
import { type CliContext, command } from '../command.ts';
import { runDemo } from '../demo.ts';
import { keyExpression } from '../how-to-call.ts';
import { createStartProgress } from '../start-progress.ts';
import type { Ui } from '../ui.ts';
import { untilStopped } from '../until-stopped.ts';

function refuseRoot(): void {
  if (process.getuid?.() !== 0) return;
  throw new WaferError('running_as_root', 'The platform does not run as root, and needs no root.', {
    hint: 'Start it as an ordinary user; "npm start" as root makes the user "wafer" and starts it as that.',
  });
}

const LIMITS: Record<Platform['engine']['limits'], string> = {
  v2: 'cgroup v2: memory and processes of each sandbox are limited by the kernel',
  v1: 'cgroup v1: memory and processes of each sandbox are limited by the kernel',
  none: 'no cgroup: rlimits and a memory watcher only; "wafer doctor" says how to get more',
};

const DEMO_CALL = `npx wafer invoke hello-node --data '{"name":"you"}' -i`;

function showBanner(ui: Ui, url: string, config: Config, { limits, ids }: Platform['engine'], demo: boolean): void {
  const keyFile = dataPaths(config.dataDir).adminKey;
  ui.out();
  ui.out(`${ui.paint('green', '●')} ${ui.paint('bold', `Wafer ${packageVersion()}`)} serves ${ui.paint('cyan', url)}`);
  ui.pairs([
    ['  Key', keyFile],
    ['  Data', config.dataDir],
    ['  Redis', config.redisUrl === null ? 'embedded' : 'external (WAFER_REDIS_URL)'],
    ['  Limits', LIMITS[limits]],
    ...(ids === 'range'
      ? []
      : [['  Ids', 'one host user for all sandboxes; "wafer doctor" says how to get more'] as const]),
    ['  API', `${url}/docs`],
    ['  Try', demo ? DEMO_CALL : 'wafer init hello && wafer deploy hello && wafer invoke hello'],
    ['  Or', `curl -H "Authorization: Bearer ${keyExpression(keyFile)}" ${url}/v1/functions`],
  ]);
  ui.out(ui.paint('dim', 'Ctrl-C stops it.'));
}

async function serve(demo: boolean, { ui, env }: CliContext): Promise<number> {
  refuseRoot();
  const config = readConfig(env);
  const progress = createStartProgress(ui);
  const stopped = untilStopped(ui);
  const { startPlatform } = await import('../../platform.ts');
  const { onProgress, onBaseImage } = progress;
  const starting = startPlatform(config, { onProgress, onBaseImage }).finally(() => progress.end());
  const platform = await Promise.race([starting, stopped]);
  // Stopped while starting: all that runs by now ends with this process, and the next start removes what was half made.
  if (typeof platform === 'string') return platform === 'SIGINT' ? 130 : 143;
  try {
    if (demo) await runDemo(ui, { ...env, WAFER_URL: platform.url, WAFER_KEY: platform.adminKey });
    showBanner(ui, platform.url, config, platform.engine, demo);
    await stopped;
    return 0;
  } finally {
    await platform.close();
  }
}

export default command({
  name: 'up',
  about: 'Starts the platform: API, worker and an embedded Redis in one process tree, without root. It stays in front.',
  args: {
    demo: { type: 'boolean', description: 'Deploy two examples, call each cold and warm, and show what it cost' },
  },
  examples: [
    ['wafer up', 'on 127.0.0.1:7070'],
    ['WAFER_PORT=8080 wafer up', 'on another port; "wafer config" lists all settings'],
    ['WAFER_REDIS_URL=redis://host:6379 wafer up', 'with your own Redis'],
    ['WAFER_CALLBACK_HOSTS=10.1.0.0/16 wafer up', 'callbacks may go into your own network, see docs/async.md'],
  ],
  run: async ({ demo }, context) => serve(demo === true, context),
});
