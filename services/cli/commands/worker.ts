import { readClientConfig, readConfig } from '../../core/config.ts';
import { WaferError } from '../../core/errors.ts';
import { findApiKey } from '../api-key.ts';
import { command } from '../command.ts';
import { createStartProgress } from '../start-progress.ts';
import { untilStopped } from '../until-stopped.ts';

export default command({
  name: 'worker',
  about:
    'Joins a running platform as one more worker: takes accepted calls (async, schedules, webhooks) from its Redis, and brings images from its registry. It needs a data directory of its own, and stays in front.',
  args: {},
  examples: [
    [
      'WAFER_URL=http://10.0.0.1:7070 WAFER_KEY=... WAFER_REDIS_URL=redis://10.0.0.1:6379 wafer worker',
      'on another machine',
    ],
  ],
  run: async (_args, { ui, env }) => {
    const config = readConfig(env);
    const { url, dataDir } = readClientConfig(env);
    const key = findApiKey(dataDir, env);
    if (key === null) {
      throw new WaferError('usage', 'A worker needs the key of its platform: WAFER_KEY is not set.', {
        hint: 'It is in admin.key in the data directory of the platform.',
      });
    }
    const progress = createStartProgress(ui);
    const stopped = untilStopped(ui);
    const { joinAsWorker } = await import('../../joined-worker.ts');
    const joining = joinAsWorker(config, { home: { url, key: key.value }, onProgress: progress.onProgress, env });
    const worker = await Promise.race([joining.finally(() => progress.end()), stopped]);
    if (typeof worker === 'string') return worker === 'SIGINT' ? 130 : 143;
    try {
      ui.out(
        `${ui.paint('green', '●')} Wafer works for ${ui.paint('cyan', url)}: ${config.asyncConcurrency} calls at once, limits ${worker.engine.limits}.`,
      );
      ui.out(ui.paint('dim', 'Ctrl-C stops it.'));
      await stopped;
      return 0;
    } finally {
      await worker.close();
    }
  },
});
