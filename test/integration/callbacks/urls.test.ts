/** What a receiver gets: signed as Standard Webhooks say, repeated until it says yes, and only where it may go. */

import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BACKOFF_MS } from '../../../services/core/triggers/callbacks/deliver.ts';
import { type CallbackLab, type Got, openCallbackLab } from './lab.ts';

const MINUTE = 60_000;
let lab: CallbackLab;
/** What the resolver answers, in turn; the last one stays. */
const names = new Map<string, string[]>();
beforeAll(async () => {
  lab = await openCallbackLab(async (name) => {
    const answers = names.get(name) ?? [];
    const address = (answers.length > 1 ? answers.shift() : answers[0]) ?? '';
    return [{ address, family: 4 }];
  });
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.clock.ahead = 0;
  lab.receiver.got.length = 0;
  lab.receiver.answer((_got, response) => response.writeHead(204).end());
});
/** What a test leaves is to be sent again, and would take room from the next one when its time has come. */
afterEach(async () => {
  names.clear();
  answering(204);
  lab.clock.ahead += 7 * 24 * 60 * MINUTE;
  await lab.send();
});

const called = (more: object = {}, path = '') => lab.run({ callbackUrl: `${lab.receiver.url}${path}`, ...more });
const answering = (status: number, headers: Record<string, string> = {}) =>
  lab.receiver.answer((_got, response) => response.writeHead(status, headers).end());
const verify = (secret: string, { headers, body }: Got) =>
  new Webhook(secret).verify(body.toString(), headers as Record<string, string>);

describe('a callback', () => {
  it('carries the result, who it is about, and a signature that a library of Standard Webhooks accepts', async () => {
    const { id } = await called({ body: Buffer.from('{"answer":{"total":3}}') });
    await lab.send();
    const [got] = lab.receiver.got as [Got];
    const { secret } = await lab.callbacks.secrets();
    expect(verify(secret, got)).toEqual({ total: 3 });
    expect(got.headers).toMatchObject({
      'content-type': 'application/json',
      'webhook-id': `msg_${id.slice(4)}_callback`,
      'x-call-id': id,
      'x-function-name': 'f',
      'x-function-status': '200',
      'x-wafer-state': 'succeeded',
      'x-retry': '0',
    });
    expect(() => verify(secret, { ...got, body: Buffer.from('{"total":4}') })).toThrow();
    expect(() => verify('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', got)).toThrow();
    expect(await lab.delivery(id)).toMatchObject({ state: 'delivered', attempts: [{ status: 204 }] });
    const { timeline } = await lab.durable.calls.get(id);
    expect(timeline.at(-1)).toMatchObject({ event: 'delivered', reason: expect.stringContaining('callback: http') });
  });

  it('of a failure carries the problem', async () => {
    await called({ body: Buffer.from('{"fail":"no paper"}') });
    await lab.send();
    const [got] = lab.receiver.got as [Got];
    expect(got.headers).toMatchObject({ 'x-function-status': '502', 'x-wafer-state': 'failed' });
    expect(verify((await lab.callbacks.secrets()).secret, got)).toMatchObject({
      code: 'function_error',
      detail: 'no paper',
      status: 502,
    });
  });

  it('tells of one that was cancelled before it ran', async () => {
    const { calls } = lab.durable;
    const request = lab.durable.request({ callbackUrl: lab.receiver.url, runAt: Date.now() + 3_600_000 });
    const { id } = await calls.accept(request);
    await calls.cancel(id, 'not wanted');
    await lab.send();
    expect(lab.receiver.got.map(({ headers }) => headers['x-wafer-state'])).toEqual(['cancelled']);
  });

  it('is signed with both secrets while one is being replaced', async () => {
    const before = (await lab.callbacks.secrets()).secret;
    const { secret, previous } = await lab.callbacks.rotate(MINUTE);
    expect(secret).not.toBe(before);
    expect(previous.map((one) => one.secret)).toEqual([before]);
    await called();
    await lab.send();
    const [got] = lab.receiver.got as [Got];
    expect(verify(secret, got)).toEqual(verify(before, got));
    lab.clock.ahead = MINUTE + 1;
    expect((await lab.callbacks.secrets()).previous).toEqual([]);
  });

  it('is signed with at most two secrets before the present one, and with none of them when others know them', async () => {
    for (let round = 0; round < 4; round++) await lab.callbacks.rotate(MINUTE * (5 - round));
    expect((await lab.callbacks.secrets()).previous).toHaveLength(2);
    expect((await lab.callbacks.rotate(0)).previous).toEqual([]);
  });
});

describe('a receiver that does not say yes', () => {
  it('gets it again with the same id after each wait, and then no more', async () => {
    answering(500);
    const { id } = await called();
    await lab.send();
    for (const [index, wait] of BACKOFF_MS.entries()) {
      await lab.send();
      expect(lab.receiver.got.length, `before wait ${index}`).toBe(index + 1);
      lab.clock.ahead += wait + 1_000;
      await lab.send();
    }
    expect(lab.receiver.got.length).toBe(BACKOFF_MS.length + 1);
    expect(new Set(lab.receiver.got.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(lab.receiver.got.map(({ headers }) => headers['x-retry'])).toEqual(['0', '1', '2', '3', '4', '5', '6']);
    expect(await lab.delivery(id)).toMatchObject({ state: 'failed', tries: 7 });
    expect((await lab.durable.calls.get(id)).timeline.at(-1)).toMatchObject({
      event: 'undelivered',
      reason: expect.stringContaining('it answered 500'),
    });
    lab.clock.ahead += 24 * 60 * MINUTE;
    await lab.send();
    expect(lab.receiver.got.length).toBe(BACKOFF_MS.length + 1);
  });

  it.each([
    ['120', 2 * MINUTE],
    ['7200', 120 * MINUTE],
    ['a while', 5_000],
    ['-3', 5_000],
  ])('and asks to be left alone for %j is', async (text, ms) => {
    answering(503, { 'retry-after': text });
    const { id } = await called();
    await lab.send();
    const { attempts, next = 0 } = await lab.delivery(id);
    expect(next - (attempts[0]?.at ?? 0)).toBe(ms);
  });

  it('names a day as Retry-After', async () => {
    answering(429, { 'retry-after': new Date(Date.now() + 10 * MINUTE).toUTCString() });
    const { id } = await called();
    await lab.send();
    const { attempts, next = 0 } = await lab.delivery(id);
    expect(Math.abs(next - (attempts[0]?.at ?? 0) - 10 * MINUTE)).toBeLessThan(5_000);
  });

  it('and answers 410 gets nothing more, until somebody sends it by hand', async () => {
    answering(410);
    const first = await called({}, '/gone');
    await lab.send();
    const second = await called({}, '/gone');
    await lab.send();
    expect(lab.receiver.got.length).toBe(1);
    for (const { id } of [first, second]) expect(await lab.delivery(id)).toMatchObject({ state: 'gone' });
    answering(200);
    await lab.callbacks.redeliver(second.id, 'callback');
    await lab.send();
    expect(await lab.delivery(second.id)).toMatchObject({ state: 'delivered', attempts: [{}, { status: 200 }] });
  });

  it('but to another place is not followed there', async () => {
    lab.receiver.answer(({ path }, response) =>
      path === '/hook' ? response.writeHead(302, { location: '/elsewhere' }).end() : response.writeHead(200).end(),
    );
    const { id } = await called();
    await lab.send();
    expect(lab.receiver.got.map(({ path }) => path)).toEqual(['/hook']);
    expect(await lab.delivery(id)).toMatchObject({
      state: 'pending',
      attempts: [{ status: 302, error: 'redirects are not followed' }],
    });
  });

  it.each<[string, Parameters<CallbackLab['receiver']['answer']>[0], object]>([
    ['answers nothing', () => {}, { error: 'there was no answer in 2000 ms' }],
    ['breaks off', (_got, response) => response.destroy(), { error: expect.any(String) }],
    ['is no HTTP', (_got, response) => void response.socket?.end('hello\r\n\r\n'), { error: expect.any(String) }],
  ])('and %s gets it again', async (_what, answer, attempt) => {
    lab.receiver.answer(answer);
    const { id } = await called();
    await lab.send();
    expect(await lab.delivery(id)).toMatchObject({ state: 'pending', attempts: [attempt] });
  });

  it('and answers without end is believed by its status', async () => {
    lab.receiver.answer((_got, response) => {
      response.writeHead(200);
      const more = () => {
        while (response.write('x'.repeat(65_536)));
      };
      response.on('drain', more);
      more();
    });
    const { id } = await called();
    await lab.send();
    expect(await lab.delivery(id)).toMatchObject({ state: 'delivered', attempts: [{ status: 200 }] });
  });

  it('keeps no other receiver waiting', async () => {
    lab.receiver.answer(({ path }, response) => void (path !== '/hook/slow' && response.writeHead(204).end()));
    const sender = lab.sender({ limits: { perHost: 2, bytes: 1 << 26 } });
    const slow = await Promise.all([1, 2, 3].map(() => called({}, '/slow')));
    await sender.take();
    await sender.settled();
    const states = await Promise.all(slow.map(({ id }) => lab.delivery(id)));
    expect(states.map(({ attempts }) => attempts.length).sort()).toEqual([0, 1, 1]);
    expect(states.every(({ state }) => state === 'pending')).toBe(true);
  });
});

describe('an address that is not public', () => {
  it('is refused at the connection, though the name was public when the URL was given', async () => {
    names.set('rebinds.example', ['93.184.216.34', '127.0.0.1']);
    const callbackUrl = `http://rebinds.example:${lab.receiver.port}/hook`;
    await lab.callbacks.assertUrl(callbackUrl);
    const { id } = await lab.run({ callbackUrl });
    await lab.send();
    expect(lab.receiver.got.filter(({ headers }) => headers['x-call-id'] === id)).toEqual([]);
    expect(await lab.delivery(id)).toMatchObject({
      state: 'pending',
      attempts: [{ error: expect.stringContaining('must not lead to 127.0.0.1 (rebinds.example)') }],
    });
  });

  it('is refused at the connection also in a URL that got past the first check', async () => {
    const { id } = await lab.run({ callbackUrl: 'http://127.0.0.1:1/' });
    await lab.send();
    expect(await lab.delivery(id)).toMatchObject({ attempts: [{ error: expect.stringContaining('127.0.0.1') }] });
    await expect(lab.callbacks.assertUrl('http://127.0.0.1:1/')).rejects.toMatchObject({ code: 'invalid_request' });
  });
});

describe('redeliver', () => {
  it('sends what was delivered once more under the same id, with all its attempts kept', async () => {
    const { id } = await called();
    await lab.send();
    await lab.callbacks.redeliver(id, 'callback');
    await lab.send();
    expect(lab.receiver.got.map(({ headers }) => headers['webhook-id'])).toEqual([
      `msg_${id.slice(4)}_callback`,
      `msg_${id.slice(4)}_callback`,
    ]);
    expect(await lab.delivery(id)).toMatchObject({ state: 'delivered', tries: 1, attempts: [{}, {}] });
  });

  it('sends what waits at once', async () => {
    answering(500);
    const { id } = await called();
    await lab.send();
    answering(204);
    await lab.callbacks.redeliver(id, 'callback');
    await lab.send();
    expect(await lab.delivery(id)).toMatchObject({ state: 'delivered' });
  });

  it('of what does not follow, or of an unknown one, is refused', async () => {
    const { id } = await called();
    await expect(lab.callbacks.redeliver(id, 'onSuccess')).rejects.toMatchObject({ code: 'delivery_not_found' });
    await expect(lab.callbacks.redeliver('inv_01m7xr2fq4s4x1ew1pga6576t1', 'callback')).rejects.toMatchObject({
      code: 'invocation_not_found',
    });
  });
});
