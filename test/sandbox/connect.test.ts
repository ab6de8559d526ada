/** Connections into containers: from the host, and from one to another by name. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import type { Sandbox, SandboxSpec } from '../../runtime/sandbox/index.ts';
import { until } from '../helpers/until.ts';
import { collect, containerLab } from './container-lab.ts';

const lab = containerLab('connect');

/** Says how many bytes came, after the client has ended. */
const COUNTER = `require('net').createServer({ allowHalfOpen: true }, (s) => {
  let n = 0; s.on('data', (d) => (n += d.length)); s.on('end', () => s.end('got ' + n)); s.on('error', () => {});
}).listen(8080, '127.0.0.1', () => console.log('up'))`;

async function server(spec: Partial<SandboxSpec> = {}): Promise<Sandbox> {
  const sandbox = await lab.create(['node', '-e', COUNTER], {
    layers: lab.base('node24'),
    memoryBytes: 1 << 30,
    ...spec,
  });
  const said = collect();
  sandbox.onOutput(said.listener);
  await until('it listens', async () => said.out().includes('up'));
  return sandbox;
}

/** What a program in a sandbox gets from `host:port`. */
const ask = (sandbox: Sandbox, host: string, port = 8080) =>
  lab.sh(
    sandbox,
    `node -e "const s = require('net').connect(${port}, '${host}', () => s.end('hello')); s.setEncoding('latin1'); s.on('data', (d) => process.stdout.write(d)); s.on('error', (e) => console.log(e.code))"`,
  );

/** The same, from a client that keeps its end open: a refused connection is a reset to it. */
const refused = (sandbox: Sandbox, host: string, port = 8080) =>
  lab.sh(
    sandbox,
    `node -e "require('net').connect(${port}, '${host}').on('error', (e) => console.log(e.code)).on('data', console.log).on('end', () => console.log('end'))"`,
  );

describe('connect', () => {
  it('reaches a port inside, both ways, with both ends', async () => {
    const sandbox = await server();
    const socket: Duplex = await sandbox.connect(8080);
    socket.write(Buffer.alloc(3_000_000));
    socket.end('x');
    expect(await text(socket)).toBe('got 3000001');
    const answers = await Promise.all(
      [1, 2, 3, 4, 5, 6, 7, 8].map(async (n) => {
        const one = await sandbox.connect(8080);
        one.end(Buffer.alloc(n));
        return text(one);
      }),
    );
    expect(answers).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => `got ${n}`));
  });

  it('says why a port can not be reached', async () => {
    const sandbox = await lab.create();
    await expect(sandbox.connect(81)).rejects.toMatchObject({
      code: 'connect_failed',
      message: expect.stringContaining('Connection refused'),
    });
    await expect(sandbox.connect(0)).rejects.toMatchObject({ code: 'bad_request' });
    await sandbox.freeze();
    await expect(sandbox.connect(81)).rejects.toMatchObject({ code: 'frozen' });
  });

  it('ends with the sandbox, and leaves nothing behind', async () => {
    const warm = await server();
    (await warm.connect(8080)).destroy();
    await warm.destroy();
    const before = await lab.host.engineStats();
    const sandbox = await server();
    const open = await sandbox.connect(8080);
    open.resume();
    const closed = once(open, 'end');
    await sandbox.destroy();
    await closed;
    open.destroy();
    await until('everything is as before', async () => {
      const now = await lab.host.engineStats();
      return now.fds === before.fds && now.sandboxes === before.sandboxes;
    });
  });
});

describe('peers', () => {
  it('reach each other by name, and nothing else, without any egress', async () => {
    const target = await server();
    const peers = (name: string) => (name === 'db' ? target.id : null);
    const client = await lab.create([], { layers: lab.base('node24'), memoryBytes: 1 << 30, peers });
    expect(await ask(client, 'db')).toBe('got 5');
    expect(await ask(client, 'DB')).toBe('got 5');
    expect(await refused(client, 'db', 8081)).toMatch(/ECONNRESET/);
    expect(await refused(client, 'other')).toMatch(/ENOTFOUND|EAI_AGAIN/);
    expect(await refused(client, '198.51.100.7')).toMatch(/ECONNRESET/);
    expect(await ask(client, '198.18.1.0')).toMatch(/got 5/); // the name's own address
    expect(await refused(client, '198.18.1.1')).toMatch(/ECONNRESET/);
  });

  it('are looked up each time', async () => {
    let now: string | null = null;
    const client = await lab.create([], { layers: lab.base('node24'), memoryBytes: 1 << 30, peers: () => now });
    expect(await refused(client, 'web')).toMatch(/ENOTFOUND|EAI_AGAIN/);
    const first = await server();
    now = first.id;
    expect(await ask(client, 'web')).toBe('got 5');
    await first.destroy();
    expect(await refused(client, 'web')).toMatch(/ECONNRESET/);
    now = (await server()).id;
    expect(await ask(client, 'web')).toBe('got 5');
  });

  it('are not reached by those who were not given their name', async () => {
    await server();
    const stranger = await lab.create([], { layers: lab.base('node24'), memoryBytes: 1 << 30 });
    expect(await refused(stranger, '198.18.1.0')).toMatch(/ENETUNREACH/);
  });
});
