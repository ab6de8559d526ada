/** The API on a real port over the neighbours of fake-platform.ts. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { buildApp } from '../../services/api/app.ts';
import type { ApiDeps } from '../../services/api/deps.ts';
import { startServer } from '../../services/api/server.ts';
import { AUTH, createFakePlatform, type FakePlatform, TEST_KEY } from './fake-platform.ts';

export interface ApiServer {
  platform: FakePlatform;
  url: string;
  port: number;
  /** With the key. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  connect(): Promise<RawClient>;
  /** One request as bytes on a connection of its own; everything that came back until it was closed. */
  raw(bytes: string | Buffer): Promise<string>;
  close(graceMs?: number): Promise<void>;
}

/** Is closed at the end of the test. */
export async function startApi(extra: Partial<ApiDeps> = {}): Promise<ApiServer> {
  const platform = createFakePlatform(extra);
  const server = await startServer(buildApp(platform), { host: '127.0.0.1', port: 0 });
  let closing: Promise<void> | undefined;
  const close = (graceMs = 0) => {
    closing ??= server.close(graceMs);
    return closing;
  };
  onTestFinished(() => close());
  return {
    platform,
    url: server.url,
    port: server.port,
    close,
    connect: () => connectRaw(server.port),
    fetch: (path, init = {}) =>
      fetch(`${server.url}${path}`, {
        ...init,
        headers: { ...AUTH, ...Object.fromEntries(new Headers(init.headers)) },
      }),
    raw: async (bytes) => {
      const client = await connectRaw(server.port);
      client.write(bytes);
      return client.closed();
    },
  };
}

export interface RawClient {
  socket: Socket;
  /** Strings are bytes: latin-1. */
  write(bytes: string | Buffer): void;
  /** What has come so far. */
  received(): string;
  /** Resolves when the text is there. */
  until(text: string): Promise<string>;
  /** Resolves with everything when the server has closed the connection. */
  closed(): Promise<string>;
  destroy(): void;
}

export async function connectRaw(port: number): Promise<RawClient> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  let text = '';
  const waiting = new Set<() => void>();
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
    for (const look of waiting) look();
  });
  // A reset is one of the ways in which a server ends a connection.
  socket.on('error', () => {});
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(text)));
  onTestFinished(() => void socket.destroy());
  return {
    socket,
    write: (bytes) => void socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes),
    received: () => text,
    closed: () => closed,
    destroy: () => void socket.destroy(),
    until: (wanted) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!text.includes(wanted)) return;
          waiting.delete(look);
          resolve(text);
        };
        waiting.add(look);
        void closed.then(() => reject(new Error(`closed before ${JSON.stringify(wanted)} came, after: ${text}`)));
        look();
      }),
  };
}

/** A request head with the key; the caller adds the empty line. */
export const head = (line: string, ...headers: string[]) =>
  [`${line} HTTP/1.1`, 'Host: test', `Authorization: Bearer ${TEST_KEY}`, ...headers].join('\r\n');

export async function until(what: string, check: () => boolean): Promise<void> {
  const end = Date.now() + 100_000;
  while (!check()) {
    if (Date.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
