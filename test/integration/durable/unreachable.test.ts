/** The platform has the large events and results; a worker elsewhere asks it for them, and it may be away. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WaferError } from '../../../services/core/errors.ts';
import { type Bodies, digestOf } from '../../../services/core/invocations/durable/bodies.ts';
import { remoteBodies } from '../../../services/core/invocations/durable/remote-bodies.ts';
import { AGAIN_MS, type DurableLab, ok, openDurableLab } from './lab.ts';

const never = new AbortController().signal;
const unreachable = (why = '') => new WaferError('not_reachable', `The platform does not answer${why}.`);
/** More often than the workers of an invocation may be lost. */
const TIMES = 5;

describe('an accepted call', () => {
  let lab: DurableLab;
  beforeEach(async () => {
    lab = await openDurableLab();
  });
  afterEach(() => lab.close());

  const runOver = async (bodies: Partial<Bodies>) => {
    const { id } = await lab.calls.accept(lab.request());
    lab.work(async ({ event }) => ok(`[${event}]`), 1, lab.attemptsOver({ ...lab.bodies, ...bodies }));
    return lab.calls.wait(id, 60_000, never);
  };

  it('whose event can not be read for a while has lost no attempt, and runs when it can', async () => {
    let left = TIMES;
    const record = await runOver({
      get: async (...asked) => {
        if (left-- > 0) throw unreachable(`, ${left} left`);
        return lab.bodies.get(...asked);
      },
    });
    expect(record).toMatchObject({ state: 'succeeded', attempts: 1 });
    expect(left).toBeLessThan(0);
    // However often it was given back.
    const [, began, waiting, ran, done] = record.timeline;
    expect(record.timeline.map(({ event }) => event)).toEqual([
      'accepted',
      'running',
      'waiting',
      'running',
      'succeeded',
    ]);
    // Since when: since the first time. Why, and until when: as it was the last time.
    expect(waiting?.reason).toContain(', 0 left');
    const { at: since = 0, next: until = 0 } = waiting ?? {};
    expect(until - since).toBeGreaterThan(AGAIN_MS * (TIMES - 2));
    const times = [began?.at, since, until, ran?.at, done?.at];
    expect(times).toEqual([...times].sort((x = 0, y = 0) => x - y));
    expect(times.every(Number.isInteger)).toBe(true);
  });

  it('whose result can not be kept runs no more often than workers of it may be lost', async () => {
    let runs = 0;
    const record = await runOver({
      put: async () => {
        runs++;
        throw unreachable();
      },
    });
    expect(record).toMatchObject({ state: 'failed', outcome: { kind: 'worker_lost' } });
    expect(runs).toBe(3);
  });

  it('whose event is damaged is parked after three workers could not begin it', async () => {
    const record = await runOver({
      get: async () => {
        throw new WaferError('digest_mismatch', 'not what was written');
      },
    });
    expect(record).toMatchObject({ state: 'failed', outcome: { kind: 'worker_lost' } });
  });
});

describe('a body that the platform has', () => {
  let server: Server | undefined;
  let asked = 0;
  /** Answers with these in turn, and then always with the last; `half`: it ends in the middle of its answer. */
  const serve = async (...answers: (number | 'half')[]): Promise<string> => {
    asked = 0;
    server = createServer((_request, response) => {
      const answer = answers[Math.min(asked++, answers.length - 1)] ?? 500;
      if (answer !== 'half') return response.writeHead(answer).end('bytes');
      response.writeHead(200, { 'content-length': 5 }).write('by', () => response.destroy());
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  afterEach(() => server?.close());

  const body = { contentType: 'text/plain', bytes: 5, digest: digestOf(Buffer.from('bytes')) };

  it('is asked for again while the platform is being started', async () => {
    const bodies = remoteBodies({ url: await serve(503, 503, 200), key: 'k' });
    expect(String(await bodies.get('inv_1', 'event', body))).toBe('bytes');
    expect(asked).toBe(3);
  });

  it('is asked for again when the platform ends in the middle of it', async () => {
    const bodies = remoteBodies({ url: await serve('half', 200), key: 'k' });
    expect(String(await bodies.get('inv_1', 'event', body))).toBe('bytes');
    expect(asked).toBe(2);
  });

  it('is not reachable when patience ends', async () => {
    const bodies = remoteBodies({ url: await serve(503), key: 'k' }, 300);
    await expect(bodies.get('inv_1', 'event', body)).rejects.toMatchObject({ code: 'not_reachable' });
    expect(asked).toBeGreaterThan(1);
  });

  it('is asked for again while the platform has too much to do', async () => {
    const bodies = remoteBodies({ url: await serve(429, 200), key: 'k' });
    expect(String(await bodies.get('inv_1', 'event', body))).toBe('bytes');
    expect(asked).toBe(2);
  });

  it.each([400, 401, 403, 413])('is not asked for again when the platform refuses with %i', async (status) => {
    const bodies = remoteBodies({ url: await serve(status), key: 'k' });
    await expect(bodies.get('inv_1', 'event', body)).rejects.toMatchObject({ code: 'internal' });
    expect(asked).toBe(1);
  });

  it('is damaged, and not asked for again, when the platform does not have it or has another', async () => {
    const missing = remoteBodies({ url: await serve(404), key: 'k' });
    await expect(missing.get('inv_1', 'event', body)).rejects.toMatchObject({ code: 'digest_mismatch' });
    expect(asked).toBe(1);
    server?.close();
    const other = remoteBodies({ url: await serve(200), key: 'k' });
    const wanted = { ...body, digest: digestOf(Buffer.from('others')) };
    await expect(other.get('inv_1', 'event', wanted)).rejects.toMatchObject({ code: 'digest_mismatch' });
    expect(asked).toBe(1);
  });
});
