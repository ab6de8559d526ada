/** A registry that says what a test wants it to say, and remembers what it was asked. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MEDIA } from '../../services/core/images/types.ts';
import type { MadeImage } from './oci-layout.ts';

export interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
}

export type Answer = (request: Seen, response: ServerResponse) => void;

export interface ScriptedRegistry {
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly seen: Seen[];
  /** The first rule that matches `METHOD /path?query` answers; later rules come first. */
  on(pattern: RegExp, answer: Answer): void;
  /** Serves the image as `repository:tag`, with all its blobs. */
  serve(repository: string, tag: string, image: MadeImage): void;
  reset(): void;
  close(): Promise<void>;
}

export async function startScriptedRegistry(): Promise<ScriptedRegistry> {
  let rules: { pattern: RegExp; answer: Answer }[] = [];
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    const one = { method, url, headers };
    seen.push(one);
    request.resume();
    const rule = rules.find(({ pattern }) => pattern.test(`${method} ${url}`));
    if (rule !== undefined) return rule.answer(one, response);
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const on = (pattern: RegExp, answer: Answer) => {
    rules = [{ pattern, answer }, ...rules];
  };
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    on,
    serve(repository, tag, image) {
      for (const [digest, bytes] of image.blobs) on(new RegExp(`/v2/${repository}/blobs/${digest}$`), bytesOf(bytes));
      const { mediaType = MEDIA.manifest } = JSON.parse(image.manifest.toString());
      on(new RegExp(`/v2/${repository}/manifests/(${tag}|${image.digest})$`), bytesOf(image.manifest, mediaType));
    },
    reset() {
      rules = [];
      seen.length = 0;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export const bytesOf =
  (bytes: Buffer, type = 'application/octet-stream', headers: Record<string, string> = {}): Answer =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': type, 'content-length': bytes.length, ...headers }).end(bytes);
  };

export const statusOf =
  (status: number, headers: Record<string, string> = {}, body = ''): Answer =>
  (_request, response) => {
    response.writeHead(status, headers).end(body);
  };
