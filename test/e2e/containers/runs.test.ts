/** Containers through the HTTP API: made, run, stopped, looked at, removed; real sandboxes of a base image. */
import { readdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { ReadableStream } from 'node:stream/web';
import { extract } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Container, ContainerChange, ContainerProcess } from '../../../services/core/containers/types.ts';
import { type ContainerLab, openContainerLab, SLEEP, sh } from '../../helpers/containers.ts';
import { TEST_DATA } from '../../helpers/test-data.ts';
import { until } from '../../helpers/until.ts';

let lab: ContainerLab;
beforeAll(async () => {
  lab = await openContainerLab();
});
afterAll(() => lab.close());

const problem = async (response: Response) => {
  const { code, detail } = (await response.json()) as { code: string; detail: string };
  return { status: response.status, code, detail };
};
const post = (path: string, body?: object) =>
  lab.fetch(`/v1/containers/${path}`, {
    method: 'POST',
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });

describe('a run', () => {
  it('prints, ends with the exit code of its program, and its log stays', async () => {
    const made = await lab.create({ command: sh('echo out; echo err >&2; exit 3') });
    expect([made.status, made.exitCode]).toEqual(['created', null]);
    await lab.post(`${made.id}/start`);
    expect(await lab.wait(made.id)).toBe(3);
    const after = await lab.inspect(made.id);
    expect([after.status, after.exitCode, after.error, after.pid]).toEqual(['exited', 3, null, null]);
    const lines = await lab.logs(made.id);
    expect(lines.map(({ stream, text }) => `${stream} ${text}`).sort()).toEqual(['stderr err', 'stdout out']);
  });

  it('has the env, place, user, and host name that it was given', async () => {
    const { id } = await lab.start({
      entrypoint: ['sh', '-c'],
      command: ['echo "$FOO $HOME $HOSTNAME"; pwd; id -u; id -g; hostname'],
      env: { FOO: 'a b' },
      workingDir: '/usr/share',
      user: 'www-data',
      hostname: 'box',
    });
    await lab.wait(id);
    const texts = (await lab.logs(id)).map(({ text }) => text);
    expect(texts).toEqual(['a b /var/www box', '/usr/share', '33', '33', 'box']);
  });

  it('keeps its files for the next one', async () => {
    const { id } = await lab.start({ command: sh('cat /kept 2>/dev/null || echo first; echo second > /kept') });
    await lab.wait(id);
    await lab.post(`${id}/start`);
    await lab.wait(id);
    expect((await lab.logs(id)).map(({ text }) => text)).toEqual(['first', 'second']);
  });

  it('that can not begin says why, with the exit code that a shell would give', async () => {
    const { id } = await lab.create({ command: ['/no/such/program'] });
    const response = await post(`${id}/start`);
    expect(await problem(response)).toMatchObject({ status: 422, code: 'container_start_failed' });
    const after = await lab.inspect(id);
    expect([after.status, after.exitCode]).toEqual(['created', 127]);
    expect(after.error).toContain('/no/such/program');
  });

  it('that is killed for its memory says so', async () => {
    const { id } = await lab.start({ command: sh('head -c 300000000 /dev/zero | tail'), memoryMb: 32 });
    await lab.wait(id);
    const after = await lab.inspect(id);
    expect(after.exitCode).not.toBe(0);
    expect([after.oomKilled, after.error]).toEqual([true, 'It used more memory than it may.']);
  });

  it('is removed with its container when it was asked for', async () => {
    const { id } = await lab.start({ command: ['true'], removeOnExit: true });
    await until('it is gone', async () => (await lab.fetch(`/v1/containers/${id}`)).status === 404);
  });
});

describe('stop', () => {
  it('sends the stop signal, and the program may take its time', async () => {
    const { id } = await lab.start({
      command: sh('trap "echo bye; exit 7" TERM; echo up; while :; do sleep 0.05; done'),
    });
    await until('it is up', async () => (await lab.logs(id)).length > 0);
    const stopped = (await (await lab.post(`${id}/stop`)).json()) as Container;
    expect([stopped.status, stopped.exitCode]).toEqual(['exited', 7]);
    expect((await lab.logs(id)).map(({ text }) => text)).toEqual(['up', 'bye']);
  });

  it('kills what does not listen, after the grace', async () => {
    const { id } = await lab.start({ command: sh('trap "" TERM INT; echo up; while :; do sleep 0.05; done') });
    await until('it is up', async () => (await lab.logs(id)).length > 0);
    const stopped = (await (await lab.post(`${id}/stop`, { timeoutSeconds: 0 })).json()) as Container;
    expect([stopped.status, stopped.exitCode]).toEqual(['exited', 137]);
  });

  it('takes the signal of the config, and kill any signal', async () => {
    const { id } = await lab.start({
      command: sh('trap "exit 9" USR1; echo up; while :; do sleep 0.05; done'),
      stopSignal: 'SIGUSR1',
    });
    await until('it is up', async () => (await lab.logs(id)).length > 0);
    expect(((await (await lab.post(`${id}/stop`)).json()) as Container).exitCode).toBe(9);
    await lab.post(`${id}/start`);
    await lab.post(`${id}/kill`, { signal: 'KILL' });
    expect(await lab.wait(id)).toBe(137);
    expect(await problem(await post(`${id}/kill`))).toMatchObject({ status: 409, code: 'conflict' });
  });

  it('of one that does not run does nothing; restart starts it', async () => {
    const { id } = await lab.create({ command: SLEEP });
    expect(((await (await lab.post(`${id}/stop`)).json()) as Container).status).toBe('created');
    const first = (await (await lab.post(`${id}/restart`)).json()) as Container;
    const second = (await (await lab.post(`${id}/restart`, { timeoutSeconds: 1 })).json()) as Container;
    expect([first.status, second.status]).toEqual(['running', 'running']);
    expect(second.pid).not.toBe(first.pid);
  });
});

describe('pause', () => {
  it('stands still until unpause, and can be stopped as it is', async () => {
    const { id } = await lab.start({ command: sh('i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done') });
    await until('it counts', async () => (await lab.logs(id)).length > 2);
    await lab.post(`${id}/pause`);
    expect((await lab.inspect(id)).status).toBe('paused');
    const before = (await lab.logs(id)).length;
    expect(await problem(await post(`${id}/exec`, { argv: ['true'] }))).toMatchObject({ code: 'conflict' });
    await lab.post(`${id}/unpause`);
    await until('it goes on', async () => (await lab.logs(id)).length > before + 2);
    await lab.post(`${id}/pause`);
    const stopped = (await (await lab.post(`${id}/stop`, { timeoutSeconds: 5 })).json()) as Container;
    expect(stopped.status).toBe('exited');
  });
});

describe('restart policies', () => {
  it('on-failure tries as often as it may, then the last failure stays', async () => {
    const { id } = await lab.start({
      command: sh('echo try; exit 5'),
      restart: { name: 'on-failure', maximumRetries: 2 },
    });
    await until('it gave up', async () => (await lab.inspect(id)).status === 'exited');
    const after = await lab.inspect(id);
    expect([after.exitCode, after.restartCount]).toEqual([5, 2]);
    expect(await lab.logs(id)).toHaveLength(3);
  });

  it('on-failure leaves a success alone; always does not, until it is stopped', async () => {
    const fine = await lab.start({ command: ['true'], restart: { name: 'on-failure' } });
    expect(await lab.wait(fine.id)).toBe(0);
    const { id } = await lab.start({ command: sh('echo again'), restart: { name: 'always' } });
    await until('it ran three times', async () => (await lab.logs(id)).length >= 3);
    await lab.post(`${id}/stop`);
    expect((await lab.inspect(id)).status).toBe('exited');
    expect((await lab.inspect(fine.id)).restartCount).toBe(0);
  });
});

describe('health', () => {
  it('follows what the check says', async () => {
    const health = { test: ['CMD-SHELL', 'test -e /well'], intervalSeconds: 0.2, retries: 2 };
    const { id } = await lab.start({ command: SLEEP, health });
    expect((await lab.inspect(id)).health).toBe('starting');
    await until('it is ill', async () => (await lab.inspect(id)).health === 'unhealthy');
    await lab.post(`${id}/exec`, { argv: ['touch', '/well'] });
    await until('it is well', async () => (await lab.inspect(id)).health === 'healthy');
  });
});

describe('names', () => {
  it('are made up of two words, taken once, and lead to the container like its id and the beginning of it', async () => {
    const one = await lab.create({ command: SLEEP });
    expect(one.name).toMatch(/^[a-z]+-[a-z]+$/);
    const two = await lab.create({ command: SLEEP, name: 'my.own_name-2' });
    for (const ref of [two.id, two.id.slice(0, 8), 'my.own_name-2']) expect((await lab.inspect(ref)).id).toBe(two.id);
    const taken = await post('', { image: 'debian12', command: SLEEP, name: 'my.own_name-2' });
    expect(taken.status).toBe(404); // there is no /v1/containers/
    const again = await lab.fetch('/v1/containers', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ image: 'debian12', command: SLEEP, name: 'my.own_name-2' }),
    });
    expect(await problem(again)).toMatchObject({ status: 409, code: 'conflict' });
    await lab.post(`${two.id}/rename`, { name: 'another' });
    expect((await lab.fetch('/v1/containers/my.own_name-2')).status).toBe(404);
    await lab.post(`${one.id}/rename`, { name: 'my.own_name-2' });
    expect((await lab.inspect('my.own_name-2')).id).toBe(one.id);
  });
});

describe('what is inside', () => {
  it('is listed, measured, and told apart from the image', async () => {
    const { id } = await lab.start({
      command: sh('rm /etc/issue; echo x > /etc/motd; mkdir -p /new/dir; echo up; exec sleep 1000000'),
    });
    await until('it is up', async () => (await lab.logs(id)).length > 0);
    const { processes } = (await (await lab.fetch(`/v1/containers/${id}/top`)).json()) as {
      processes: ContainerProcess[];
    };
    expect(processes.some(({ command }) => command.includes('sleep'))).toBe(true);
    const stats = (await (await lab.fetch(`/v1/containers/${id}/stats`)).json()) as { pids: number };
    expect(stats.pids).toBeGreaterThanOrEqual(1);
    const { changes } = (await (await lab.fetch(`/v1/containers/${id}/changes`)).json()) as {
      changes: ContainerChange[];
    };
    expect(changes.map(({ kind, path }) => `${kind[0]} ${path}`)).toEqual(
      expect.arrayContaining(['c /etc', 'd /etc/issue', 'a /new', 'a /new/dir']),
    );
    expect(changes.find(({ path }) => path === '/etc/motd')).toBeDefined();
  });
});

describe('ports', () => {
  it('lead from a loopback port to the program, both ways, and close with it', async () => {
    const { id, ports } = await lab.start({
      command: ['perl', '-MIO::Socket::INET', '-e', ECHO],
      ports: [{ containerPort: 8080 }],
    });
    const hostPort = ports[0]?.hostPort ?? 0;
    expect(hostPort).toBeGreaterThan(0);
    await until('it answers', async () => (await exchange(hostPort, 'hello').catch(() => '')) === 'HELLO');
    await lab.post(`${id}/stop`, { timeoutSeconds: 0 });
    await expect(exchange(hostPort, 'x')).rejects.toThrow(/ECONNREFUSED/);
  });

  it('that are taken stop the start, and leave nothing bound', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const { id } = await lab.create({ command: SLEEP, ports: [{ containerPort: 80, hostPort: port }] });
    const refused = await problem(await post(`${id}/start`));
    expect(refused).toMatchObject({ status: 422, code: 'container_start_failed' });
    expect(refused.detail).toContain(String(port));
    await new Promise((resolve) => server.close(resolve));
    await lab.post(`${id}/start`);
  });
});

/** Upper case of what comes, then ends. */
const ECHO = `my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 8080, Listen => 5, ReuseAddr => 1) or die;
while (my $c = $s->accept) { local $/; my $in = <$c>; print $c uc $in; close $c; }`;

/** Half-closes after what it says; what came back until the other end closed. */
function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let got = '';
    socket.on('data', (chunk: Buffer) => (got += chunk.toString()));
    socket.on('end', () => resolve(got));
    socket.on('error', reject);
    socket.on('close', () => resolve(got));
    socket.end(text);
  });
}

describe('volumes', () => {
  it('outlive their containers when they have a name; anonymous ones, of VOLUME too, go with them', async () => {
    const base = await lab.start({ command: ['true'] });
    await lab.wait(base.id);
    const tag = 'with-volume:1';
    await lab.post(`${base.id}/commit`, { tag, changes: ['VOLUME /var/lib/data'] });
    const mounts = [
      { volume: 'test-named', path: '/named' },
      { volume: null, path: '/srv' },
    ];
    const script =
      'cat /named/kept /var/lib/data/kept 2>&1; echo kept | tee /named/kept > /var/lib/data/kept; echo x > /srv/y';
    const first = await lab.start({ image: tag, command: sh(script), mounts });
    await lab.wait(first.id);
    const anonymous = (id: string) => readdirSync(join(TEST_DATA, 'volumes')).filter((name) => name.includes(id));
    expect(anonymous(first.id)).toHaveLength(2);
    await lab.post(`${first.id}/start`);
    await lab.wait(first.id);
    expect((await lab.logs(first.id)).slice(-2).map(({ text }) => text)).toEqual(['kept', 'kept']);
    const changes = await (await lab.fetch(`/v1/containers/${first.id}/changes`)).text();
    expect(changes).not.toContain('kept');
    await lab.fetch(`/v1/containers/${first.id}`, { method: 'DELETE' });
    expect(anonymous(first.id)).toEqual([]);
    const readOnly = [{ volume: 'test-named', path: '/named', readOnly: true }];
    const second = await lab.start({ command: sh('cat /named/kept; echo no > /named/no'), mounts: readOnly });
    expect(await lab.wait(second.id)).not.toBe(0);
    const texts = (await lab.logs(second.id)).map(({ text }) => text).join(' ');
    expect(texts).toMatch(/^kept .*Read-only file system/);
    await lab.fetch(`/v1/containers/${second.id}`, { method: 'DELETE' });
    await lab.fetch(`/v1/images/${encodeURIComponent(tag)}`, { method: 'DELETE' });
  });
});

describe('groups', () => {
  it('reach each other by name and alias, and nobody else does', async () => {
    const server = (group: string, alias: string) =>
      lab.start({
        command: ['perl', '-MIO::Socket::INET', '-e', ECHO],
        network: { mode: 'none', group, aliases: [alias] },
      });
    const one = await server('blue', 'echo');
    await server('red', 'other');
    const ask = (host: string) =>
      `perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(PeerAddr => "${host}:8080", Timeout => 10) or die "no way\n"; print $s "hi"; $s->shutdown(1); print <$s>, "\n"'`;
    const client = await lab.start({ command: SLEEP, network: { mode: 'none', group: 'blue' } });
    const exec = async (host: string) => {
      const response = await lab.post(`${client.id}/exec`, { argv: sh(ask(host)) });
      return (await response.text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { text?: string; exitCode?: number });
    };
    const said = (events: { text?: string }[]) => events.map(({ text = '' }) => text).join('');
    await until('it answers by alias', async () => said(await exec('echo')).includes('HI'));
    expect(said(await exec(one.name))).toContain('HI');
    expect((await exec('other')).at(-1)?.exitCode).not.toBe(0);
  });
});

describe('export', () => {
  it.each(['running', 'stopped'])('of a %s one is its root as it is seen, without volumes', async (state) => {
    const { id } = await lab.start({
      command: sh('rm /etc/issue; echo mine > /etc/motd; echo v > /vol/v; echo up; exec sleep 1000000'),
      mounts: [{ volume: null, path: '/vol' }],
    });
    await until('it is up', async () => (await lab.logs(id)).length > 0);
    if (state === 'stopped') await lab.post(`${id}/stop`, { timeoutSeconds: 0 });
    const response = await lab.fetch(`/v1/containers/${id}/export`);
    expect(response.status).toBe(200);
    const found = new Map<string, string>();
    const members = Readable.fromWeb(response.body as ReadableStream).pipe(extract());
    for await (const member of members) {
      const name = member.header.name.replace(/\/$/, '');
      found.set(name, name === 'etc/motd' ? await text(member) : '');
      member.resume();
    }
    expect([found.get('etc/motd'), found.has('etc/issue'), found.has('etc/passwd')]).toEqual(['mine\n', false, true]);
    expect([found.has('vol'), found.has('vol/v')]).toEqual([true, false]);
    expect([...found.keys()].filter((name) => /^proc\/./.test(name))).toEqual([]);
    expect((await lab.inspect(id)).status).toBe(state === 'running' ? 'running' : 'exited');
  });
});

describe('images', () => {
  it('of containers can not be removed; the refusal names the containers', async () => {
    const { id } = await lab.start({ command: sh('echo mark > /mark') });
    await lab.wait(id);
    const committed = await post(`${id}/commit`, {
      tag: 'held:1',
      message: 'why',
      changes: ['ENV A=b', 'CMD ["cat", "/mark"]'],
    });
    expect(committed.status).toBe(201);
    const { digest, tags } = (await committed.json()) as { digest: string; tags: string[] };
    expect(tags).toEqual(['held:1']);
    const { id: user, name } = await lab.create({ image: digest });
    const refused = await problem(await lab.fetch('/v1/images/held%3A1', { method: 'DELETE' }));
    expect(refused).toMatchObject({ status: 409, code: 'conflict' });
    expect(refused.detail).toContain(name);
    await lab.post(`${user}/start`);
    expect(await lab.wait(user)).toBe(0);
    expect((await lab.logs(user)).map(({ text }) => text)).toEqual(['mark']);
    await lab.fetch(`/v1/containers/${user}`, { method: 'DELETE' });
    expect((await lab.fetch('/v1/images/held%3A1', { method: 'DELETE' })).status).toBe(200);
  });
});
