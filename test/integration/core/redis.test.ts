import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFunctionStore } from '../../../services/core/functions/registry.ts';
import { connectRedis } from '../../../services/core/store/connect.ts';
import { startEmbeddedRedis } from '../../../services/core/store/embedded-redis.ts';
import { findProgram } from '../../../services/core/store/find-program.ts';
import { isNewEnough } from '../../../services/core/store/server-check.ts';
import { eventually, silentLog } from '../../helpers/redis.ts';

let root: string;
const cleanups: (() => Promise<unknown> | unknown)[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'wafer-store-'));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(root, { recursive: true, force: true });
});

async function start(directory: string, options: { lockWaitMs?: number } = {}) {
  const server = await startEmbeddedRedis({ directory, log: silentLog, ...options });
  cleanups.push(server.close);
  return server;
}

async function connect(socketPath: string) {
  const connection = await connectRedis({ address: { socketPath }, log: silentLog });
  cleanups.push(connection.close);
  return connection;
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('startEmbeddedRedis()', () => {
  test('keeps what it answered, in a directory that only its owner can enter', async () => {
    const directory = join(root, 'redis');
    await mkdir(directory, { mode: 0o755 });
    await chmod(directory, 0o755);
    const { socketPath } = await start(directory);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect((await stat(socketPath)).mode & 0o777).toBe(0o700);
    const { server } = await connect(socketPath);
    expect(server.settings).toEqual({ appendonly: 'yes', appendfsync: 'always', 'maxmemory-policy': 'noeviction' });
  });

  test('listens on no port', async () => {
    const { redis } = await connect((await start(join(root, 'redis'))).socketPath);
    expect(await redis.config('GET', 'port')).toEqual(['port', '0']);
  });

  test('works below a path that is longer than a socket address', async () => {
    const directory = join(root, 'a-long-folder-name'.repeat(8), 'söme spaces "and quotes"', 'redis');
    const server = await start(directory);
    expect(Buffer.byteLength(server.socketPath)).toBeGreaterThan(150);
    const { redis } = await connect(server.socketPath);
    expect(await redis.set('key', 'value')).toBe('OK');
    expect(await readFile(join(directory, 'appendonlydir', 'appendonly.aof.1.incr.aof'), 'utf8')).toContain('value');
  });

  test('close() ends it, keeps the data, and may be called twice', async () => {
    const directory = join(root, 'redis');
    const first = await start(directory);
    const before = await connect(first.socketPath);
    await before.redis.set('key', 'value');
    const pid = first.pid();
    await Promise.all([first.close(), first.close()]);
    expect(isAlive(pid)).toBe(false);
    const second = await start(directory);
    const { redis } = await connect(second.socketPath);
    expect(await redis.get('key')).toBe('value');
  });

  test('a second one on the same directory says who has it, and leaves the first alone', async () => {
    const directory = join(root, 'redis');
    const first = await start(directory);
    await expect(start(directory, { lockWaitMs: 100 })).rejects.toMatchObject({
      code: 'already_running',
      message: expect.stringContaining(`another redis-server (process ${first.pid()}) already uses ${directory}`),
    });
    expect(await (await connect(first.socketPath)).redis.ping()).toBe('PONG');
  });

  test('a second one waits for the first to end', async () => {
    const directory = join(root, 'redis');
    const first = await start(directory);
    const second = start(directory, { lockWaitMs: 30_000 });
    await first.close();
    const { pid, socketPath } = await second;
    expect(pid()).not.toBe(first.pid());
    expect(await (await connect(socketPath)).redis.ping()).toBe('PONG');
  });

  test('a server that is killed is started again with its data, and connections come back', async () => {
    const server = await start(join(root, 'redis'));
    const { redis } = await connect(server.socketPath);
    await redis.set('key', 'value');
    const pid = server.pid();
    process.kill(pid, 'SIGKILL');
    const value = await eventually('an answer', () => redis.get('key').catch(() => null));
    expect(value).toBe('value');
    // Connections may be back before the server's owner has heard from it.
    await eventually('another process', () => server.pid() !== pid);
  });

  test('without the program it is redis_missing with the command that installs it', async () => {
    const missing = findProgram('redis-server-that-is-not-there', 'redis-server', process.env['PATH'] ?? '');
    await expect(missing).rejects.toMatchObject({
      code: 'redis_missing',
      hint: expect.stringContaining('apt-get install -y redis-server'),
    });
  });

  test('a damaged file is told with the last words of the server and the way to repair it', async () => {
    const directory = join(root, 'redis');
    await mkdir(join(directory, 'appendonlydir'), { recursive: true });
    await writeFile(join(directory, 'appendonlydir', 'appendonly.aof.manifest'), 'nonsense\n');
    await expect(start(directory)).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringMatching(/did not start: .*manifest/i),
      hint: expect.stringContaining('redis-check-aof'),
    });
  });
});

/** A platform process that publishes versions, one line of output for each that Redis has acknowledged. */
const PLATFORM = `
import { createFunctionStore } from '${new URL('../../../services/core/functions/registry.ts', import.meta.url)}';
import { connectRedis } from '${new URL('../../../services/core/store/connect.ts', import.meta.url)}';
import { startEmbeddedRedis } from '${new URL('../../../services/core/store/embedded-redis.ts', import.meta.url)}';
import { createLog } from '${new URL('../../../services/core/log.ts', import.meta.url)}';
const log = createLog({ level: 'silent' });
const server = await startEmbeddedRedis({ directory: process.argv[1], log });
const { redis } = await connectRedis({ address: { socketPath: server.socketPath }, log });
const functions = createFunctionStore(redis);
process.stdout.write('pid ' + server.pid() + '\\n');
for (;;) {
  const version = await functions.publish({ functionName: 'hello', image: 'sha256:00', base: 'b', config: {}, codeBytes: 0, addedBytes: 0 });
  process.stdout.write('published ' + version.number + '\\n');
}
`;

function startPlatform(directory: string): { child: ChildProcess; lines: AsyncIterable<string> } {
  const argv = ['--import', 'tsx', '--input-type=module', '--eval', PLATFORM, directory];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  cleanups.push(() => void child.kill('SIGKILL'));
  return { child, lines: createInterface({ input: child.stdout! }) };
}

describe('SIGKILL of the platform', () => {
  test('leaves no Redis behind, and loses no version that was published', async () => {
    const directory = join(root, 'redis');
    const { child, lines } = startPlatform(directory);
    let pid = 0;
    let published = 0;
    for await (const line of lines) {
      const [word, number] = line.split(' ');
      if (word === 'pid') pid = Number(number);
      else published = Number(number);
      if (published === 50) child.kill('SIGKILL');
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    expect(published).toBeGreaterThanOrEqual(50);
    expect(pid).toBeGreaterThan(1);
    await eventually('the end of Redis', () => !isAlive(pid));

    const functions = createFunctionStore((await connect((await start(directory)).socketPath)).redis);
    const { latest } = await functions.get('hello');
    expect(latest).toBeGreaterThanOrEqual(published);
    expect(await functions.versions('hello')).toHaveLength(latest);
    expect((await functions.resolve('hello')).number).toBe(latest);
  });
});

/** An external server, as somebody else would run it. */
async function startExternal(...settings: string[]): Promise<string> {
  const socket = join(root, 'external.sock');
  const argv = [
    '--port',
    '0',
    '--unixsocket',
    socket,
    '--dir',
    root,
    '--save',
    '',
    '--pidfile',
    join(root, 'pid'),
    ...settings,
  ];
  const child = spawn('redis-server', argv, { stdio: 'ignore' });
  cleanups.push(async () => {
    const exited = once(child, 'exit');
    if (child.kill('SIGKILL')) await exited;
  });
  await eventually('the external Redis', () => accepts(socket));
  return socket;
}

/** Any answer will do: one that wants a password or loads is up as well. */
function accepts(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(socketPath);
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.end('PING\r\n'));
    socket.on('data', () => resolve(true));
  });
}

const SAFE = ['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction'];
const dial = (socketPath: string) => connectRedis({ address: { socketPath }, log: silentLog });

describe('connectRedis()', () => {
  test('refuses an unsafe server and names every wrong setting with its repair', async () => {
    const socket = await startExternal('--maxmemory-policy', 'allkeys-lru');
    await expect(dial(socket)).rejects.toMatchObject({
      code: 'redis_unsafe',
      message: `Redis at ${socket} can lose accepted work: appendonly is no, must be yes; appendfsync is everysec, must be always; maxmemory-policy is allkeys-lru, must be noeviction.`,
      hint: 'Run in redis-cli: CONFIG SET appendonly yes; CONFIG SET appendfsync always; CONFIG SET maxmemory-policy noeviction; then CONFIG REWRITE, so that it stays.',
    });
  });

  test('the repair it names repairs', async () => {
    const socket = await startExternal('--appendonly', 'yes');
    const error = await dial(socket).catch((refusal: unknown) => refusal);
    const { details } = error as { details: { settings: { name: string; fix: string }[] } };
    expect(details.settings.map(({ name }) => name)).toEqual(['appendfsync']);
    const admin = new Redis({ path: socket });
    for (const { fix } of details.settings) {
      const [command = '', ...words] = fix.split(' ');
      await admin.call(command, ...words);
    }
    admin.disconnect();
    cleanups.push((await dial(socket)).close);
  });

  test('a server that hides its settings is refused with the right that is missing', async () => {
    const socket = await startExternal(...SAFE, '--rename-command', 'CONFIG', '');
    await expect(dial(socket)).rejects.toMatchObject({
      code: 'redis_unsafe',
      message: expect.stringContaining('does not let Wafer read its settings (CONFIG GET appendonly'),
      hint: expect.stringContaining('+config|get'),
    });
  });

  test('a replica is refused', async () => {
    const socket = await startExternal(...SAFE, '--replicaof', '127.0.0.1 1');
    await expect(dial(socket)).rejects.toMatchObject({
      code: 'redis_unsafe',
      message: expect.stringContaining('role is slave, must be master'),
    });
  });

  test('versions below 6.2 are too old', () => {
    expect(['7.0.15', '6.2.0', '8.0', '10.1'].map(isNewEnough)).toEqual([true, true, true, true]);
    expect(['6.0.16', '5.0.7', '0', ''].map(isNewEnough)).toEqual([false, false, false, false]);
  });

  test('no server is store_unavailable, soon, and without the password in the message', async () => {
    const url = 'redis://somebody:hunter2@127.0.0.1:1/0';
    const error = await connectRedis({ address: { url }, log: silentLog, connectMs: 300 }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'store_unavailable', hint: expect.stringContaining('WAFER_REDIS_URL') });
    expect(JSON.stringify([String(error), error])).not.toContain('hunter2');
  });

  test('a wrong password fails at once, whatever the patience', async () => {
    const port = await freePort();
    await startExternal(...SAFE, '--port', String(port), '--bind', '127.0.0.1', '--requirepass', 'right');
    const failing = connectRedis({
      address: { url: `redis://:wrong@127.0.0.1:${port}` },
      log: silentLog,
      connectMs: 50_000,
    });
    await expect(failing).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('WRONGPASS'),
    });
    const good = await connectRedis({ address: { url: `redis://:right@127.0.0.1:${port}/3` }, log: silentLog });
    cleanups.push(good.close);
    expect(good.where).toBe(`redis://127.0.0.1:${port}/3`);
  });

  test.each(['localhost:6379', 'http://localhost', 'redis://localhost/x'])('refuses the address %s', async (url) => {
    await expect(connectRedis({ address: { url }, log: silentLog })).rejects.toMatchObject({ code: 'usage' });
  });

  test('a command without a connection fails at once as store_unavailable', async () => {
    const socket = await startExternal(...SAFE);
    const { redis, close } = await dial(socket);
    cleanups.push(close);
    const ended = once(redis, 'close');
    await redis.call('SHUTDOWN', 'NOSAVE').catch(() => {});
    await ended;
    await expect(createFunctionStore(redis).list()).rejects.toMatchObject({
      code: 'store_unavailable',
      message: 'Redis could not list functions: there is no connection.',
    });
  });

  test('a command that was under way when the server died fails, and is not sent again to the next one', async () => {
    const socket = await startExternal(...SAFE);
    const { redis, close } = await dial(socket);
    cleanups.push(close);
    await redis.client('PAUSE', 60_000);
    const publishing = redis.set('key', 'value');
    process.kill(Number(await readFile(join(root, 'pid'), 'utf8')), 'SIGKILL');
    await expect(publishing).rejects.toThrow();
    await startExternal(...SAFE);
    await eventually('the connection', () => redis.ping().catch(() => null));
    expect(await redis.exists('key')).toBe(0);
  });

  test('a server that hangs is store_unavailable after the time for a command', async () => {
    const socket = await startExternal(...SAFE);
    const { redis, close } = await connectRedis({ address: { socketPath: socket }, log: silentLog, commandMs: 200 });
    cleanups.push(close);
    const other = new Redis({ path: socket });
    await other.call('CLIENT', 'PAUSE', '60000', 'ALL');
    other.disconnect();
    await expect(createFunctionStore(redis).list()).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('Command timed out'),
    });
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
