/** The real API over a webhook lab, on a port of its own. */
import { Writable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { buildApp } from '../../../services/api/app.ts';
import type { ApiLimits } from '../../../services/api/limits.ts';
import type { NewWebhook } from '../../../services/core/triggers/webhooks/types.ts';
import { createFakePlatform, TEST_KEY } from '../../helpers/fake-platform.ts';
import { openWebhookLab, type WebhookLab } from './lab.ts';

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks at fields of an answer without naming its type
  body: any;
}

export interface HookServer extends WebhookLab {
  url: string;
  app: FastifyInstance;
  /** All that the platform logged, at the level that says most. */
  logged(): string;
  /** With the key, JSON in and out. */
  api(method: string, path: string, body?: unknown): Promise<Answer>;
  /** As a sender does: no key. */
  post(id: string, headers: Record<string, string>, body?: string | Uint8Array): Promise<Answer>;
  /** Over the API. */
  make(more?: Partial<NewWebhook>): Promise<{ id: string; secret: string; path: string }>;
}

export async function openHookServer(limits?: Partial<ApiLimits>): Promise<HookServer> {
  const lab = await openWebhookLab();
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const platform = createFakePlatform({
    webhooks: lab.webhooks,
    durable: lab.durable.calls,
    log: pino({ level: 'trace' }, sink),
    ...(limits && { limits }),
  });
  const app = buildApp(platform);
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  onTestFinished(() => app.close());
  const api: HookServer['api'] = async (method, path, body) =>
    read(
      await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${TEST_KEY}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    );
  return {
    ...lab,
    url,
    app,
    api,
    logged: () => lines.join(''),
    post: async (id, headers, body = '') => read(await fetch(`${url}/hooks/${id}`, { method: 'POST', headers, body })),
    async make(more = {}) {
      const { status, body, text } = await api('POST', '/v1/webhooks', {
        name: 'w',
        functionName: 'f',
        scheme: 'github',
        ...more,
      });
      if (status !== 201) throw new Error(text);
      return { id: body.webhook.id, secret: body.secret ?? more.secret ?? '', path: `/v1/webhooks/${body.webhook.id}` };
    },
  };
}

async function read(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : text };
}
