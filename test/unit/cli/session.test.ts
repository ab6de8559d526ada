/** The caller's end of a session, against a real WebSocket server that speaks `wafer.session.v1`. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { connect } from '../../../services/cli/client.ts';
import {
  CHANNEL,
  type ClientSession,
  openSession,
  SESSION_PROTOCOL,
} from '../../../services/cli/session/client-session.ts';
import { createDetachFilter, parseDetachKeys } from '../../../services/cli/session/detach-keys.ts';
import { toProblem, WaferError } from '../../../services/core/errors.ts';

let server: Server;
let sockets: WebSocketServer;
let url: string;

beforeEach(async () => {
  server = createServer();
  sockets = new WebSocketServer({ noServer: true, handleProtocols: () => SESSION_PROTOCOL });
  server.on('upgrade', (request, socket, head) => {
    if (request.headers.authorization !== 'Bearer k') {
      const body = JSON.stringify(toProblem(new WaferError('container_not_found', 'There is no container nobody.')));
      return socket.end(`HTTP/1.1 404 Not Found\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
    }
    sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client, request));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  for (const client of sockets.clients) client.terminate();
  server.close();
  server.closeAllConnections();
});

const say = (client: WebSocket, channel: number, text: string | Buffer) =>
  client.send(Buffer.concat([Buffer.from([channel]), Buffer.from(text)]));

/** A session, and the server's end of it. */
async function open(
  key = 'k',
  exec?: Parameters<typeof openSession>[2],
): Promise<[ClientSession, WebSocket, Buffer[]]> {
  const messages: Buffer[] = [];
  const connected = once(sockets, 'connection').then(([client]: WebSocket[]) => {
    client!.on('message', (data: Buffer) => messages.push(data));
    return client!;
  });
  const session = await openSession(connect({ WAFER_URL: url, WAFER_KEY: key }), '/v1/containers/x/attach', exec);
  return [session, await connected, messages];
}

async function until(what: string, check: () => boolean): Promise<void> {
  const end = Date.now() + 60_000;
  while (!check()) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('openSession()', () => {
  it('hands output on in order, all of it before the end, and gives the exit code', async () => {
    const [session, client] = await open();
    say(client, CHANNEL.stdout, 'one ');
    say(client, CHANNEL.stderr, 'two ');
    say(client, CHANNEL.stdout, 'three');
    say(client, CHANNEL.end, '{"exitCode":7}');
    const seen: string[] = [];
    session.onOutput(async (stream, chunk) => {
      await new Promise((resolve) => setTimeout(resolve, 2));
      seen.push(`${stream}:${chunk}`);
    });
    expect(await session.ended).toBe(7);
    expect(seen).toEqual(['stdout:one ', 'stderr:two ', 'stdout:three']);
  });

  it('a listener that is slow holds the sender back', async () => {
    const [session, client] = await open();
    const total = 64 * 1024 * 1024;
    const piece = Buffer.alloc(64 * 1024, 120);
    let sent = 0;
    const send = () => {
      while (sent < total && client.bufferedAmount < piece.length) {
        sent += piece.length;
        say(client, CHANNEL.stdout, piece);
      }
      if (sent >= total) return say(client, CHANNEL.end, '{"exitCode":0}');
      setTimeout(send, 1);
    };
    let release: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let received = 0;
    session.onOutput(async (_stream, chunk) => {
      received += chunk.length;
      await held;
    });
    send();
    // What is on the way fills the kernel's buffers, then the server waits for good.
    let before = -1;
    let same = 0;
    await until('the server waits', () => {
      same = before === sent ? same + 1 : 0;
      before = sent;
      return same > 60;
    });
    expect(sent).toBeLessThan(total / 2);
    release();
    expect(await session.ended).toBe(0);
    expect(received).toBe(total);
  });

  it('sends stdin, its end as an empty message, sizes, and first of all what to run', async () => {
    const exec = { argv: ['cat'], env: {}, stdin: true, terminal: null };
    const [session, , messages] = await open('k', exec);
    session.onOutput(() => {});
    session.stdin.write('typed');
    session.resize({ rows: 3, columns: 5 });
    session.stdin.end();
    await until('four messages', () => messages.length === 4);
    const text = messages.map(String);
    expect(JSON.parse(text[0]!)).toEqual(exec);
    expect(text.slice(1).sort()).toEqual(['\0', '\0typed', '\x04{"rows":3,"columns":5}'].sort());
    expect(text.indexOf('\0typed')).toBeLessThan(text.indexOf('\0'));
  });

  it("a refused upgrade is the server's problem; so is the last word", async () => {
    await expect(open('wrong')).rejects.toMatchObject({
      code: 'container_not_found',
      message: 'There is no container nobody.',
    });
    const [session, client] = await open();
    session.onOutput(() => {});
    say(
      client,
      CHANNEL.end,
      JSON.stringify({ problem: toProblem(new WaferError('container_start_failed', 'no such file')) }),
    );
    await expect(session.ended).rejects.toMatchObject({ code: 'container_start_failed' });
  });

  it('a lost connection is told, after what had come', async () => {
    const [session, client] = await open();
    const seen: string[] = [];
    session.onOutput((_stream, chunk) => void seen.push(String(chunk)));
    say(client, CHANNEL.stdout, 'last');
    await until('it came', () => seen.length === 1);
    client.terminate();
    await expect(session.ended).rejects.toMatchObject({
      code: 'not_reachable',
      message: expect.stringContaining('was lost'),
    });
  });

  it('nobody there is not_reachable', async () => {
    server.close();
    server.closeAllConnections();
    await expect(openSession(connect({ WAFER_URL: 'http://127.0.0.1:1', WAFER_KEY: 'k' }), '/x')).rejects.toMatchObject(
      { code: 'not_reachable' },
    );
  });
});

test.each([
  ['the keys leave', ['ab', '\x10\x11c'], 'ab', true],
  ['also in two pieces', ['\x10', '\x11'], '', true],
  ['ctrl-p alone waits for the next key', ['\x10'], '', false],
  ['ctrl-p and another key are typed', ['\x10x'], '\x10x', false],
  ['ctrl-p ctrl-p ctrl-q leaves, one is typed', ['\x10\x10\x11'], '\x10', true],
  ['ctrl-q alone is typed', ['\x11'], '\x11', false],
])('detach keys: %s', (_fact, chunks, typed, detached) => {
  const filter = createDetachFilter(parseDetachKeys('ctrl-p,ctrl-q'));
  let out = '';
  let left = false;
  for (const chunk of chunks) {
    const result = filter(Buffer.from(chunk));
    out += result.data.toString();
    left ||= result.detached;
  }
  expect([out, left]).toEqual([typed, detached]);
});

test('detach keys can be others, or none', () => {
  expect(parseDetachKeys('ctrl-@,a')).toEqual([0, 97]);
  expect(parseDetachKeys('')).toEqual([]);
  expect(createDetachFilter([])(Buffer.from('\x10\x11'))).toEqual({ data: Buffer.from('\x10\x11'), detached: false });
  expect(() => parseDetachKeys('ctrl-up')).toThrow(/not a key/);
});
