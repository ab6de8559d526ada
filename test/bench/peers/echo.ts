/** A bare fastify in a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface Echo {
  readonly url: string;
  close(): Promise<void>;
}

export async function startEcho(): Promise<Echo> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'echo-server.mjs')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  const [url] = (await Promise.race([
    once(child.stdout.setEncoding('utf8'), 'data'),
    closed.then(() => Promise.reject(new Error('the echo server ended'))),
  ])) as [string];
  return {
    url: url.trim(),
    async close() {
      child.kill('SIGTERM');
      await closed;
    },
  };
}
