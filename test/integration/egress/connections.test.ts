/** Which connections of a sandbox are made, and to which address. */
import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { connectDirect } from '../../../runtime/sandbox/egress/dial.ts';
import type { EgressPolicy } from '../../../runtime/sandbox/types.ts';
import { allow, closeAfterEach, echoServer, listening, openWorld, openWorldOnce, readAll } from './lab.ts';

closeAfterEach();

describe('a connection by name', () => {
  test('reaches what the name resolves to, and leaves a verdict with its bytes', async () => {
    const port = await listening(echoServer(), 0);
    const world = await openWorld(allow('registry.test', port, true), { resolve: async () => ['127.0.0.1'] });
    const address = await world.lookUp('Registry.Test');
    expect(address).toBe('198.18.1.0');
    const socket = await world.tcp(String(address), port);
    socket.end('hello');
    expect(await readAll(socket)).toEqual({ text: 'hello', ended: true });
    expect(await world.verdict()).toEqual({
      sandboxId: 'box',
      durationMs: expect.any(Number),
      host: 'registry.test',
      address: '127.0.0.1',
      port,
      verdict: 'allowed',
      reason: 'trusted rule',
      bytesUp: 5,
      bytesDown: 5,
    });
  });

  test('on another port, or to an address that was never given out, is cut', async () => {
    const world = await openWorld(allow('registry.test', 443, true), { resolve: async () => ['127.0.0.1'] });
    const address = String(await world.lookUp('registry.test'));
    expect(await readAll(await world.tcp(address, 6379))).toMatchObject({ text: '' });
    expect(await world.verdict()).toMatchObject({
      verdict: 'denied',
      host: 'registry.test',
      reason: 'no rule allows the name on this port',
    });
    await readAll(await world.tcp('198.19.7.7', 443));
    expect(await world.verdict()).toMatchObject({
      verdict: 'denied',
      reason: 'the address was not given out to this sandbox',
    });
  });

  test('is denied when the name leads to a private address', async () => {
    const port = await listening(echoServer(), 0);
    for (const target of [
      '127.0.0.1',
      '10.0.0.1',
      '169.254.169.254',
      '::ffff:127.0.0.1',
      '::1',
      'fd00::1',
      '64:ff9b::7f00:1',
    ]) {
      const world = await openWorldOnce({ mode: 'public' }, async () => [target]);
      await readAll(await world.tcp(String(await world.lookUp('evil.test')), port));
      expect(await world.verdict()).toMatchObject({ verdict: 'denied', host: 'evil.test', address: null });
    }
  });

  test('never uses the private one of several addresses', async () => {
    const tried: string[] = [];
    const world = await openWorld(
      { mode: 'public' },
      {
        resolve: async () => ['127.0.0.1', '8.8.4.4', '10.0.0.1'],
        connect: (address, port) => {
          tried.push(address);
          return connectDirect('127.0.0.1', port);
        },
      },
    );
    const port = await listening(echoServer(), 0);
    const socket = await world.tcp(String(await world.lookUp('mixed.test')), port);
    socket.end('x');
    await readAll(socket);
    expect(await world.verdict()).toMatchObject({ verdict: 'allowed', address: '8.8.4.4' });
    expect(tried).toEqual(['8.8.4.4']);
  });

  test('can not be rebound: the checked answer is the one that is used, and each connection is checked', async () => {
    const answers = [['8.8.4.4'], ['127.0.0.1']];
    const tried: string[] = [];
    let lookups = 0;
    const port = await listening(echoServer(), 0);
    const world = await openWorld(
      { mode: 'public' },
      {
        resolve: async () => answers[lookups++] ?? [],
        connect: (address) => {
          tried.push(address);
          return connectDirect('127.0.0.1', port);
        },
      },
    );
    const address = String(await world.lookUp('rebind.test'));
    expect(lookups).toBe(0);
    const first = await world.tcp(address, port);
    first.end('x');
    expect(await readAll(first)).toMatchObject({ text: 'x' });
    expect([lookups, await world.verdict()]).toMatchObject([1, { verdict: 'allowed', address: '8.8.4.4' }]);
    await readAll(await world.tcp(address, port));
    expect([lookups, await world.verdict()]).toMatchObject([
      2,
      { verdict: 'denied', reason: 'the address is not public (loopback)' },
    ]);
    expect(tried).toEqual(['8.8.4.4']);
  });

  test('tries the next address when one refuses', async () => {
    const port = await listening(echoServer(), 0);
    const world = await openWorld(allow('two.test', port, true), { resolve: async () => ['127.0.0.2', '127.0.0.1'] });
    const socket = await world.tcp(String(await world.lookUp('two.test')), port);
    socket.end('x');
    await readAll(socket);
    expect(await world.verdict()).toMatchObject({ verdict: 'allowed', address: '127.0.0.1' });
  });

  test('that can not be looked up or connected fails with the reason', async () => {
    const free = createServer();
    const port = await new Promise<number>((resolve) => {
      free.listen(0, '127.0.0.1', () => resolve((free.address() as { port: number }).port));
    });
    await new Promise((resolve) => free.close(resolve));
    const world = await openWorld(
      { mode: 'list', allow: [{ host: '*.test', port: '*', trustResolved: true }] },
      {
        resolve: async (name) => {
          if (name === 'missing.test') throw new Error('queryA ENOTFOUND missing.test');
          return ['127.0.0.1'];
        },
      },
    );
    expect(await readAll(await world.tcp(String(await world.lookUp('missing.test')), port))).toMatchObject({
      text: '',
    });
    expect(await world.verdict()).toMatchObject({ verdict: 'failed', reason: 'queryA ENOTFOUND missing.test' });
    await readAll(await world.tcp(String(await world.lookUp('closed.test')), port));
    expect((await world.verdict()).reason).toMatch(/ECONNREFUSED/);
  });

  test('host.wafer.internal is this machine, for trusted rules alone', async () => {
    const port = await listening(echoServer(), 0);
    const trusted = await openWorldOnce(allow('host.wafer.internal', port, true));
    const socket = await trusted.tcp(String(await trusted.lookUp('host.wafer.internal')), port);
    socket.end('x');
    expect(await readAll(socket)).toEqual({ text: 'x', ended: true });
    for (const policy of [allow('host.wafer.internal', port), { mode: 'public' } satisfies EgressPolicy]) {
      const world = await openWorldOnce(policy);
      await readAll(await world.tcp(String(await world.lookUp('host.wafer.internal')), port));
      expect(await world.verdict()).toMatchObject({ verdict: 'denied' });
    }
  });
});

describe('a connection by address', () => {
  test.each([
    '127.0.0.1',
    '10.0.0.1',
    '169.254.169.254',
    '192.168.1.1',
    '::1',
    '::ffff:127.0.0.1',
    'fe80::1',
    '2002:7f00:1::',
    '0.0.0.0',
    'not-an-address',
  ])('public refuses %s', async (address) => {
    const port = await listening(echoServer(), 0);
    const world = await openWorld({ mode: 'public' });
    expect(await readAll(await world.tcp(address, port))).toMatchObject({ text: '' });
    expect(await world.verdict()).toMatchObject({ verdict: 'denied', address, port });
  });

  test('a rule for that address and port lets it through', async () => {
    const port = await listening(echoServer(), 0);
    const world = await openWorld(allow('127.0.0.1', port));
    const socket = await world.tcp('127.0.0.1', port);
    socket.end('x');
    expect(await readAll(socket)).toEqual({ text: 'x', ended: true });
    await readAll(await world.tcp('127.0.0.1', port === 1 ? 2 : 1));
    expect([(await world.verdict()).verdict, (await world.verdict()).verdict]).toEqual(['allowed', 'denied']);
  });
});
