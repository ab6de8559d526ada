/**
 * Accepted calls that write to a volume with transactions, while they are killed and the platform is killed: what is in
 * the volume at the end is what the outcomes say, each call once, and no reader ever saw half of one.
 * `WAFER_VOLUME_KILLS`: how often the platform is killed.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Invocation } from '../../services/core/invocations/view.ts';
import { startTestPlatform, type TestPlatform, toReply } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

const KILLS = Number(process.env['WAFER_VOLUME_KILLS'] ?? 3);
const CALLS = 12;
const VOLUME = 'killed';
const [WRITER, READER] = ['killed-writer', 'killed-reader'];

/** Adds its invocation, in many files; dies at some moment of that now and then. */
const WRITES = `import fs from 'node:fs';
const DIR = '/data/';
export const handler = async (_event, { invocationId }) => {
  if (Math.random() < 0.3) setTimeout(() => process.kill(process.pid, 'SIGKILL'), Math.random() * 40);
  const ids = fs.existsSync(DIR + 'ids') ? fs.readFileSync(DIR + 'ids', 'utf8').split(' ') : [];
  ids.push(invocationId);
  fs.rmSync(DIR + 'd', { recursive: true, force: true });
  for (let at = 0; at < 8; at++) {
    fs.writeFileSync(DIR + 'count' + at, String(ids.length));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  fs.writeFileSync(DIR + 'new', ids.join(' '));
  fs.renameSync(DIR + 'new', DIR + 'ids');
  fs.mkdirSync(DIR + 'd');
  fs.writeFileSync(DIR + 'd/count', String(ids.length));
  if (Math.random() < 0.2) throw new Error('after all was written');
  return ids.length;
};`;
const READS = `import fs from 'node:fs';
const read = (name) => { try { return fs.readFileSync('/data/' + name, 'utf8'); } catch (error) { return error.code; } };
export const handler = () => ({
  names: fs.readdirSync('/data').sort(),
  counts: ['d/count', ...[0, 1, 2, 3, 4, 5, 6, 7].map((at) => 'count' + at)].map(read),
  ids: read('ids').split(' '),
});`;

interface Seen {
  names: string[];
  counts: string[];
  ids: string[];
}

let wafer: TestPlatform;
const cleanUp = async () => {
  for (const name of [WRITER, READER]) await wafer.remove(name);
  await until('the volume is removed', async () => {
    const { status } = await wafer.fetch(`/v1/volumes/${VOLUME}`, { method: 'DELETE' });
    return status === 204 || status === 404;
  });
};
beforeAll(async () => {
  wafer = await startTestPlatform();
  await cleanUp();
  expect((await wafer.wafer(['volume', 'create', VOLUME, '--tx', 'exclusive'])).status).toBe(0);
  const at = (mode: string) => ({ volumes: [{ volume: VOLUME, path: '/data', mode }], timeoutMs: 120_000 });
  const retries = { attempts: 50, backoff: 'fixed', delayMs: 20 };
  await wafer.deploy(WRITER, { 'index.mjs': WRITES }, { ...at('tx'), retries });
  await wafer.deploy(READER, { 'index.mjs': READS }, at('ro'));
});
afterAll(async () => {
  if (wafer === undefined) return;
  await cleanUp();
  await wafer.stop();
});

async function accept(): Promise<string> {
  const reply = await toReply(await wafer.fetch(`/v1/functions/${WRITER}/async`, { method: 'POST' }));
  expect(reply.status).toBe(202);
  return (reply.body as { id: string }).id;
}
async function redrive(ids: string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ids }) };
  const { status, body } = await toReply(await wafer.fetch('/v1/dead-letters/redrive', init));
  expect(status, JSON.stringify(body)).toBe(200);
  return (body as { redriven: { again: string }[] }).redriven.map((one) => one.again);
}
const recordOf = async (id: string) => (await (await wafer.fetch(`/v1/invocations/${id}`)).json()) as Invocation;
const endedAll = (ids: string[]) =>
  Promise.all(
    ids.map((id) =>
      until(`${id} has ended`, async () => {
        const record = await recordOf(id);
        return record.state !== 'queued' && record.state !== 'running' && record;
      }),
    ),
  );
async function look(): Promise<Seen> {
  const { status, body } = await wafer.invoke(READER);
  expect(status, JSON.stringify(body)).toBe(200);
  return body as Seen;
}
function expectWhole({ names, counts, ids }: Seen): void {
  if (names.length === 0) return; // before the first
  expect(names).toEqual(['count0', 'count1', 'count2', 'count3', 'count4', 'count5', 'count6', 'count7', 'd', 'ids']);
  expect(counts).toEqual(counts.map(() => String(ids.length)));
  expect(new Set(ids).size).toBe(ids.length);
}

it(`a platform that is killed ${KILLS} times under retried writers and readers has each success once, and nothing else`, async () => {
  const accepted: string[] = [];
  let looks = 0;
  for (let kill = 0; kill <= KILLS; kill++) {
    const before = accepted.length;
    for (let call = 0; call < CALLS; call++) accepted.push(await accept());
    const enough = before + Math.ceil(Math.random() * CALLS * 0.7);
    await until('some of them are in the volume', async () => {
      const seen = await look();
      expectWhole(seen);
      looks++;
      return seen.names.length > 0 && seen.ids.length >= enough;
    });
    if (kill === KILLS) break;
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 120));
    await wafer.kill();
    wafer = await startTestPlatform();
  }
  const records = await endedAll(accepted);
  // What ran, or waited for its turn to write, at each of three kills is parked: it has written nothing, so it is run again.
  const parked = records.filter(({ state }) => state !== 'succeeded').map(({ id }) => id);
  const again = await endedAll(await redrive(parked));
  const succeeded = [...records, ...again].filter(({ state }) => state === 'succeeded').map(({ id }) => id);
  const last = await look();
  expectWhole(last);
  expect([...last.ids].sort()).toEqual([...succeeded].sort());
  expect(succeeded).toHaveLength(accepted.length);
  expect(looks).toBeGreaterThan(KILLS);
});
