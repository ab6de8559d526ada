/** What outlives the platform: states, logs, writable layers; what comes back by itself; what a crash leaves. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ContainerRecord } from '../../../services/core/containers/record.ts';
import { openContainerRecords } from '../../../services/core/containers/records.ts';
import type { Container } from '../../../services/core/containers/types.ts';
import { type ContainerLab, openContainerLab, openTestSession, SLEEP, sh } from '../../helpers/containers.ts';
import { startTestPlatform } from '../../helpers/platform.ts';
import { TEST_DATA } from '../../helpers/test-data.ts';
import { until } from '../../helpers/until.ts';

let lab: ContainerLab;
beforeAll(async () => {
  lab = await openContainerLab();
});
afterAll(() => lab.close());

const LOOP = sh('trap "exit 0" TERM; echo up; while :; do sleep 0.05; done');
const recordPath = (id: string) => join(TEST_DATA, 'containers', id, 'container.json');

describe('when the platform stops and starts', () => {
  it('what ran has ended with its own exit code, and says why; logs, files and names are there', async () => {
    const { id } = await lab.start({
      command: sh('echo kept > /file; trap "exit 3" TERM; echo up; while :; do sleep 0.05; done'),
      name: 'outlives',
    });
    const made = await lab.create({ command: SLEEP });
    const ended = await lab.start({ command: sh('exit 9') });
    await lab.wait(ended.id);
    await until('it is up', async () => (await lab.logs(id)).length > 0);
    await lab.reopen();
    const after = await lab.inspect('outlives');
    expect([after.id, after.status, after.exitCode, after.error]).toEqual([id, 'exited', 3, 'The platform stopped.']);
    expect((await lab.logs(id)).map(({ text }) => text)).toEqual(['up']);
    expect((await lab.inspect(made.id)).status).toBe('created');
    expect((await lab.inspect(ended.id)).exitCode).toBe(9);
    const committed = await lab.post(`${id}/commit`, { changes: ['CMD ["cat", "/file"]'] });
    const { digest } = (await committed.json()) as { digest: string };
    const reader = await lab.start({ image: digest });
    await lab.wait(reader.id);
    expect((await lab.logs(reader.id)).map(({ text }) => text)).toEqual(['kept']);
  });

  it('always and unless-stopped come back, but not what was stopped by hand; others stay ended', async () => {
    const policy = async (name: string) => lab.start({ command: LOOP, restart: { name } });
    const [always, unless, failure, no, stopped] = [
      await policy('always'),
      await policy('unless-stopped'),
      await policy('on-failure'),
      await policy('no'),
      await policy('unless-stopped'),
    ];
    await lab.post(`${stopped.id}/stop`);
    await lab.reopen();
    const status = async ({ id }: Container) => (await lab.inspect(id)).status;
    expect(await Promise.all([always, unless, failure, no, stopped].map(status))).toEqual([
      'running',
      'running',
      'exited',
      'exited',
      'exited',
    ]);
    for (const { id } of [always, unless]) await lab.post(`${id}/stop`);
  });

  it('who is attached, waits, or follows a log is told, and keeps nothing from ending', async () => {
    const { id } = await lab.start({ command: LOOP });
    const session = await openTestSession(lab, `${id}/attach`);
    const waiting = lab.fetch(`/v1/containers/${id}/wait`);
    const log = await lab.fetch(`/v1/containers/${id}/logs?follow=true`);
    const following = (log.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    let followed = '';
    for (let isOver = false; !isOver && !followed.includes('up'); ) {
      const part = await following.read();
      followed += part.value ?? '';
      isOver = part.done;
    }
    expect(followed).toContain('up');
    await lab.reopen();
    expect(await session.end).toMatchObject({ problem: { code: 'shutting_down' } });
    expect(await session.closed).toBe(1001);
    expect((await waiting).status).toBe(503);
    for (let isOver = false; !isOver; ) isOver = (await following.read()).done;
  });

  it('an image without a name is still there for its container, and goes only after it', async () => {
    const source = await lab.start({ command: sh('echo m > /m') });
    await lab.wait(source.id);
    const answer = await lab.post(`${source.id}/commit`, { tag: 'moves:1', changes: ['CMD ["cat", "/m"]'] });
    const { digest } = (await answer.json()) as { digest: string };
    const { id } = await lab.create({ image: 'moves:1' });
    // The name moves on to another image.
    await lab.post(`${source.id}/commit`, { tag: 'moves:1', message: 'another' });
    await lab.fetch('/v1/images/prune', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"all":false}',
    });
    await lab.reopen();
    const { imageDigest } = await lab.inspect(id);
    expect(imageDigest).toBe(digest);
    await lab.post(`${id}/start`);
    expect(await lab.wait(id)).toBe(0);
    await lab.fetch('/v1/images/moves%3A1', { method: 'DELETE' });
  });
});

describe('when the platform is killed', () => {
  it('what ran is ended with 137, and runs again by its policy; a damaged record stops no other', async () => {
    const own = await lab.create({ command: SLEEP });
    await lab.close();
    const first = await startTestPlatform();
    const create = async (body: object) => {
      const response = await first.fetch('/v1/containers', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ image: 'debian12', ...body }),
      });
      const { id } = (await response.json()) as Container;
      const started = await first.fetch(`/v1/containers/${id}/start`, { method: 'POST' });
      expect(started.status).toBe(200);
      return id;
    };
    const lost = await create({ command: sh('echo said; exec sleep 1000000') });
    const back = await create({ command: SLEEP, restart: { name: 'always' } });
    const temporary = await create({ command: SLEEP, removeOnExit: true });
    const damaged = await create({ command: SLEEP });
    await until('it is in the log', async () => {
      const text = await (await first.fetch(`/v1/containers/${lost}/logs`)).text();
      return text.includes('said');
    });
    await first.kill();
    writeFileSync(recordPath(damaged), readFileSync(recordPath(damaged), 'utf8').slice(0, 100));
    const second = await startTestPlatform({ WAFER_LOG_LEVEL: 'error' });
    const get = async (id: string) => {
      const response = await second.fetch(`/v1/containers/${id}`);
      return response.status === 200 ? ((await response.json()) as Container) : response.status;
    };
    expect(await get(lost)).toMatchObject({ status: 'exited', exitCode: 137, error: 'The platform stopped.' });
    await until('it runs again', async () => ((await get(back)) as Container).status === 'running');
    expect([await get(temporary), await get(damaged)]).toEqual([404, 404]);
    expect(second.output()).toContain(damaged);
    expect(readdirSync(join(TEST_DATA, 'work'))).toContain(`c-${damaged}`);
    expect(readdirSync(join(TEST_DATA, 'work'))).not.toContain(`c-${temporary}`);
    for (const id of [lost, back, own.id]) await second.fetch(`/v1/containers/${id}?force=true`, { method: 'DELETE' });
    expect(readdirSync(join(TEST_DATA, 'containers')).filter((name) => [lost, back].includes(name))).toEqual([]);
    await second.stop();
    rmSync(join(TEST_DATA, 'containers', damaged), { recursive: true });
    lab = await openContainerLab();
    expect(readdirSync(join(TEST_DATA, 'work'))).not.toContain(`c-${damaged}`);
  });
});

describe('records', () => {
  const RECORD = {
    format: 1,
    id: '0123456789abcdefghjkm',
    name: 'one',
    config: {},
    imageDigest: `sha256:${'a'.repeat(64)}`,
    argv: ['x'],
    mounts: [],
    status: 'exited',
    exitCode: 0,
    createdAt: 1,
    startedAt: null,
    finishedAt: null,
  } as unknown as ContainerRecord;

  it('are found again; others are told, and what has none is cleaned up', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'wafer-records-'));
    try {
      const damaged: string[] = [];
      const first = await openContainerRecords(dir, (id) => damaged.push(id));
      await Promise.all([first.write(RECORD), first.write({ ...RECORD, name: 'two' })]);
      const ids = ['1', '2', '3', '4'].map((one) => one.repeat(21));
      const texts = ['', '{"format":1', JSON.stringify({ ...RECORD, id: 'other' }), null];
      for (const [at, id] of ids.entries()) {
        mkdirSync(join(dir, id));
        const text = texts[at];
        if (text !== null && text !== undefined) writeFileSync(join(dir, id, 'container.json'), text);
      }
      const second = await openContainerRecords(dir, (id) => damaged.push(id));
      expect(second.found.map(({ name }) => name)).toEqual(['two']);
      expect(damaged.sort()).toEqual(ids.slice(0, 3));
      expect(readdirSync(dir)).not.toContain(ids[3]);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
