/** Programs of containers: stdin, back-pressure, users, parked sandboxes, signals. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { until } from '../helpers/until.ts';
import { collect, containerLab, ENV } from './container-lab.ts';

const lab = containerLab('programs');

describe('a container', () => {
  it('is root with few capabilities over a writable root, with a host name and shared memory', async () => {
    const script =
      'id -u; hostname; getent hosts box | head -1; echo x > /new && cat /new; echo y > /dev/shm/z && cat /dev/shm/z; grep CapBnd /proc/self/status; ulimit -n';
    const { out, status } = await lab.run(['sh', '-c', script], { hostname: 'box' });
    expect(status).toBe(0);
    const [uid, host, entry, file, shared, bounding, files] = out.trim().split('\n');
    expect([uid, host, file, shared]).toEqual(['0', 'box', 'x', 'y']);
    expect(entry).toMatch(/^127\.0\.0\.1\s+box/);
    // docker's, without MKNOD, NET_RAW, SYS_CHROOT, AUDIT_WRITE
    expect(bounding).toMatch(/:\s+00000000800005fb$/);
    expect(Number(files)).toBeGreaterThan(1024);
  });

  it('listens on ports below 1024 of its own network', async () => {
    const script =
      "require('net').createServer().listen(80, '127.0.0.1', () => { console.log('bound'); process.exit() }).on('error', (e) => console.log(e.code))";
    const { out } = await lab.run(['node', '-e', script], { layers: lab.base('node24'), memoryBytes: 1 << 30 });
    expect(out).toBe('bound\n');
  });

  it('refuses a host name that would add lines to its hosts file', async () => {
    await expect(lab.create([], { hostname: 'a\n1.2.3.4 b' })).rejects.toMatchObject({ code: 'bad_request' });
  });
});

describe('stdin', () => {
  it('brings every byte to the program, and its end', async () => {
    const data = randomBytes(10 << 20);
    const sandbox = await lab.create(['cat'], { stdin: true });
    const hash = createHash('sha256');
    sandbox.onOutput((_stream, chunk) => void hash.update(chunk));
    await pipeline(Readable.from(data), sandbox.stdin as NodeJS.WritableStream);
    expect(await sandbox.exited).toMatchObject({ status: 0 });
    expect(hash.digest('hex')).toBe(createHash('sha256').update(data).digest('hex'));
  });

  it('is empty when it was not asked for', async () => {
    const sandbox = await lab.create(['cat']);
    expect(sandbox.stdin).toBeNull();
    expect(await sandbox.exited).toMatchObject({ status: 0 });
  });

  it('holds the writer back while the program does not read', async () => {
    const sandbox = await lab.create(['sleep', '600'], { stdin: true });
    const stdin = sandbox.stdin as Writable;
    let written = 0;
    const chunk = Buffer.alloc(64 * 1024);
    while (written < 64 << 20 && stdin.write(chunk)) written += chunk.length;
    expect(stdin.writableNeedDrain).toBe(true);
    expect(written).toBeLessThan(8 << 20);
  });

  it('closes when the program does not read any more, and the program goes on', async () => {
    const sandbox = await lab.create(['sh', '-c', 'exec <&-; read -r x </dev/null; sleep 600'], { stdin: true });
    const stdin = sandbox.stdin as Writable;
    if (!stdin.closed) await once(stdin, 'close');
    expect((await sandbox.stats()).pids).toBeGreaterThan(1);
  });

  it('goes to a program that was started later, too', async () => {
    const sandbox = await lab.create();
    const program = await sandbox.start(['wc', '-c'], { env: ENV, stdin: true });
    const said = collect();
    program.onOutput(said.listener);
    await pipeline(Readable.from(Buffer.alloc(300_000)), program.stdin as NodeJS.WritableStream);
    expect(await program.exited).toEqual({ status: 0, signal: null });
    expect(said.out()).toBe('300000\n');
  });
});

describe('output', () => {
  it('holds the program back while a listener has not settled, and loses nothing', async () => {
    const marks = 'n=0; while [ $n -lt 64 ]; do head -c 65536 /dev/zero; n=$((n+1)); echo $n > /mark; done';
    const sandbox = await lab.create();
    const program = await sandbox.start(['sh', '-c', marks], { env: ENV });
    let release: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let bytes = 0;
    program.onOutput((_stream, chunk) => {
      bytes += chunk.length;
      return gate;
    });
    // It fills what lies between, then stands still.
    const mark = async () => Number(await lab.sh(sandbox, 'cat /mark 2>/dev/null || echo 0'));
    let last = -1;
    await until('the program stands still', async () => {
      const now = await mark();
      const still = now === last;
      last = now;
      return still;
    });
    expect(last).toBeLessThan(60);
    release();
    expect(await program.exited).toEqual({ status: 0, signal: null });
    expect(bytes).toBe(64 * 65536);
  });

  it('keeps what was said before anybody listened', async () => {
    const sandbox = await lab.create();
    const program = await sandbox.start(['sh', '-c', 'head -c 2000000 /dev/zero; echo done >&2'], { env: ENV });
    await until('it has begun', async () => (await sandbox.stats()).pids >= 2);
    const said = collect();
    program.onOutput(said.listener);
    await program.exited;
    expect([said.out().length, said.err()]).toEqual([2_000_000, 'done\n']);
  });

  it('goes on without a listener that failed', async () => {
    const sandbox = await lab.create(['sh', '-c', 'seq 1 200000']);
    sandbox.onOutput(async () => {
      throw new Error('the disk is full');
    });
    expect(await sandbox.exited).toMatchObject({ status: 0 });
  });
});

describe('a parked sandbox', () => {
  it('runs nothing but what is started in it, until it is destroyed', async () => {
    const sandbox = await lab.create();
    expect((await sandbox.stats()).processes).toBe(1);
    expect(await lab.sh(sandbox, 'echo one > /file')).toBe('');
    expect(await lab.sh(sandbox, 'cat /file')).toBe('one\n');
    await expect(sandbox.signal(15)).rejects.toMatchObject({ code: 'not_found' });
    await sandbox.destroy();
    expect(await sandbox.exited).toMatchObject({ signal: 9, reason: 'killed' });
  });

  it('may be of a function: what is started in it is its private user, and no other', async () => {
    const sandbox = await lab.create([], { profile: 'function' });
    expect(await lab.sh(sandbox, 'id -u')).toBe('1000\n');
    await expect(sandbox.start(['id'], { user: { uid: 0, gid: 0, groups: [] } })).rejects.toThrow(/user/);
  });
});

describe('a program that was started later', () => {
  it('runs as the user that was named', async () => {
    const sandbox = await lab.create();
    const program = await sandbox.start(['id'], { env: ENV, user: { uid: 33, gid: 34, groups: [40] } });
    const said = collect();
    program.onOutput(said.listener);
    expect(await program.exited).toEqual({ status: 0, signal: null });
    expect(said.out()).toMatch(/uid=33\S* gid=34\S* groups=34\S*,40/);
  });

  it('is not started when it does not exist, and says so', async () => {
    const sandbox = await lab.create();
    await expect(sandbox.start(['no-such-program'], { stdin: true })).rejects.toMatchObject({ code: 'exec_failed' });
  });

  it('ends when it ends, though a child that it leaves behind goes on writing', async () => {
    const sandbox = await lab.create();
    const program = await sandbox.start(['sh', '-c', 'yes & echo mine >&2; exit 3'], { env: ENV });
    const said = collect();
    program.onOutput(said.listener);
    expect(await program.exited).toEqual({ status: 3, signal: null });
    expect(said.err()).toBe('mine\n');
    // Nobody reads what it writes any more.
    await until('the child has ended', async () => (await sandbox.processes()).length === 1);
  });

  it('gets its own signals; the others do not', async () => {
    const sandbox = await lab.create(['sleep', '600']);
    const [one, two] = await Promise.all([
      sandbox.start(['sleep', '600'], { env: ENV }),
      sandbox.start(['sleep', '600'], { env: ENV }),
    ]);
    await one.signal(15);
    expect(await one.exited).toEqual({ status: null, signal: 15 });
    await expect(one.signal(15)).rejects.toMatchObject({ code: 'not_found' });
    expect((await sandbox.stats()).processes).toBe(3);
    await sandbox.destroy();
    expect(await two.exited).toEqual({ status: null, signal: 9 });
  });
});

it('leaves nothing behind after 200 rounds with a terminal and with stdin', async () => {
  const round = async (terminal: boolean) => {
    const sandbox = await lab.create(['cat'], terminal ? { terminal: { rows: 24, columns: 80 } } : { stdin: true });
    const said = collect();
    sandbox.onOutput(said.listener);
    const program = await sandbox.start(
      ['cat'],
      terminal ? { env: ENV, terminal: { rows: 1, columns: 1 } } : { env: ENV, stdin: true },
    );
    program.onOutput(() => {});
    program.stdin?.end('x\n');
    expect(await program.exited).toEqual({ status: 0, signal: null });
    sandbox.stdin?.end('y\n');
    await sandbox.exited;
    expect(said.out()).toContain('y');
  };
  await Promise.all([round(true), round(false)]);
  const before = await lab.host.engineStats();
  for (let i = 0; i < 50; i++) await Promise.all([round(true), round(false), round(true), round(false)]);
  await until('everything is as before', async () => {
    const now = await lab.host.engineStats();
    return now.fds === before.fds && now.sandboxes === before.sandboxes && now.children === before.children;
  });
});
