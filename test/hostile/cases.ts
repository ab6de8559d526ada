/** Hostile functions on a platform of their own: after each case an ordinary call of each works, and the platform holds what it held. */
import { expect } from 'vitest';
import { type Holdings, readHoldings } from '../helpers/leaks.ts';
import { type Reply, startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

/** Each answers `{act: 'ok'}` with `ok`. */
export type HostileFunctions = Record<string, { files: Record<string, string>; config?: object }>;

export interface Cases {
  readonly wafer: TestPlatform;
  act(by: string, name: string, more?: object): Promise<Reply>;
  /** Fails with what is held that was not held before. */
  checkRest(): Promise<void>;
  close(): Promise<void>;
}

/** Without blanks: their number comes and goes. */
export async function openCases(functions: HostileFunctions, env: Record<string, string> = {}): Promise<Cases> {
  const wafer = await startTestPlatform({ WAFER_BLANKS: '0', ...env });
  const act = (by: string, name: string, more = {}) => wafer.invoke(by, { act: name, ...more });
  /** Idle, each with one instance. */
  const rest = async () => {
    for (const name of Object.keys(functions)) expect((await act(name, 'ok')).body, name).toBe('ok');
  };
  for (const [name, { files, config }] of Object.entries(functions)) await wafer.deploy(name, files, config);
  await rest();
  const before: Holdings = await readHoldings(wafer);
  return {
    wafer,
    act,
    async checkRest() {
      // An instance that a call left something in ends a moment later, and the next one is another.
      await until(
        'the platform holds what it held before',
        async () => {
          await rest();
          return JSON.stringify(await readHoldings(wafer)) === JSON.stringify(before);
        },
        120_000,
      ).catch(() => {}); // the comparison shows what it is
      expect(await readHoldings(wafer)).toEqual(before);
    },
    async close() {
      for (const name of Object.keys(functions)) await wafer.remove(name);
      await wafer.stop();
    },
  };
}
