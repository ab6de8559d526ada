/** What all functions may have together: who waits for it, who is told so, and that it is free again. */
import { afterEach, describe, expect, it } from 'vitest';
import { type Reply, startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

const CODE = {
  'index.mjs': `
export const handler = async (event, { signal }) => {
  if (event?.spin) {
    const began = performance.now();
    const usedMs = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; };
    const end = usedMs() + event.spin;
    while (usedMs() < end);
    return performance.now() - began;
  }
  if (event?.hold) await new Promise((resolve) => {
    const timer = setInterval(() => {}, 1000);
    signal.addEventListener('abort', () => { clearInterval(timer); resolve(); });
  });
  return 'served';
};
`,
};
const FUNCTIONS = ['ns-holder', 'ns-hasty', 'ns-patient', 'ns-large', 'ns-spin'];

let wafer: TestPlatform;
let caller = new AbortController();
const start = async (env: Record<string, string>) => {
  wafer = await startTestPlatform({ WAFER_BLANKS: '2', ...env });
};
afterEach(async () => {
  caller.abort();
  for (const name of FUNCTIONS) await wafer?.remove(name);
  await wafer?.stop();
});

const gauge = async (name: string) => {
  const text = await (await wafer.fetch('/metrics')).text();
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.slice(name.length) ?? Number.NaN,
  );
};
const USED = 'wafer_namespace_used{resource="memory_bytes"}';
const MIB = 1024 * 1024;
const codeOf = (reply: Reply) => (reply.body as { code?: string }).code;

/** Until the function that it gives is called. */
async function holdAll(): Promise<() => Promise<void>> {
  caller = new AbortController();
  const held = wafer
    .fetch('/v1/functions/ns-holder/invoke', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ hold: true }),
      signal: caller.signal,
    })
    .catch(() => null);
  await until('it runs', async () => (await gauge('wafer_instances{state="busy"}')) === 1);
  return async () => {
    caller.abort();
    await held;
  };
}

describe('the memory that all instances may have together', () => {
  it('is waited for as long as timeoutMs, then the limit is named; it is free again when the other has ended', async () => {
    await start({ WAFER_NAMESPACE_MEMORY_MB: '256' });
    await wafer.deploy('ns-holder', CODE, { memoryMb: 160, timeoutMs: 600_000 });
    await wafer.deploy('ns-hasty', CODE, { memoryMb: 160, timeoutMs: 2_000 });
    await wafer.deploy('ns-patient', CODE, { memoryMb: 160, timeoutMs: 600_000 });
    // Blanks are of nobody: with all of them ready nothing is taken.
    await until('blanks are ready', async () => (await gauge('wafer_blanks_ready')) >= 2);
    expect(await gauge(USED)).toBe(0);
    const release = await holdAll();
    expect(await gauge(USED)).toBe(160 * MIB);

    const refused = await wafer.invoke('ns-hasty', {});
    expect([refused.status, codeOf(refused)]).toEqual([429, 'namespace_limit']);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(refused.body).toMatchObject({
      detail: expect.stringMatching(
        /ns-hasty v\d+ may have 160 MiB of memory; of the 256 MiB for all instances together/,
      ),
      hint: expect.stringContaining('WAFER_NAMESPACE_MEMORY_MB'),
    });
    expect(await gauge('wafer_calls_refused_total{code="namespace_limit"}')).toBe(1);

    const accepted = await wafer.fetch('/v1/functions/ns-hasty/async', { method: 'POST' });
    expect(accepted.status).toBe(202);
    const { id } = (await accepted.json()) as { id: string };
    await until('its attempt waits', async () => (await gauge('wafer_calls_waiting')) === 1);
    await until('its turn is given back', async () => (await gauge('wafer_calls_waiting')) === 0);

    const waiting = wafer.invoke('ns-patient', {});
    await until('it waits', async () => (await gauge('wafer_calls_waiting')) >= 1);
    await release();
    expect((await waiting).body).toBe('served');
    await until('the accepted one has ended well', async () => {
      const record = (await (await wafer.fetch(`/v1/invocations/${id}`)).json()) as { state: string };
      return record.state === 'succeeded';
    });
    expect((await wafer.invoke('ns-hasty', {})).body).toBe('served');
    expect(await gauge(USED)).toBe(160 * MIB);
  });

  it('is known when a function is deployed, and holds for one that was deployed before', async () => {
    await start({});
    await wafer.deploy('ns-large', CODE, { memoryMb: 300 });
    await wafer.stop();
    await start({ WAFER_NAMESPACE_MEMORY_MB: '256', WAFER_NAMESPACE_PIDS: '512' });
    await expect(wafer.deploy('ns-large', CODE, { memoryMb: 300 })).rejects.toThrow(
      /\/memoryMb: an instance may have 300 MiB of memory, and all together 256 MiB \(WAFER_NAMESPACE_MEMORY_MB\)/,
    );
    const refused = await wafer.invoke('ns-large', {});
    expect([refused.status, codeOf(refused)]).toEqual([429, 'namespace_limit']);
    expect((await wafer.wafer(['invoke', 'ns-large'])).stderr).toContain('raise WAFER_NAMESPACE_MEMORY_MB');
    await wafer.deploy('ns-large', CODE, { memoryMb: 256 });
    expect((await wafer.invoke('ns-large', {})).body).toBe('served');
  });
});

describe('the processors that all instances may have together', () => {
  it('are the most that one has that names no cpu, where the host can limit them', async (context) => {
    await start({ WAFER_NAMESPACE_CPU: '0.05' });
    const { checks } = (await (await wafer.fetch('/readyz')).json()) as { checks: { message?: string }[] };
    if (checks.some(({ message }) => message === 'limits none')) return context.skip();
    await wafer.deploy('ns-spin', CODE, { timeoutMs: 600_000 });
    const wallMs = (await wafer.invoke('ns-spin', { spin: 150 })).body as number;
    expect(wallMs / 150).toBeGreaterThan(10); // twenty times, but for what a period lends
  });
});
