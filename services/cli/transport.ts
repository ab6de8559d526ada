/**
 * One HTTP request. `node:http` rather than fetch: fetch gives up after 300 s without a header or
 * a byte, but a call may take 900 s and a followed log may be silent for a day; it also loads faster.
 */
import { type IncomingHttpHeaders, type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isErrno, WaferError } from '../core/errors.ts';

export interface HttpRequest {
  method: string;
  headers: Record<string, string>;
  /** A stream is sent chunked; the request owns and destroys it. */
  body?: Buffer | Readable;
  signal?: AbortSignal;
}

export interface HttpReply {
  status: number;
  headers: IncomingHttpHeaders;
  /** Errors with `not_reachable` when the connection breaks. */
  body: IncomingMessage;
}

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the name server does not answer',
  ECONNRESET: 'the connection was closed',
  EPIPE: 'the connection was closed',
  ETIMEDOUT: 'it does not answer',
  EHOSTUNREACH: 'there is no way to the host',
  ENETUNREACH: 'there is no way to the network',
};

export function notReachable(origin: string, error: unknown): unknown {
  const code = Object.keys(REASONS).find((known) => isErrno(error, known));
  if (code === undefined && !(error instanceof Error && 'code' in error)) return error;
  if (isErrno(error, 'ABORT_ERR')) return error;
  const reason = code ? REASONS[code] : (error as Error).message;
  return new WaferError('not_reachable', `No Wafer platform answers at ${origin}: ${reason}.`, {
    hint: 'Start one with "wafer up", or set WAFER_URL to the address of a running one.',
    cause: error,
  });
}

async function opener(url: URL): Promise<typeof requestHttp> {
  if (url.protocol === 'http:') return requestHttp;
  if (url.protocol === 'https:') return (await import('node:https')).request;
  throw new WaferError('usage', `WAFER_URL=${url.href} does not start with http:// or https://.`);
}

/**
 * Resolves when the head of the answer is there.
 * @throws WaferError `not_reachable`; the error of a request body stream as it is
 */
export async function send(url: URL, options: HttpRequest): Promise<HttpReply> {
  const open = await opener(url);
  const { body, signal } = options;
  const settings: RequestOptions = {
    method: options.method,
    headers: Buffer.isBuffer(body) ? { ...options.headers, 'content-length': body.length } : options.headers,
    ...(signal ? { signal } : {}),
  };
  return new Promise((resolve, reject) => {
    let bodyError: unknown = null;
    const request = open(url, settings);
    request.on('error', (error) => reject(bodyError ?? notReachable(url.origin, error)));
    request.on('response', (reply) => {
      resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: reply });
    });
    if (body instanceof Readable) {
      body.on('error', (error) => {
        bodyError = error;
      });
      // A server that refuses early answers before it has read everything: the answer counts, not the broken pipe.
      pipeline(body, request).catch((error: unknown) => {
        if (bodyError !== null) reject(error);
      });
    } else request.end(body);
  });
}

export async function readAll(reply: HttpReply, origin: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of reply.body) chunks.push(chunk as Buffer);
  } catch (error) {
    throw notReachable(origin, error);
  }
  return Buffer.concat(chunks);
}

/** Each line of a newline-delimited body, as it arrives; ends quietly when `signal` is aborted. */
export async function* readLines(reply: HttpReply, origin: string, signal?: AbortSignal): AsyncGenerator<string> {
  let rest = '';
  reply.body.setEncoding('utf8');
  try {
    for await (const chunk of reply.body) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      yield* lines.filter((line) => line !== '');
    }
  } catch (error) {
    if (signal?.aborted) return;
    throw notReachable(origin, error);
  }
  if (rest !== '') yield rest;
}
