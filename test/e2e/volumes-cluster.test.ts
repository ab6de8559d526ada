/** A volume lies on one machine: what is accepted for its functions runs there, whoever takes the turn. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Invocation } from '../../services/core/invocations/view.ts';
import { type Cluster, openCluster } from '../helpers/cluster.ts';
import { toReply } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

const NAME = 'where-it-lies';
const VOLUME = 'lies-here';
const CODE = `import { appendFileSync } from 'node:fs';
export const handler = ({ id }) => { appendFileSync('/data/log', id + '\\n'); return id; };`;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await openCluster({ WAFER_ASYNC_CONCURRENCY: '1' });
  const { status, stderr } = await cluster.platform().wafer(['volume', 'create', VOLUME]);
  if (status !== 0) throw new Error(stderr);
  const volumes = [{ volume: VOLUME, path: '/data', mode: 'rw' }];
  await cluster.platform().deploy(NAME, { 'index.mjs': CODE }, { volumes, retries: { attempts: 1 } });
  await cluster.startWorker(0);
});
afterAll(async () => {
  await cluster?.platform().remove(NAME);
  await until('the volume is removed', async () => {
    const { status } = await cluster.platform().fetch(`/v1/volumes/${VOLUME}`, { method: 'DELETE' });
    return status === 204 || status === 404;
  });
  await cluster?.close();
});

const accept = async (id: number) => {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ id }) };
  const reply = await toReply(await cluster.platform().fetch(`/v1/functions/${NAME}/async`, init));
  expect(reply.status).toBe(202);
  return (reply.body as { id: string }).id;
};
const ended = async (id: string) => {
  let record: Invocation | undefined;
  const look = async () => {
    record = (await (await cluster.platform().fetch(`/v1/invocations/${id}`)).json()) as Invocation;
    return record.state !== 'queued' && record.state !== 'running' && record;
  };
  return until(`${id} has ended`, look).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(record)}; worker: ${cluster.workers[0]?.output()}`);
  });
};

describe('a function with a volume, beside a worker that joined and does not have it', () => {
  it('runs where the volume is, each call in its one attempt', async () => {
    const numbers = Array.from({ length: 12 }, (_, at) => at);
    const ids = await Promise.all(numbers.map(accept));
    const records = await Promise.all(ids.map(ended));
    expect(records.map(({ state, attempts }) => ({ state, attempts }))).toEqual(
      records.map(() => ({ state: 'succeeded', attempts: 1 })),
    );
    const { stdout } = await cluster.platform().wafer(['volume', 'cat', `${VOLUME}:/log`]);
    expect(
      stdout
        .trim()
        .split('\n')
        .map(Number)
        .sort((a, b) => a - b),
    ).toEqual(numbers);
    // Otherwise nobody but the machine of the volume was asked.
    const timelines = records.flatMap(({ timeline = [] }) =>
      timeline.map(({ event, reason }) => `${event} ${reason ?? ''}`),
    );
    expect(timelines.some((line) => /^waiting .*lies-here/.test(line))).toBe(true);
  });
});
