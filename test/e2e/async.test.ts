/** Calls that are accepted first, through the real platform: answers, records, retries, crashes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Invocation } from '../../services/core/invocations/view.ts';
import { startTestPlatform, type TestPlatform, toReply } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

const CODE = `
class NonRetryableError extends Error { get name() { return 'NonRetryableError'; } }
export async function handler(event, context) {
  if (event?.hold) await new Promise((done) => { setTimeout(done, event.hold); context.signal.addEventListener('abort', done); });
  if (event?.failUntil && context.attempt < event.failUntil) throw new TypeError('attempt ' + context.attempt);
  if (event?.never) throw new NonRetryableError('never');
  return { event, attempt: context.attempt };
}`;

let wafer: TestPlatform;
const open = async () => {
  wafer = await startTestPlatform();
};
beforeAll(async () => {
  await open();
  await wafer.deploy('later', { 'index.mjs': CODE });
});
afterAll(async () => {
  await wafer.remove('later');
  await wafer.stop();
});

const post = async (path: string, body: unknown, headers: Record<string, string> = {}) =>
  toReply(
    await wafer.fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    }),
  );
const accept = async (event: unknown, query = '', headers = {}) => {
  const reply = await post(`/v1/functions/later/async${query}`, event, headers);
  expect(reply).toMatchObject({ status: 202, body: { state: 'accepted' } });
  return (reply.body as { id: string }).id;
};
const read = async (id: string) => (await (await wafer.fetch(`/v1/invocations/${id}`)).json()) as Invocation;
const ended = async (id: string) => {
  await until(`${id} has ended`, async () => !['queued', 'running'].includes((await read(id)).state));
  return read(id);
};
const result = async (id: string) => toReply(await wafer.fetch(`/v1/invocations/${id}/result`));

describe('POST .../async', () => {
  it('answers 202 with the place of a record that is there at once, and keeps the result', async () => {
    const reply = await post('/v1/functions/later/async', { n: 1 });
    const { id } = reply.body as { id: string };
    expect(reply.headers.get('location')).toBe(`/v1/invocations/${id}`);
    expect((await read(id)).timeline?.[0]).toMatchObject({ event: 'accepted' });
    const record = await ended(id);
    expect(record).toMatchObject({ state: 'succeeded', trigger: 'async', functionName: 'later', attempts: 1 });
    expect(record.receipt).toMatchObject({ start: expect.any(String) });
    expect((await result(id)).body).toEqual({ event: { n: 1 }, attempt: 1 });
    const page = await toReply(await wafer.fetch('/v1/invocations?function=later&state=succeeded'));
    expect((page.body as { invocations: Invocation[] }).invocations.map((one) => one.id)).toContain(id);
  });

  it('runs the version that was live when it was accepted', async () => {
    const { number } = await wafer.deploy('later', { 'index.mjs': CODE });
    const id = await accept({}, '?delayMs=1500');
    await wafer.deploy('later', { 'index.mjs': CODE });
    expect(await ended(id)).toMatchObject({ state: 'succeeded', version: number });
  });

  it('gives one invocation to one Idempotency-Key, and refuses the key for another body', async () => {
    const key = { 'idempotency-key': `k-${Date.now()}` };
    const id = await accept({ a: 1 }, '', key);
    expect((await post('/v1/functions/later/async', { a: 1 }, key)).body).toMatchObject({ id, state: 'repeated' });
    expect(await post('/v1/functions/later/async', { a: 2 }, key)).toMatchObject({
      status: 409,
      body: { code: 'idempotency_conflict' },
    });
  });

  it.each([
    ['?delayMs=5&runAt=2030-01-01T00:00:00Z', 'query/runAt'],
    ['?runAt=tomorrow', 'query/runAt'],
    ['?priority=11', 'query/priority'],
  ])('refuses %s and names the parameter', async (query, path) => {
    const reply = await post(`/v1/functions/later/async${query}`, {});
    expect(reply).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
    expect(JSON.stringify(reply.body)).toContain(path);
  });
});

describe('Prefer', () => {
  it('respond-async makes a call an accepted one', async () => {
    const reply = await post('/v1/functions/later/invoke', {}, { prefer: 'respond-async' });
    expect(reply.status).toBe(202);
    expect(reply.headers.get('preference-applied')).toBe('respond-async');
    expect(await ended((reply.body as { id: string }).id)).toMatchObject({ state: 'succeeded' });
  });

  it('wait=N gives the value when it ends in time, and 202 when it does not', async () => {
    const soon = await post('/v1/functions/later/invoke', { n: 2 }, { prefer: 'respond-async, wait=30' });
    expect(soon).toMatchObject({ status: 200, body: { event: { n: 2 }, attempt: 1 } });
    expect(soon.headers.get('preference-applied')).toBe('respond-async, wait=30');
    const late = await post('/v1/functions/later/invoke', { hold: 20_000 }, { prefer: 'wait=1' });
    expect(late.status).toBe(202);
    await wafer.fetch(`/v1/invocations/${(late.body as { id: string }).id}`, { method: 'DELETE' });
  });

  it('wait=N tells a failure as a call does', async () => {
    const reply = await post('/v1/functions/later/invoke', { never: true }, { prefer: 'wait=30' });
    expect(reply).toMatchObject({ status: 502, body: { code: 'function_error' } });
  });
});

describe('a batch', () => {
  it('gives each event an id of its own, and all of them run', async () => {
    const reply = await post(
      '/v1/functions/later/batch',
      Array.from({ length: 50 }, (_, n) => ({ n })),
    );
    const { accepted, results } = reply.body as { accepted: number; results: { id: string }[] };
    expect({ status: reply.status, accepted }).toEqual({ status: 202, accepted: 50 });
    for (const [n, { id }] of results.entries()) {
      expect(await ended(id)).toMatchObject({ state: 'succeeded', trigger: 'batch' });
      expect((await result(id)).body).toMatchObject({ event: { n } });
    }
  });
});

describe('a failure', () => {
  it('comes again with the next attempt, and each is in the timeline', async () => {
    const record = await ended(await accept({ failUntil: 2 }));
    expect(record).toMatchObject({ state: 'succeeded', attempts: 2 });
    expect(record.timeline?.map(({ event }) => event)).toEqual([
      'accepted',
      'running',
      'attempt_failed',
      'running',
      'succeeded',
    ]);
  });

  it('that is not worth another attempt is a dead letter, and runs again when it is redriven', async () => {
    const id = await accept({ never: true });
    expect(await ended(id)).toMatchObject({
      state: 'failed',
      attempts: 1,
      outcome: { errorType: 'NonRetryableError' },
    });
    const dead = await toReply(await wafer.fetch('/v1/dead-letters?function=later'));
    expect((dead.body as { invocations: Invocation[] }).invocations.map((one) => one.id)).toContain(id);
    const redriven = await post('/v1/dead-letters/redrive', { ids: [id] });
    const [{ again }] = (redriven.body as { redriven: [{ again: string }] }).redriven;
    expect(await ended(again)).toMatchObject({ trigger: 'replay', origin: id, state: 'failed' });
    expect(await read(id)).toMatchObject({ state: 'failed' });
    await post('/v1/dead-letters/purge', { ids: [again] });
    const left = await toReply(await wafer.fetch('/v1/dead-letters?function=later'));
    const ids = (left.body as { invocations: Invocation[] }).invocations.map((one) => one.id);
    expect(ids).not.toContain(id);
    expect(ids).not.toContain(again);
  });
});

describe('DELETE', () => {
  it('ends one that waits and one that runs', async () => {
    const waits = await accept({}, '?delayMs=3600000');
    const runs = await accept({ hold: 60_000 });
    await until('it runs', async () => (await read(runs)).state === 'running');
    for (const id of [waits, runs]) {
      expect((await wafer.fetch(`/v1/invocations/${id}`, { method: 'DELETE' })).status).toBe(200);
      expect(await ended(id)).toMatchObject({ state: 'cancelled' });
    }
  });
});

describe('when the platform is killed', () => {
  it('what was accepted runs after the next start; what ran is picked up again', async () => {
    const ids = [await accept({ hold: 3000 }), await accept({ n: 7 }, '?delayMs=4000')];
    await until('the first runs', async () => (await read(ids[0] ?? '')).state === 'running');
    await wafer.kill();
    await open();
    for (const id of ids) expect(await ended(id)).toMatchObject({ state: 'succeeded' });
    expect((await read(ids[0] ?? '')).timeline?.map(({ event }) => event)).toContain('attempt_lost');
  });
});
