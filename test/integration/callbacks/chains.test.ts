/** What follows what: functions by onSuccess and onFailure, loops, and what crashes leave. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CLAIM_MS } from '../../../services/core/triggers/callbacks/sender.ts';
import { eventually } from '../../helpers/redis.ts';
import { type CallbackLab, openCallbackLab } from './lab.ts';

let lab: CallbackLab;
beforeAll(async () => {
  lab = await openCallbackLab();
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.functions.clear();
  lab.clock.ahead = 0;
  lab.receiver.got.length = 0;
});

const eventOf = async (id: string) =>
  JSON.parse(String(await lab.durable.calls.readBody(await lab.durable.calls.get(id), 'event')));
const followers = async (id: string) => (await lab.records()).filter(({ origin }) => origin === id);
/** Sends until `count` invocations came from `id`, one after another or side by side. */
const untilFollowed = (id: string, count: number) =>
  eventually(`${count} follow ${id}`, async () => {
    await lab.send();
    const found = await followers(id);
    return found.length >= count && found;
  });

describe('a function that follows', () => {
  it('runs with what was asked and answered, and says where it comes from', async () => {
    lab.functions.set('ship', {});
    const { id } = await lab.run({ body: Buffer.from('{"answer":{"paid":7}}'), followers: { onSuccess: 'ship' } });
    const [next] = await untilFollowed(id, 1);
    expect(next).toMatchObject({ functionName: 'ship', trigger: 'chain', origin: id, depth: 1 });
    expect(await eventOf(next?.id ?? '')).toMatchObject({
      invocation: { id, functionName: 'f', state: 'succeeded', depth: 0, outcome: { kind: 'ok' } },
      request: { answer: { paid: 7 } },
      result: { paid: 7 },
    });
    expect(await lab.delivery(id)).toMatchObject({ target: 'onSuccess', state: 'delivered', invocation: next?.id });
    expect((await lab.durable.calls.get(id)).timeline.at(-1)).toMatchObject({
      event: 'delivered',
      reason: `onSuccess: ship runs as ${next?.id}`,
    });
  });

  it('is the one for failures when it failed, beside the callback; of a cancelled one there is none', async () => {
    lab.functions.set('refund', {});
    const both = { onSuccess: 'ship', onFailure: 'refund' };
    const { id } = await lab.run({
      body: Buffer.from('{"fail":"no card"}'),
      followers: both,
      callbackUrl: lab.receiver.url,
    });
    const [next] = await untilFollowed(id, 1);
    expect(await eventOf(next?.id ?? '')).toMatchObject({
      invocation: { state: 'failed', outcome: { kind: 'function_error', message: 'no card' } },
      result: null,
    });
    expect((await lab.callbacks.deliveries(id)).map(({ target, state }) => [target, state])).toEqual([
      ['callback', 'delivered'],
      ['onFailure', 'delivered'],
    ]);
    const { calls, request } = lab.durable;
    const waits = await calls.accept(request({ followers: both, runAt: Date.now() + 3_600_000 }));
    await calls.cancel(waits.id, 'not wanted');
    await lab.send();
    expect(await lab.callbacks.deliveries(waits.id)).toEqual([]);
    expect(await followers(waits.id)).toEqual([]);
  });

  it('and is not there is named in the record', async () => {
    const { id } = await lab.run({ followers: { onSuccess: 'nobody' } });
    await lab.send();
    expect(await lab.delivery(id)).toMatchObject({
      state: 'failed',
      attempts: [{ code: 'function_not_found', error: expect.stringContaining('nobody') }],
    });
    lab.functions.set('nobody', {});
    await lab.callbacks.redeliver(id, 'onSuccess');
    expect(await untilFollowed(id, 1)).toHaveLength(1);
  });

  it('is not started again by hand', async () => {
    lab.functions.set('ship', {});
    const { id } = await lab.run({ followers: { onSuccess: 'ship' } });
    const [next] = await untilFollowed(id, 1);
    await expect(lab.callbacks.redeliver(id, 'onSuccess')).rejects.toMatchObject({
      code: 'conflict',
      hint: expect.stringContaining(next?.id ?? ''),
    });
  });
});

describe('two functions that follow one another', () => {
  it('are stopped at the depth limit, and the record says chain_too_deep', async () => {
    lab.functions.set('ping', { onSuccess: 'pong' }).set('pong', { onSuccess: 'ping' });
    const { id } = await lab.run({ functionName: 'ping', followers: { onSuccess: 'pong' } });
    let last = id;
    for (let depth = 1; depth <= 16; depth++) {
      const [next] = await untilFollowed(last, 1);
      expect(next).toMatchObject({ depth, functionName: depth % 2 === 1 ? 'pong' : 'ping' });
      last = next?.id ?? '';
    }
    const stopped = await eventually('the last one ends', async () => {
      await lab.send();
      const delivery = await lab.callbacks.deliveries(last);
      return delivery[0]?.state === 'failed' && delivery[0];
    });
    expect(stopped.attempts).toEqual([expect.objectContaining({ code: 'chain_too_deep' })]);
    const { timeline } = await lab.durable.calls.get(last);
    expect(timeline.at(-1)).toMatchObject({
      event: 'undelivered',
      reason: expect.stringMatching(/^onSuccess: pong: chain_too_deep: pong would follow ping, to which 16/),
    });
    expect(await followers(last)).toEqual([]);
  });
});

describe('a crash', () => {
  it('between the outcome and the first attempt loses nothing: the outbox was written with the outcome', async () => {
    const { redis } = lab.durable.redis.connection;
    const { id } = await lab.run({ callbackUrl: lab.receiver.url });
    expect(await redis.zscore('wafer:{default}:outbox', id)).not.toBeNull();
    expect(await lab.callbacks.deliveries(id)).toMatchObject([{ state: 'pending', attempts: [] }]);
    await lab.send();
    expect(lab.receiver.got).toHaveLength(1);
    expect(await redis.zscore('wafer:{default}:outbox', id)).toBeNull();
  });

  it('between an attempt and its note repeats it under the same id when the claim ends, by whoever looks', async () => {
    const { id } = await lab.run({ callbackUrl: lab.receiver.url });
    // Posts, and is gone before it can write what became of it.
    const real = lab.durable.redis.connection.redis;
    const redis = new Proxy(real, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) =>
          args.includes('callback') ? Promise.reject(new Error('killed')) : value.apply(target, args);
      },
    });
    const dying = lab.sender({ redis });
    await dying.take();
    await dying.settled();
    expect(lab.receiver.got).toHaveLength(1);
    await lab.send();
    expect(lab.receiver.got).toHaveLength(1);
    lab.clock.ahead = CLAIM_MS + 1_000;
    await lab.send();
    expect(lab.receiver.got).toHaveLength(2);
    expect(new Set(lab.receiver.got.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(await lab.delivery(id)).toMatchObject({ state: 'delivered' });
  });

  it('after a function was accepted, and before that was noted, starts no second one', async () => {
    lab.functions.set('ship', {});
    const { id } = await lab.run({ followers: { onSuccess: 'ship' } });
    const { calls } = lab.durable;
    const forgetful = {
      ...calls,
      accept: async (request: Parameters<typeof calls.accept>[0]) => {
        await calls.accept(request);
        throw new Error('killed');
      },
    };
    const dying = lab.sender({ calls: forgetful });
    await dying.take();
    await dying.settled();
    lab.clock.ahead = CLAIM_MS + 1_000;
    await untilFollowed(id, 1);
    await eventually('it is noted', async () => {
      await lab.send();
      return (await lab.delivery(id)).state === 'delivered';
    });
    expect(await followers(id)).toHaveLength(1);
  });

  it('that was none: what a sender hears after its claim has ended changes nothing', async () => {
    const { id } = await lab.run({ callbackUrl: lab.receiver.url });
    let refuse = () => {};
    lab.receiver.answer((_got, response) => {
      if (lab.receiver.got.length > 1) response.writeHead(204).end();
      else refuse = () => void response.writeHead(500).end();
    });
    const slow = lab.sender();
    await slow.take();
    await eventually('it was sent', () => lab.receiver.got.length === 1);
    lab.clock.ahead = CLAIM_MS + 1_000;
    await lab.send();
    refuse();
    await slow.settled();
    lab.receiver.answer((_got, response) => response.writeHead(204).end());
    expect(await lab.delivery(id)).toMatchObject({ state: 'delivered', attempts: [{ status: 204 }] });
    expect((await lab.delivery(id)).attempts).toHaveLength(1);
  });

  it('of none: any number of senders send it once', async () => {
    const ids = await Promise.all([1, 2, 3, 4, 5].map(() => lab.run({ callbackUrl: lab.receiver.url })));
    const senders = [1, 2, 3, 4].map(() => lab.sender());
    await Promise.all(senders.map((sender) => sender.take()));
    await Promise.all(senders.map((sender) => sender.settled()));
    expect(lab.receiver.got).toHaveLength(ids.length);
  });

  it('that took the record with it leaves nothing in the outbox', async () => {
    const { redis } = lab.durable.redis.connection;
    const { id } = await lab.run({ callbackUrl: lab.receiver.url });
    await redis.del(`wafer:{default}:call:${id}`);
    await lab.send();
    expect(await redis.zscore('wafer:{default}:outbox', id)).toBeNull();
    expect(lab.receiver.got).toEqual([]);
  });
});
