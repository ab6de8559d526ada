/** `wafer worker`: accepted calls run where somebody joined, and on nobody's machine twice. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Invocation } from '../../services/core/invocations/view.ts';
import type { DeliveryDetail } from '../../services/core/triggers/webhooks/view.ts';
import { type Cluster, openCluster } from '../helpers/cluster.ts';
import { toReply } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

const CODE = `
export async function handler(event, context) {
  if (event?.hold) await new Promise((done) => setTimeout(done, event.hold));
  return { attempt: context.attempt, echo: event?.text?.length ?? 0, large: 'x'.repeat(event?.large ?? 0) };
}`;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await openCluster();
  await cluster.platform().deploy('spread', { 'index.mjs': CODE });
});
afterAll(async () => {
  await cluster.platform().remove('spread');
  await cluster.close();
});

const accept = async (event: object, name = 'spread') => {
  const reply = await toReply(
    await cluster.platform().fetch(`/v1/functions/${name}/async`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(event),
    }),
  );
  expect(reply.status).toBe(202);
  return (reply.body as { id: string }).id;
};
const read = async (id: string) =>
  (await (await cluster.platform().fetch(`/v1/invocations/${id}`)).json()) as Invocation;
const ended = (id: string) =>
  until(`${id} has ended`, async () => {
    const record = await read(id);
    return record.state !== 'queued' && record.state !== 'running' && record;
  });

describe('a worker that joined', () => {
  it('runs what was accepted before, with an image that it brings from the registry of the platform', async () => {
    const id = await accept({});
    expect(await read(id)).toMatchObject({ state: 'queued' });
    await cluster.startWorker(0);
    expect(await ended(id)).toMatchObject({ state: 'succeeded', attempts: 1 });
  });

  it('gets large events and gives large results through the platform', async () => {
    const id = await accept({ text: 'y'.repeat(1 << 20), large: 1 << 20 });
    expect(await ended(id)).toMatchObject({ state: 'succeeded' });
    const result = await toReply(await cluster.platform().fetch(`/v1/invocations/${id}/result`));
    expect(result.body).toMatchObject({ echo: 1 << 20, large: 'x'.repeat(1 << 20) });
  });

  it('runs what a webhook took', async () => {
    const platform = cluster.platform();
    const flags = ['--function', 'spread', '--scheme', 'bearer', '--json'];
    const added = await platform.wafer(['webhook', 'add', 'joined', ...flags]);
    const { webhook, secret } = JSON.parse(added.stdout) as { webhook: { url: string }; secret: string };
    const reply = await fetch(platform.url + webhook.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
      body: '{"from":"outside"}',
    });
    expect(reply.status).toBe(202);
    const { delivery } = (await reply.json()) as { delivery: string };
    const invocation = await until('the delivery has its invocation', async () => {
      const shown = await platform.fetch(`/v1/webhooks/joined/deliveries/${delivery}`);
      return ((await shown.json()) as DeliveryDetail).invocations[0];
    });
    expect(await ended(invocation.id)).toMatchObject({ state: 'succeeded', trigger: 'webhook', origin: delivery });
  });

  it('that is killed while it runs a call loses it to another, and it ends once', async () => {
    const id = await accept({ hold: 4000 });
    await until('it runs', async () => (await read(id)).state === 'running');
    await cluster.workers[0]?.kill();
    await cluster.startWorker(1);
    const record = await ended(id);
    expect(record).toMatchObject({ state: 'succeeded', attempts: 2 });
    expect(record.timeline?.map(({ event }) => event)).toEqual([
      'accepted',
      'running',
      'attempt_lost',
      'running',
      'succeeded',
    ]);
  });

  it('gives functions their secrets, which it asks the platform for, and newer ones within seconds', async () => {
    const platform = cluster.platform();
    const set = async (value: string) =>
      expect((await platform.fetch('/v1/secrets/spread-token', { method: 'PUT', body: value })).status).toBeLessThan(
        300,
      );
    const tokenOf = async () => {
      const id = await accept({}, 'spread-secret');
      expect(await ended(id)).toMatchObject({ state: 'succeeded' });
      return (await toReply(await platform.fetch(`/v1/invocations/${id}/result`))).body;
    };
    await set('first value');
    const code = `import { readFileSync } from 'node:fs';
      export const handler = () => [process.env.TOKEN, readFileSync('/run/secrets/spread-token', 'utf8')];`;
    await platform.deploy(
      'spread-secret',
      { 'index.mjs': code },
      { secrets: ['spread-token'], secretEnv: { TOKEN: 'spread-token' } },
    );
    expect(await tokenOf()).toEqual(['first value', 'first value']);
    await set('second value');
    await until('it has the newer one', async () => JSON.stringify(await tokenOf()).includes('second value'));
    await platform.remove('spread-secret');
    await platform.fetch('/v1/secrets/spread-token', { method: 'DELETE' });
  });
});
