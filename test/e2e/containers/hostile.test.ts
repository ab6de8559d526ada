/** Containers and strangers: names, paths, archives, floods, and what a build that failed leaves. */
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContainerLab, openContainerLab, openTestSession, SLEEP, sh } from '../../helpers/containers.ts';
import { makeTar } from '../../helpers/make-tar.ts';
import { until } from '../../helpers/until.ts';

let lab: ContainerLab;
beforeAll(async () => {
  lab = await openContainerLab();
});
afterAll(() => lab.close());

const create = (body: object) =>
  lab.fetch('/v1/containers', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ image: 'debian12', command: SLEEP, ...body }),
  });
const count = async () =>
  ((await (await lab.fetch('/v1/containers?all=true')).json()) as { containers: object[] }).containers.length;

describe('a config', () => {
  it.each<[string, object]>([
    ['a name that leads elsewhere', { name: '../../etc' }],
    ['a name that begins like a flag', { name: '-rf' }],
    ['a name that is too long', { name: 'x'.repeat(65) }],
    ['a key that nobody knows', { privileged: true }],
    ['a mount of the host', { mounts: [{ volume: '/etc', path: '/mnt' }] }],
    ['a mount that leads elsewhere', { mounts: [{ volume: 'v', path: '/../x' }] }],
    ['a mount over /proc', { mounts: [{ volume: 'v', path: '/proc/self' }] }],
    ['a volume of another container', { mounts: [{ volume: 'anon-0123456789abcdefghjkm-0', path: '/x' }] }],
    ['two mounts at one place', { mounts: ['a', 'b'].map((volume) => ({ volume, path: '/x' })) }],
    ['a port for the world', { ports: [{ hostAddress: '0.0.0.0', containerPort: 80 }] }],
    ['a port that is none', { ports: [{ containerPort: 70_000 }] }],
    ['a NUL in its command', { command: ['a\0b'] }],
    ['a NUL in its env', { env: { A: 'a\0b' } }],
    ['an env name with =', { env: { 'A=B': 'c' } }],
    ['a signal that is none', { stopSignal: 'SIGNOTHING' }],
    ['a user that the image does not have', { user: 'no-such-user' }],
    ['a user that is not mapped', { user: '70000' }],
    ['a host name with a line in it', { hostname: 'a\n127.0.0.1 evil' }],
    ['a working directory that leads elsewhere', { workingDir: '/a/../../b' }],
    ['removal together with a restart policy', { removeOnExit: true, restart: { name: 'always' } }],
    ['a health check that is none', { health: { test: ['CMD'] } }],
  ])('with %s is refused, and leaves nothing', async (_what, body) => {
    const before = await count();
    const response = await create(body);
    expect(response.status).toBe(400);
    expect(((await response.json()) as { code: string }).code).toMatch(/^invalid_(request|name)$/);
    expect(await count()).toBe(before);
  });

  it('of an image that is not there, or that says nothing to run, is refused', async () => {
    expect((await create({ image: 'no/such:image' })).status).toBe(404);
    expect((await create({ entrypoint: [], command: [] })).status).toBe(400);
  });
});

describe('files', () => {
  const filesPath = (id: string, path: string) => `/v1/containers/${id}/files?path=${encodeURIComponent(path)}`;

  it.each(['relative', '/a/../../etc', '/..', '/x\0y'])('at %j are refused', async (path) => {
    const { id } = await lab.create({ command: SLEEP });
    expect((await lab.fetch(filesPath(id, path))).status).toBe(400);
  });

  it.each(['running', 'stopped'])('of a %s one go in and out, and never lead out of its root', async (state) => {
    const { id } = await lab.start({
      command: sh('ln -s /etc /link; ln -s ../../../../etc/hostname /out; echo up; exec sleep 1000000'),
    });
    await until('it is up', async () => (await lab.logs(id)).length > 0);
    if (state === 'stopped') await lab.post(`${id}/stop`, { timeoutSeconds: 0 });
    const tar = makeTar({ 'dir/': null, 'dir/file': 'hello' });
    const put = (path: string, body: Uint8Array) =>
      lab.fetch(filesPath(id, path), { method: 'PUT', headers: { 'content-type': 'application/x-tar' }, body });
    expect((await put('/srv', tar)).status).toBe(204);
    const got = await lab.fetch(filesPath(id, '/srv/dir'));
    expect(got.status).toBe(200);
    const text = Buffer.from(await got.arrayBuffer()).toString('latin1');
    expect(text).toContain('dir/file');
    expect(text).toContain('hello');
    expect((await lab.fetch(filesPath(id, '/no/such'))).status).toBe(404);
    expect((await put('/no/such', tar)).status).toBe(404);
    const leadingOut = makeTar({ '../../../../tmp/wafer-escaped': 'x' });
    expect((await put('/srv', leadingOut)).status).toBe(400);
    expect((await put('/srv', gzipSync(Buffer.from('no tar')))).status).toBe(400);
  });
});

describe('a flood', () => {
  it('of output leaves the log within its cap, its end readable, and the platform answering', async () => {
    const { id } = await lab.start({ command: sh('yes | head -c 30000000; echo the end') });
    let answers = 0;
    const asking = until('it ended', async () => {
      answers += 1;
      return (await lab.inspect(id)).status === 'exited';
    });
    await asking;
    expect(answers).toBeGreaterThan(0);
    const tail = await lab.logs(id, '?tail=2');
    expect(tail.map(({ text }) => text)).toEqual(['y', 'the end']);
    // Millions of lines: the first ones are enough.
    const response = await lab.fetch(`/v1/containers/${id}/logs`);
    const reader = response.body?.getReader();
    const first = Buffer.from((await reader?.read())?.value ?? []).toString();
    await reader?.cancel();
    expect(first).toMatch(/^\{[^\n]*"\[wafer: \d+ lines are missing here/);
  });

  it('of processes ends at its own limit', async () => {
    const { id } = await lab.start({
      command: sh('for i in $(seq 100); do sleep 1000 & done; echo came through; wait'),
      pids: 30,
    });
    await lab.wait(id).catch(() => undefined);
    const texts = (await lab.logs(id)).map(({ text }) => text).join('\n');
    expect(texts).not.toContain('came through');
    expect(texts).toMatch(/fork|Resource temporarily unavailable/);
  });
});

describe('the image of a build that failed', () => {
  it('runs with a terminal, by the name that was printed and by its digest', async () => {
    const form = new FormData();
    form.set('config', JSON.stringify({ noCache: true }));
    const dockerfile = 'FROM debian12\nRUN echo made > /made\nRUN echo broken >&2; exit 7\n';
    const archive = gzipSync(makeTar({ Dockerfile: dockerfile }));
    form.set('archive', new Blob([new Uint8Array(archive)]), 'context.tar.gz');
    const built = await lab.fetch('/v1/images/build', { method: 'POST', body: form });
    expect(built.status).toBe(422);
    const { details } = (await built.json()) as { details: { image: string; digest: string } };
    for (const image of [details.image, details.digest]) {
      const { id } = await lab.create({ image, command: ['sh'], terminal: true, stdin: true });
      const session = await openTestSession(lab, `${id}/attach?rows=24&columns=80`);
      await lab.post(`${id}/start`);
      session.stdin('cat /made; exit 5\r');
      expect(await session.end).toEqual({ exitCode: 5 });
      expect(session.stdout()).toContain('made\r\n');
      await lab.fetch(`/v1/containers/${id}`, { method: 'DELETE' });
    }
    await lab.fetch(`/v1/images/${encodeURIComponent(details.image)}`, { method: 'DELETE' });
  });
});
