/** `wafer schedule` and its routes: the real CLI, the real API, real schedules. */
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildApp } from '../../../services/api/app.ts';
import { createFakePlatform, TEST_KEY } from '../../helpers/fake-platform.ts';
import { runCli } from '../../helpers/run-cli.ts';
import { MINUTE, NOON, openScheduleLab, type ScheduleLab } from './lab.ts';

let lab: ScheduleLab;
let app: FastifyInstance;
let url: string;
beforeAll(async () => {
  lab = await openScheduleLab();
  app = buildApp(createFakePlatform({ schedules: lab.schedules, durable: lab.durable.calls }));
  url = await app.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(async () => {
  await app.close();
  await lab.close();
});

const wafer = (...args: string[]) =>
  runCli(['schedule', ...args], { env: { WAFER_URL: url, WAFER_KEY: TEST_KEY, TZ: 'UTC' } });
const send = (method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/schedules${path}`, {
    method,
    headers: { authorization: `Bearer ${TEST_KEY}`, ...(body && { 'content-type': 'application/json' }), ...headers },
    ...(body && { body: JSON.stringify(body) }),
  });

describe('wafer schedule', () => {
  it('adds, lists, shows, pauses, resumes, runs and removes', async () => {
    const added = await wafer(
      'add',
      'nightly',
      '-f',
      'f',
      '--cron',
      '30 2 * * *',
      '--timezone',
      'Europe/Berlin',
      '--data',
      '{"a":1}',
      '--jitter',
      '5s',
    );
    expect(added.stderr).toBe('');
    expect(added.stdout).toMatch(/nightly calls f: 30 2 \* \* \* \(Europe\/Berlin\); next 2026-06-03 02:30:00/);
    expect((await wafer('ls')).stdout).toMatch(
      /nightly +f +30 2 \* \* \* \(Europe\/Berlin\) +active +2026-06-03 02:30:00/,
    );
    const id = (await wafer('run', 'nightly')).stdout.trim();
    expect(id).toMatch(/^inv_/);
    lab.clock.now = Date.parse('2026-06-03T00:31:00Z');
    await lab.ticker().tick();
    const shown = (await wafer('show', 'nightly')).stdout;
    expect(shown).toContain('up to 5.0 s');
    expect(shown).toContain('{"a":1}');
    expect(shown).toContain('queued (by hand)');
    expect(shown).toMatch(/2026-06-03 02:30:00 +queued +inv_/);
    expect((await wafer('pause', 'nightly')).stdout).toContain('nightly is paused');
    expect((await wafer('resume', 'nightly')).stdout).toContain('nightly is due 2026-06-04 02:30:00');
    expect((await wafer('rm', 'nightly')).stdout).toContain('nightly is removed');
    const gone = await wafer('show', 'nightly');
    expect([gone.code, gone.stderr]).toEqual([2, expect.stringContaining('There is no schedule "nightly"')]);
  });

  it('previews what could be a schedule, in its zone, across a change of the clocks', async () => {
    lab.clock.now = Date.parse('2026-10-24T12:00:00Z');
    const { stdout } = await wafer('preview', '--cron', '30 2 * * *', '--timezone', 'Europe/Berlin', '-n', '2');
    expect(stdout).toContain('2026-10-25 02:30:00   2026-10-25T00:30:00.000Z');
    expect(stdout).toContain('2026-10-26 02:30:00   2026-10-26T01:30:00.000Z');
  });

  it.each([
    [['--cron', '0 25 * * *'], 'the hour "25" is not valid'],
    [['--cron', '* * * * *', '--every', '5m'], 'one of cron, everyMs and at; cron and everyMs are set'],
    [[], 'none of them is set'],
    [['--cron', '* * * * *', '--timezone', 'Mars/Base'], '"Mars/Base" is not a time zone'],
    [['--every', '5'], '--every 5 is not a time span'],
    [['--at', 'tomorrow'], '--at tomorrow is not a time'],
    [['--at', '2001-01-01T00:00:00Z'], 'at: 2001-01-01T00:00:00.000Z is over'],
    [['--cron', '0 0 1 1 *', '--end', '2026-11-01T00:00:00Z'], 'it is never due before'],
    [['--every', '500ms'], 'everyMs: must be a whole number from 1000'],
    [['--every', '5m', '--overlap', 'both'], '--overlap both is not one of skip, queue, replace'],
    [['--every', '5m', '--timezone', 'UTC'], 'timeZone: is only for cron'],
  ])('add %j is refused and says why', async (flags, message) => {
    const { code, stderr } = await wafer('add', 'wrong', '-f', 'f', ...flags);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(await lab.schedules.list()).toEqual([]);
  });
});

describe('/v1/schedules', () => {
  it('answers 201 for a new one, 200 for a changed one, with what was sent', async () => {
    lab.clock.now = NOON;
    const sent = { functionName: 'f', everyMs: 60_000, overlap: 'queue', missed: 'all', missedLimit: 3, data: [1] };
    const made = await send('PUT', '/every', sent);
    expect(made.status).toBe(201);
    expect(await made.json()).toMatchObject({ name: 'every', ...sent, state: 'active', due: NOON + MINUTE });
    expect((await send('PUT', '/every', sent)).status).toBe(200);
    expect(await (await send('GET', '/every/preview?count=2')).json()).toEqual({
      next: [NOON + MINUTE, NOON + 2 * MINUTE],
    });
    expect((await send('DELETE', '/every')).status).toBe(204);
    expect((await send('DELETE', '/every')).status).toBe(404);
  });

  it('run: 202 with where to look, once for one idempotency key', async () => {
    await send('PUT', '/once', { functionName: 'f', at: NOON + 3_600_000 });
    const answers = await Promise.all(
      [1, 2, 3].map(() => send('POST', '/once/run', undefined, { 'idempotency-key': 'k' })),
    );
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202]);
    const places = new Set(answers.map(({ headers }) => headers.get('location')));
    expect(places.size).toBe(1);
    expect([...places][0]).toMatch(/^\/v1\/invocations\/inv_/);
  });

  it.each([
    [{ functionName: 'f', cron: '* * * * *', foo: 1 }, 'invalid_request'],
    [{ cron: '* * * * *' }, 'invalid_request'],
    [{ functionName: 'f', cron: '99 * * * *' }, 'invalid_schedule'],
    [{ functionName: 'f', at: 1e17 }, 'invalid_schedule'],
    [{ functionName: 'f', everyMs: 60_000, start: NOON + 10, end: NOON + 5 }, 'invalid_schedule'],
    [{ functionName: 'f', everyMs: 60_000, data: 'x'.repeat(40_000) }, 'invalid_schedule'],
    [{ functionName: 'nope', everyMs: 60_000 }, 'function_not_found'],
    [{ functionName: 'f', everyMs: 60_000, alias: 'a', version: 1 }, 'invalid_schedule'],
  ])('PUT: wrong body %# is refused with its code, and makes nothing', async (body, code) => {
    const reply = await send('PUT', '/bad', body);
    expect(((await reply.json()) as { code: string }).code).toBe(code);
    expect((await send('GET', '/bad')).status).toBe(404);
  });

  it('a name that is none is refused with what a name may be', async () => {
    const reply = await send('PUT', '/Every_Night', { functionName: 'f', everyMs: 60_000 });
    expect(await reply.json()).toMatchObject({
      status: 400,
      code: 'invalid_name',
      detail: expect.stringMatching(/"Every_Night" is not a valid name of a schedule: .*lower-case/),
    });
  });
});
