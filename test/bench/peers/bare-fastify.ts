/** A bare fastify in a process of its own: one that echoes, one that echoes through a child, one that adds to a queue. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface BareFastify {
  readonly url: string;
  close(): Promise<void>;
}

export const startEcho = (): Promise<BareFastify> => start(['echo-server.mjs']);

/** The least that a call in a process of its own can cost. */
export const startHop = (): Promise<BareFastify> => start(['hop-server.mjs']);

/** POST / is one `add`. @param socket of Redis */
export const startAdder = (socket: string): Promise<BareFastify> => start(['add-server.mjs', socket]);

async function start([file = '', ...rest]: string[]): Promise<BareFastify> {
  const child = spawn(process.execPath, [join(import.meta.dirname, file), ...rest], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  const [url] = (await Promise.race([
    once(child.stdout.setEncoding('utf8'), 'data'),
    closed.then(() => Promise.reject(new Error('a server of the bench ended'))),
  ])) as [string];
  return {
    url: url.trim(),
    async close() {
      child.kill('SIGTERM');
      await closed;
    },
  };
}
