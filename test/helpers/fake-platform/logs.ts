/** Lines of functions in memory, in the order in which they were written. */
import { once, setMaxListeners } from 'node:events';
import type { LogStore } from '../../../services/core/invocations/logs.ts';
import type { FakePlatform } from './types.ts';

export const LINE = { time: 1000, functionName: 'hello', version: 1, instanceId: 'i-test', stream: 'stdout' as const };

export function createLogs(platform: () => FakePlatform): LogStore {
  const grown = new EventTarget();
  setMaxListeners(0, grown);
  const select: LogStore['read'] = async ({ functionName, invocationId, since = 0, limit = Infinity, after }) => {
    const { lines } = platform();
    const from = after === undefined ? 0 : lines.findIndex(({ cursor }) => cursor === after) + 1;
    return lines
      .slice(from)
      .filter((line) => (functionName ?? line.functionName) === line.functionName)
      .filter((line) => (invocationId ?? line.invocationId) === line.invocationId && line.time >= since)
      .slice(limit === Infinity ? 0 : -limit);
  };
  return {
    write: (line) => {
      platform().lines.push({ ...line, cursor: `${line.time}-${platform().lines.length}` });
      grown.dispatchEvent(new Event('line'));
    },
    read: select,
    flush: async () => {},
    async *follow(query, signal) {
      platform().followers += 1;
      try {
        for (let sent = 0; !signal.aborted; ) {
          const found = await select({ ...query, limit: Infinity });
          yield* found.slice(sent);
          sent = found.length;
          await once(grown, 'line', { signal }).catch(() => {});
        }
      } finally {
        platform().followers -= 1;
      }
    },
  };
}
