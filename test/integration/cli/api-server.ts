/**
 * A real HTTP server with the API's routes and a few stored answers, for what the CLI does
 * with them. The routes themselves are tested against the real API in test/e2e.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ErrorCode, toProblem, WaferError } from '../../../services/core/errors.ts';
import type { FunctionVersion } from '../../../services/core/functions/types.ts';

export interface SeenRequest {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export type Handler = (request: SeenRequest, response: ServerResponse) => void;

export interface ApiServer {
  readonly url: string;
  readonly seen: SeenRequest[];
  /** `METHOD /path` without query -> handler. */
  on(route: string, handler: Handler): void;
  close(): Promise<void>;
}

export const KEY = 'test-key';

export const version = (number: number): FunctionVersion => ({
  functionName: 'hello',
  number,
  image: `sha256:${String(number).repeat(64)}`,
  base: 'node24',
  config: {
    runtime: 'node',
    base: 'node24',
    handler: 'index.handler',
    command: [],
    env: { GREETING: 'hi' },
    timeoutMs: 10_000,
    memoryMb: 128,
    tmpMb: 64,
    concurrency: 1,
    minInstances: 0,
    reuse: true,
  },
  createdAt: 1_700_000_000_000,
  codeBytes: 2048,
  addedBytes: 1536,
});

export const record = (live: number, latest = 3) => ({
  name: 'hello',
  createdAt: 1_700_000_000_000,
  aliases: { live },
  latest,
});

export const json =
  (value: unknown, status = 200): Handler =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };

export const problem =
  (code: ErrorCode, message: string, options: object = {}, headers: object = {}): Handler =>
  (_request, response) => {
    const body = toProblem(new WaferError(code, message, options));
    response
      .writeHead(body.status, { 'content-type': 'application/problem+json', ...headers })
      .end(JSON.stringify(body));
  };

export const ndjson =
  (lines: unknown[], end = true): Handler =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    for (const line of lines) response.write(`${JSON.stringify(line)}\n`);
    if (end) response.end();
  };

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export async function startApiServer(): Promise<ApiServer> {
  const routes = new Map<string, Handler>();
  const seen: SeenRequest[] = [];
  const server = createServer(async (request, response) => {
    const { method = '', url = '', headers } = request;
    const one = { method, url, headers, body: await readBody(request) };
    seen.push(one);
    const isPublic = url === '/readyz';
    if (!isPublic && headers.authorization !== `Bearer ${KEY}`) {
      return problem('unauthorized', 'The API key is missing or wrong.')(one, response);
    }
    const handler = routes.get(`${method} ${url.split('?')[0]}`);
    (handler ?? problem('not_found', `There is no ${method} ${url}.`))(one, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    on: (route, handler) => void routes.set(route, handler),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
