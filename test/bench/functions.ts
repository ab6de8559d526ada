/** The functions of the bench: deployed, watched, removed. Their names begin with `bench-`. */
import type { BlankInfo, InstanceInfo } from '../../services/core/invocations/types.ts';
import type { TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

export const PREFIX = 'bench-';
export const EVENT = '{"n":1}';

export const nodeCode = (text: string | number) => ({
  'index.mjs': `export const handler = (event) => ({ echo: event, from: ${JSON.stringify(text)} });\n`,
});
export const pythonCode = (text: string | number) => ({
  'main.py': `def handler(event, context):\n    return {"echo": event, "from": ${JSON.stringify(text)}}\n`,
});
/** So little memory that the platform's share for instances is not what is measured. */
export const SMALL = { memoryMb: 64 };

export const invokePath = (name: string) => `/v1/functions/${name}/invoke`;

export interface Live {
  instances: InstanceInfo[];
  blanks: BlankInfo[];
}

export const readLive = async (wafer: TestPlatform): Promise<Live> =>
  (await (await wafer.fetch('/v1/instances')).json()) as Live;

/** Nothing boots, nothing ends; blanks are ready unless there are to be none. */
export async function untilQuiet(wafer: TestPlatform, { blanks = true, instances = 0 } = {}): Promise<Live> {
  return until('the platform is quiet', async () => {
    const live = await readLive(wafer);
    const isReady = live.blanks.every(({ ready, booting }) => ready > 0 && booting === 0);
    const isThere = blanks ? live.blanks.length > 0 : true;
    return isReady && isThere && live.instances.length === instances && live;
  });
}

export const poolText = ({ blanks }: Pick<Live, 'blanks'>): string =>
  blanks.length === 0
    ? 'no blanks'
    : `blanks ready: ${blanks.map(({ ready, runtime }) => `${ready} ${runtime}`).join(', ')}`;

export async function removeFunctions(wafer: TestPlatform): Promise<void> {
  const { functions } = (await (await wafer.fetch('/v1/functions')).json()) as { functions: { name: string }[] };
  const mine = functions.filter(({ name }) => name.startsWith(PREFIX));
  // Many at a time: each asks for a collection of garbage, and those that wait share one.
  await eachOf(mine, 64, ({ name }) => wafer.remove(name));
}

/** So many at a time, in order. */
export async function eachOf<T>(
  all: readonly T[],
  parallel: number,
  work: (one: T, index: number) => Promise<unknown>,
): Promise<void> {
  const left = all.entries();
  const worker = async () => {
    for (const [index, one] of left) await work(one, index);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}
