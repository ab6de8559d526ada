/** What a connection carries, and how it ends. */
import { createServer, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { allow, closeAfterEach, dnsFrame, echoServer, listening, openWorld, readAll } from './lab.ts';

closeAfterEach();

describe('a tunnel', () => {
  test('carries much data both ways, whole', async () => {
    const port = await listening(echoServer(), 0);
    const world = await openWorld(allow('127.0.0.1', port));
    const socket = await world.tcp('127.0.0.1', port);
    const sent = 'wafer'.repeat(1_000_000);
    socket.end(sent);
    const { text, ended } = await readAll(socket);
    expect([text.length, text === sent, ended]).toEqual([sent.length, true, true]);
    expect(await world.verdict()).toMatchObject({ bytesUp: sent.length, bytesDown: sent.length });
  });

  test('keeps half-closed connections: the server may end first', async () => {
    let hear: (text: string) => void = () => {};
    const heard = new Promise<string>((resolve) => {
      hear = resolve;
    });
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      let text = '';
      socket.end('bye');
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.on('end', () => hear(text));
    });
    const port = await listening(server, 0);
    const world = await openWorld(allow('127.0.0.1', port));
    const socket = await world.tcp('127.0.0.1', port);
    await new Promise((resolve) => socket.once('end', resolve).resume());
    socket.end('still here');
    expect(await world.verdict()).toMatchObject({ verdict: 'allowed', bytesUp: 10, bytesDown: 3 });
    expect(await heard).toBe('still here');
  });

  test('that the server resets is cut inside, without an orderly end', async () => {
    const server = createServer((socket) => {
      socket.once('data', () => socket.resetAndDestroy());
    });
    const port = await listening(server, 0);
    const world = await openWorld(allow('127.0.0.1', port));
    const socket = await world.tcp('127.0.0.1', port);
    socket.write('x');
    await readAll(socket);
    expect(await world.verdict()).toMatchObject({ verdict: 'failed', reason: expect.stringMatching(/ECONNRESET/) });
  });

  test('that the sandbox drops is closed outside', async () => {
    let closed: () => void = () => {};
    const outside = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const server = createServer((socket) => {
      socket.write('x');
      socket.once('close', () => closed());
    });
    const port = await listening(server, 0);
    const world = await openWorld(allow('127.0.0.1', port));
    const socket = await world.tcp('127.0.0.1', port);
    await new Promise((resolve) => socket.once('data', resolve));
    socket.destroy();
    await outside;
    expect(await world.verdict()).toMatchObject({ address: '127.0.0.1', bytesDown: 1 });
  });
});

describe('the life of a sandbox', () => {
  test('has 256 connections at once, those to its name server among them, and room again when one ends', async () => {
    const port = await listening(echoServer(), 0);
    const world = await openWorld(allow('127.0.0.1', port));
    const say = async (socket: Socket, bytes: string | Buffer) => {
      socket.write(bytes);
      const answered = new Promise((resolve) => socket.once('data', () => resolve('answered')));
      return Promise.race([answered, new Promise((resolve) => socket.once('close', () => resolve('cut')))]);
    };
    const question = dnsFrame('127.test').subarray(4);
    const ask = async () => say(await world.tcp('198.18.0.1', 53), question);
    const open: Socket[] = [];
    expect(await ask()).toBe('answered');
    while (open.length < 255) {
      const socket = await world.tcp('127.0.0.1', port);
      expect(await say(socket, 'x')).toBe('answered');
      open.push(socket);
    }
    world.verdicts.length = 0; // of the name
    expect(await say(await world.tcp('127.0.0.1', port), 'x')).toBe('cut');
    expect(await world.verdict()).toMatchObject({ verdict: 'denied', reason: 'more than 256 connections' });
    expect(await ask()).toBe('cut');
    open.pop()?.end();
    expect(await world.verdict()).toMatchObject({ verdict: 'allowed' });
    expect(await say(await world.tcp('127.0.0.1', port), 'x')).toBe('answered');
  });

  test('unregister cuts its connections', async () => {
    const port = await listening(echoServer(), 0);
    const world = await openWorld(allow('127.0.0.1', port));
    const socket = await world.tcp('127.0.0.1', port);
    socket.write('x');
    await new Promise((resolve) => socket.once('data', resolve));
    world.egress.unregister('box');
    await readAll(socket);
    await world.verdict();
  });

  test('connections and queries of unknown sandboxes are cut', async () => {
    const world = await openWorld({ mode: 'none' });
    world.egress.unregister('box');
    expect(await readAll(await world.tcp('8.8.8.8', 53))).toMatchObject({ text: '' });
    expect(world.verdicts).toEqual([]);
  });

  test('one sandbox does not see the names of another', async () => {
    const world = await openWorld({ mode: 'public' }, { resolve: async () => ['127.0.0.1'] });
    const address = String(await world.lookUp('a.test'));
    world.egress.register('box', { mode: 'public' });
    await readAll(await world.tcp(address, 443));
    expect(await world.verdict()).toMatchObject({
      host: null,
      reason: 'the address was not given out to this sandbox',
    });
  });

  test('a refused name leaves one verdict', async () => {
    const world = await openWorld(allow('a.test', 443));
    expect(await world.lookUp('b.test')).toBe(3);
    expect(await world.lookUp('b.test')).toBe(3);
    expect(world.verdicts).toEqual([expect.objectContaining({ host: 'b.test', port: 0, verdict: 'denied' })]);
  });
});
