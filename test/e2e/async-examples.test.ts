/** The examples of schedules and chains, deployed by the real CLI, driven through CLI and API, with a receiver that checks signatures. */
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Invocation } from '../../services/core/invocations/view.ts';
import type { Delivery } from '../../services/core/triggers/callbacks/types.ts';
import { ROOT } from '../helpers/paths.ts';
import { startTestPlatform, type TestPlatform, toReply } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';
import { openReceiver } from '../integration/callbacks/lab.ts';

const EXAMPLES = join(ROOT, 'functions-examples');
const STEPS = { 'order-pipeline': '', 'order-charge': 'charge', 'order-ship': 'ship', 'order-cancel': 'cancel' };

let wafer: TestPlatform;
let receiver: Awaited<ReturnType<typeof openReceiver>>;
const open = async () => {
  wafer = await startTestPlatform({ WAFER_CALLBACK_HOSTS: `127.0.0.1:${receiver.port}` });
};
beforeAll(async () => {
  receiver = await openReceiver();
  await open();
});
afterAll(async () => {
  for (const name of ['nightly-report', ...Object.keys(STEPS)]) await wafer.remove(name);
  await wafer.stop();
  await receiver.close();
});

const ok = async (...args: string[]) => {
  const result = await wafer.wafer(args);
  expect(result, result.stderr).toMatchObject({ status: 0 });
  return result.stdout;
};
const read = async (id: string) => (await (await wafer.fetch(`/v1/invocations/${id}`)).json()) as Invocation;
const ended = (id: string) =>
  until(`${id} has ended`, async () => {
    const one = await read(id);
    return one.finishedAt !== undefined && one;
  });
const result = async (id: string) => JSON.parse(await ok('invocations', 'result', id)) as Record<string, unknown>;
const deliveries = async (id: string) => JSON.parse(await ok('invocations', 'deliveries', id, '--json')) as Delivery[];
/** What `target` of it started. */
const next = (id: string, target: string) =>
  until(`${target} of ${id} has started`, async () => {
    const reply = await toReply(await wafer.fetch(`/v1/invocations/${id}/deliveries`));
    const found = (reply.body as { deliveries: Delivery[] }).deliveries.find((one) => one.target === target);
    return found?.invocation;
  });

describe('nightly-report', () => {
  it('runs by its schedule, and by hand, and the schedule shows both', async () => {
    await ok('deploy', join(EXAMPLES, 'nightly-report'));
    const timing = ['--cron', '* * * * * *', '--timezone', 'Europe/Berlin', '--overlap', 'queue'];
    await ok('schedule', 'add', 'nightly', '--function', 'nightly-report', ...timing, '--data', '{"to":"team"}');
    const started = await until('it ran by the clock', async () => {
      const { runs } = JSON.parse(await ok('schedule', 'show', 'nightly', '--json'));
      return (runs as { kind: string; manual?: boolean; invocation: string }[]).find((one) => one.kind === 'started');
    });
    await ok('schedule', 'pause', 'nightly');
    expect(await ended(started.invocation)).toMatchObject({ state: 'succeeded', trigger: 'schedule' });
    expect(await result(started.invocation)).toEqual({
      until: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
      to: 'team',
      sales: 6,
      total: 500,
      regions: { north: 220, south: 240, east: 40 },
    });
    const id = (await ok('schedule', 'run', 'nightly')).trim();
    expect(await ended(id)).toMatchObject({ state: 'succeeded' });
    expect(await ok('schedule', 'show', 'nightly')).toContain('succeeded (by hand)');
    await ok('schedule', 'rm', 'nightly');
  });
});

describe('order-pipeline', () => {
  beforeAll(async () => {
    for (const folder of Object.values(STEPS)) await ok('deploy', join(EXAMPLES, 'order-pipeline', folder));
  });
  const order = async (card: string) => {
    const data = JSON.stringify({ items: { wafer: 3, waffle: 1 }, card });
    return (await ok('invoke', 'order-pipeline', '--async', '--data', data, '--callback', receiver.url)).trim();
  };

  it('goes from step to step, and tells a receiver that can check who says so', async () => {
    receiver.got.length = 0;
    const id = await order('slow');
    const charge = await next(id, 'onSuccess');
    const ship = await next(charge, 'onSuccess');
    expect(await ended(charge)).toMatchObject({ functionName: 'order-charge', attempts: 2, origin: id, depth: 1 });
    expect(await ended(ship)).toMatchObject({ functionName: 'order-ship', trigger: 'chain', origin: charge, depth: 2 });
    expect(await result(ship)).toEqual({ order: id, payment: `pay_${id.slice(4)}`, parcel: ['wafer', 'waffle'] });

    const got = await until('the receiver got it', () => receiver.got[0]);
    const secret = (await ok('callbacks', 'secret')).trim();
    const said = new Webhook(secret).verify(got.body.toString(), got.headers as Record<string, string>);
    expect(said).toMatchObject({ order: id, total: 11 });
    await until('it is noted', async () => (await deliveries(id)).every(({ state }) => state === 'delivered'));
    expect(await ok('invocations', 'deliveries', id)).toMatch(/callback[\s\S]*204[\s\S]*order-charge/);
    expect(await ok('invocations', 'get', id)).toContain(`order-charge runs as ${charge}`);

    expect(await ok('invocations', 'redeliver', id, 'callback')).toContain('is sent to');
    await until('the receiver got it again', () => receiver.got[1]);
    expect(receiver.got[1]?.headers['webhook-id']).toBe(got.headers['webhook-id']);
    const again = await wafer.wafer(['invocations', 'redeliver', id, 'onSuccess']);
    expect(again).toMatchObject({ status: 2, stderr: expect.stringContaining(charge) });
  });

  it('cancels an order whose card is refused', async () => {
    const charge = await next(await order('stolen'), 'onSuccess');
    const cancel = await next(charge, 'onFailure');
    await ended(cancel);
    expect(await result(cancel)).toMatchObject({ cancelled: true, why: 'the card was refused', attempts: 1 });
  });

  it('keeps what follows when its version is removed before it ends', async () => {
    await wafer.deploy(
      'short-lived',
      { 'index.mjs': 'export const handler = async () => 1;' },
      { onFailure: receiver.url },
    );
    const id = (await ok('invoke', 'short-lived', '--async', '--delay', '3s', '--data', '{}')).trim();
    await wafer.remove('short-lived');
    expect(await ended(id)).toMatchObject({ state: 'failed', outcome: { kind: 'function_killed' } });
    await until('the receiver got it', () => receiver.got.find(({ headers }) => headers['x-call-id'] === id));
  });
});

describe('callbacks to what is not public', () => {
  const post = async (path: string, callback: string, body: unknown = {}, headers = {}) =>
    toReply(
      await wafer.fetch(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-callback-url': callback, ...headers },
        body: JSON.stringify(body),
      }),
    );
  const METADATA = 'http://169.254.169.254/latest/meta-data';

  it.each([
    ['async', {}, {}],
    ['batch', [{}], {}],
    ['invoke', {}, { prefer: 'respond-async' }],
    ['invoke', {}, {}],
  ])('are refused on .../%s before anything is accepted', async (route, body, headers) => {
    const path = `/v1/functions/order-pipeline/${route}`;
    expect(await post(path, METADATA, body, headers)).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', details: { path: 'header/x-callback-url' } },
    });
  });

  it('are refused in a version that is deployed', async () => {
    const files = { 'index.mjs': 'export const handler = async () => 1;' };
    await expect(wafer.deploy('leaks', files, { onSuccess: METADATA })).rejects.toThrow(/must not lead to 169.254/);
    expect((await wafer.fetch('/v1/functions/leaks')).status).toBe(404);
  });
});

describe('wafer callbacks', () => {
  it('shows the secret and rotates it', async () => {
    const before = (await ok('callbacks', 'secret')).trim();
    expect(before).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const after = (await ok('callbacks', 'rotate', '--keep', '1h')).trim();
    expect(after).not.toBe(before);
    const reply = await toReply(await wafer.fetch('/v1/callbacks/secret'));
    expect(reply.body).toMatchObject({
      secret: after,
      previous: expect.arrayContaining([expect.objectContaining({ secret: before })]),
    });
    await ok('callbacks', 'rotate', '--keep', '0s');
    expect((await toReply(await wafer.fetch('/v1/callbacks/secret'))).body).toMatchObject({ previous: [] });
  });
});

describe('when the platform is killed', () => {
  it('while a receiver thinks, it is told again under the same id after the next start; what follows starts once', async () => {
    receiver.got.length = 0;
    receiver.answer(() => {});
    const id = (
      await ok('invoke', 'order-pipeline', '--async', '--data', '{"items":{"wafer":1}}', '--callback', receiver.url)
    ).trim();
    await until('the receiver got it', () => receiver.got[0]);
    await wafer.kill();
    receiver.answer((_got, response) => response.writeHead(204).end());
    await open();
    await until('all is delivered', async () => (await deliveries(id)).every(({ state }) => state === 'delivered'));
    expect(receiver.got.length).toBeGreaterThan(1);
    expect(new Set(receiver.got.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    const page = await toReply(await wafer.fetch('/v1/invocations?function=order-charge'));
    const { invocations } = page.body as { invocations: Invocation[] };
    expect(invocations.filter(({ origin }) => origin === id)).toHaveLength(1);
  });
});
