/** The sandbox host with the real engine: what create, exec, signal, stats, destroy and pack do. */

import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import tar from 'tar-stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Sandbox, SandboxSpec } from '../../runtime/sandbox/index.ts';
import { hostProcesses } from '../helpers/processes.ts';
import { openTestHost, type TestHost } from '../helpers/sandbox-host.ts';
import { until } from '../helpers/until.ts';

let test: TestHost;
let next = 0;
const live: Sandbox[] = [];
beforeAll(async () => {
  test = await openTestHost();
});
afterEach(() => Promise.all(live.splice(0).map((one) => one.destroy())));
afterAll(() => test.close());

async function start(argv: string[], spec: Partial<SandboxSpec> = {}): Promise<Sandbox> {
  const base = test.base('debian12');
  const sandbox = await test.host.create({
    id: `t${next++}`,
    profile: 'function',
    layers: base.layers,
    argv,
    env: { PATH: '/usr/bin:/bin' },
    memoryBytes: 256 << 20,
    pids: 64,
    tmpBytes: 32 << 20,
    ...spec,
  });
  live.push(sandbox);
  return sandbox;
}

async function run(argv: string[], spec: Partial<SandboxSpec> = {}) {
  const sandbox = await start(argv, spec);
  let out = '';
  sandbox.onOutput((_stream, chunk) => {
    out += chunk.toString();
  });
  return { ...(await sandbox.exited), out };
}

describe('SandboxHost', () => {
  it('runs a program and reports its output and status', async () => {
    expect(await run(['sh', '-c', 'echo hello; echo oops >&2; exit 7'])).toMatchObject({
      status: 7,
      signal: null,
      reason: 'exited',
      out: expect.stringMatching(/hello[\s\S]*oops|oops[\s\S]*hello/),
    });
  });

  it('keeps no connection of a program that could not be started', async () => {
    const count = async () => (await readdir('/proc/self/fd')).length;
    const fail = () => expect(start(['no-such-program'], { control: true })).rejects.toThrow(/no-such-program/);
    await fail();
    const before = await count();
    for (let round = 0; round < 10; round++) await fail();
    await until('every connection is closed', async () => (await count()) <= before);
  });

  it('keeps every byte of a large output', async () => {
    const { out } = await run(['sh', '-c', 'seq 1 200000; echo end']);
    expect(out.length).toBeGreaterThan(1_200_000);
    expect(out.endsWith('end\n')).toBe(true);
  });

  it('says which step failed when the program does not exist, and leaves nothing', async () => {
    const before = await test.host.engineStats();
    await expect(start(['/no/such/program'])).rejects.toMatchObject({
      name: 'SandboxError',
      message: expect.stringContaining('/no/such/program'),
    });
    await until('nothing is left', async () => (await test.host.engineStats()).sandboxes === before.sandboxes);
  });

  it('refuses names that are paths', async () => {
    await expect(start(['true'], { layers: ['../../etc'] })).rejects.toMatchObject({ name: 'SandboxError' });
    await expect(test.host.removeLayer('..')).rejects.toMatchObject({ name: 'SandboxError' });
  });

  it('runs the program of a build as the user that was named, without any capability; a function may name none', async () => {
    const user = { uid: 33, gid: 34, groups: [40, 41] };
    const argv = ['sh', '-c', 'echo "$(id -u):$(id -g):$(id -G)"; grep CapEff /proc/self/status'];
    const { out } = await run(argv, { profile: 'build', upper: `user-${process.pid}`, user });
    expect(out).toContain('33:34:34 40 41');
    expect(out).toMatch(/CapEff:\s+0000000000000000/);
    await test.host.removeWork(`user-${process.pid}`);
    await expect(run(argv, { user })).rejects.toMatchObject({
      message: expect.stringContaining('builds and containers only'),
    });
  });

  it('answers for the audit socket like a kernel without audit, so that useradd works', async () => {
    const script = 'socket(my $s, 16, 3, 9) or print "errno ", $! + 0, "\\n"';
    expect((await run(['perl', '-e', script])).out).toBe('errno 93\n'); // EPROTONOSUPPORT
  });

  it('gives two sandboxes two host uids, neither of them the engine user or root', async () => {
    const [one, two] = await Promise.all([start(['sleep', '60']), start(['sleep', '60'])]);
    expect(one.hostUid).not.toBe(two.hostUid);
    expect([0, process.getuid?.()]).not.toContain(one.hostUid);
    const sleeping = (await hostProcesses()).filter(
      (process) => process.uid === one.hostUid || process.uid === two.hostUid,
    );
    expect(sleeping).toHaveLength(2);
  });

  it('runs a second program in a live sandbox with exec', async () => {
    const sandbox = await start(['sleep', '60']);
    let out = '';
    const exit = await sandbox.exec(['sh', '-c', 'id -u; grep -c . /proc/self/status; exit 3'], {
      env: { PATH: '/usr/bin:/bin' },
      onOutput: (_stream, chunk) => {
        out += chunk;
      },
    });
    expect(exit).toEqual({ status: 3, signal: null });
    expect(out).toMatch(/^1000\n/);
  });

  it('delivers a signal to the first program', async () => {
    const sandbox = await start(['sleep', '60']);
    await sandbox.signal(15);
    expect(await sandbox.exited).toMatchObject({ status: null, signal: 15, reason: 'exited' });
  });

  it('kills everything in the sandbox on destroy, double forks included', async () => {
    const sandbox = await start(['sh', '-c', '(setsid sh -c "sleep 600 & sleep 600" &); sleep 600']);
    await until('four programs run', async () => (await sandbox.stats()).pids >= 4);
    await sandbox.destroy();
    await sandbox.destroy();
    expect((await hostProcesses()).filter((process) => process.uid === sandbox.hostUid)).toEqual([]);
  });

  it('ends a sandbox that takes too much memory and says so', async () => {
    const exit = await run(['sh', '-c', 'head -c 300m /dev/zero | tail'], { memoryBytes: 64 << 20 });
    expect(exit.reason).toBe('oom');
  });

  it('counts memory written to /tmp', async () => {
    const exit = await run(['sh', '-c', 'head -c 300m /dev/zero > /tmp/x'], {
      memoryBytes: 64 << 20,
      tmpBytes: 1024 << 20,
    });
    expect(exit.reason).toBe('oom');
  });

  it('caps the bytes and the inodes of /tmp', async () => {
    expect((await run(['sh', '-c', 'head -c 64m /dev/zero > /tmp/x'])).out).toMatch(/No space left/);
    expect(
      (await run(['sh', '-c', 'cd /tmp; i=0; while [ $i -lt 2000000 ]; do : > f$i || exit 9; i=$((i+1)); done']))
        .status,
    ).not.toBe(0);
  });

  it('caps the number of processes', async () => {
    const { out, status } = await run(['sh', '-c', 'for i in $(seq 200); do sleep 30 & done; echo all'], { pids: 32 });
    expect(status).not.toBe(0);
    expect(out).not.toContain('all');
  });

  it('makes the root read-only for functions and writable for builds, and packs what a build wrote', async () => {
    expect((await run(['sh', '-c', ': > /x'])).out).toMatch(/Read-only/);
    const upper = 'build-test-pack';
    const built = await start(
      ['sh', '-c', 'mkdir -p /made && echo hi > /made/file && rm /etc/issue && chown 33:33 /made/file'],
      { profile: 'build', upper },
    );
    expect(await built.exited).toMatchObject({ status: 0 });
    const entries: Record<string, { uid: number; content: string }> = {};
    for await (const entry of (await test.host.pack(upper)).pipe(tar.extract()))
      entries[entry.header.name] = { uid: entry.header.uid ?? -1, content: await text(entry) };
    await test.host.removeWork(upper);
    expect(entries['made/file']).toEqual({ uid: 33, content: 'hi\n' });
    expect(Object.keys(entries)).toContain('etc/.wh.issue');
    expect((await test.host.list()).work).not.toContain(upper);
  });

  it('keeps no connection of what it packed', async () => {
    const upper = 'build-test-pack-fds';
    const build = { profile: 'build' as const, upper, tmpBytes: 1 << 20 };
    expect((await run(['sh', '-c', 'echo made > /made'], build)).status).toBe(0);
    const count = async () => (await readdir('/proc/self/fd')).length;
    const pack = async () => text(await test.host.pack(upper));
    await pack();
    const before = await count();
    for (let round = 0; round < 10; round++) await pack();
    await until('every connection is closed', async () => (await count()) <= before);
    await test.host.removeWork(upper);
    await expect(pack()).rejects.toThrow(/build-test-pack-fds|pack/);
  });

  it('unpacks a layer whole, says when it was there already, and leaves nothing of a bad one', async () => {
    const name = 'f'.repeat(64);
    const good = () => {
      const pack = tar.pack();
      pack.entry({ name: 'a' }, 'x');
      pack.finalize();
      return pack.pipe(new PassThrough());
    };
    await test.host.removeLayer(name);
    expect(await test.host.unpack(name, good())).toMatchObject({ existed: false, entries: 1 });
    expect(await test.host.unpack(name, good())).toMatchObject({ existed: true });
    await test.host.removeLayer(name);
    const bad = tar.pack();
    bad.entry({ name: '../evil' }, 'x');
    bad.finalize();
    const stream = bad.pipe(new PassThrough());
    await expect(test.host.unpack(name, stream)).rejects.toThrow(/evil/);
    expect((await test.host.list()).layers.filter((layer) => layer === name || layer.startsWith('tmp-'))).toEqual([]);
  });

  it('leaves processes, descriptors and mounts as before after 200 rounds', async () => {
    const look = async () => ({
      mounts: (await readFile('/proc/self/mountinfo', 'utf8')).length,
      engine: await test.host.engineStats(),
    });
    await run(['true']);
    const before = await look();
    for (let round = 0; round < 50; round++) await Promise.all([1, 2, 3, 4].map(() => run(['true'])));
    expect(await look()).toEqual(before);
  });
});

describe('egress of a build sandbox', () => {
  let server: Server;
  beforeAll(async () => {
    server = createServer((request, response) => response.end(`you asked ${request.headers.host}`)).listen(
      0,
      '127.0.0.1',
    );
    await once(server, 'listening');
  });
  afterAll(() => server.close());
  const port = () => (server.address() as AddressInfo).port;
  const get = (host: string, at: number, spec: Partial<SandboxSpec>) =>
    run(
      [
        'node',
        '-e',
        `require('http').get('http://${host}:${at}/', (r) => r.pipe(process.stdout)).on('error', (e) => { console.log(e.code); process.exit(4) })`,
      ],
      {
        layers: test.base('node24').layers,
        env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
        profile: 'build',
        upper: `build-egress-${next}`,
        memoryBytes: 1 << 30,
        ...spec,
      },
    );
  afterEach(async () => {
    for (const name of (await test.host.list()).work)
      if (name.startsWith('build-egress-')) await test.host.removeWork(name);
  });

  it('reaches a host that the policy names', async () => {
    const { out } = await get('host.wafer.internal', port(), {
      egress: { mode: 'list', allow: [{ host: 'host.wafer.internal', port: port(), trustResolved: true }] },
    });
    expect(out).toBe(`you asked host.wafer.internal:${port()}`);
  });

  it('does not reach a name or a port that the policy does not name', async () => {
    const egress = {
      mode: 'list' as const,
      allow: [{ host: 'host.wafer.internal', port: port(), trustResolved: true }],
    };
    expect((await get('example.invalid', port(), { egress })).out).toMatch(/ENOTFOUND|EAI_AGAIN/);
    expect((await get('host.wafer.internal', port() + 1, { egress })).status).toBe(4);
  });

  it('does not reach private addresses with the public policy', async () => {
    for (const host of ['192.0.2.2', '10.1.2.3', '169.254.169.254', 'host.wafer.internal']) {
      expect((await get(host, port(), { egress: { mode: 'public' } })).status, host).toBe(4);
    }
  });

  it('has no way out without a policy', async () => {
    expect((await get('192.0.2.2', port(), {})).out).toMatch(/ENETUNREACH|EHOSTUNREACH|EACCES/);
  });
});
