/** Webhooks over a real Redis, a real registry of functions and a real queue; what runs is what the test says. */
import { createHmac } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { createFunctionStore } from '../../../services/core/functions/registry.ts';
import type { DurableRecord } from '../../../services/core/invocations/durable/types.ts';
import {
  type NewWebhook,
  type OpenedWebhooks,
  openWebhooks,
  type Received,
  type WebhooksDeps,
} from '../../../services/core/triggers/webhooks/index.ts';
import { eventually, silentLog } from '../../helpers/redis.ts';
import { newTextBox } from '../../helpers/text-box.ts';
import { type DurableLab, openDurableLab } from '../durable/lab.ts';

export const GITHUB_SECRET = 'a-secret-of-sixteen-or-more';

export interface WebhookLab {
  durable: DurableLab;
  webhooks: OpenedWebhooks;
  functions: ReturnType<typeof createFunctionStore>;
  /** Another process over the same Redis; `change` may break it. */
  open(change?: Partial<WebhooksDeps>): OpenedWebhooks;
  deploy(name: string): Promise<void>;
  add(more?: Partial<NewWebhook>): Promise<{ id: string; secret: string | null }>;
  /** As the route does it. */
  send(id: string, headers: Record<string, string>, body: string | Buffer): Promise<Received>;
  github(id: string, delivery: string, body?: string): Promise<Received>;
  /** All invocations there are, oldest first. */
  invocations(): Promise<DurableRecord[]>;
  eventOf(record: DurableRecord): Promise<Record<string, unknown>>;
  /** When there are so many. */
  invoked(count: number): Promise<DurableRecord[]>;
}

const CONFIG = {
  runtime: 'node' as const,
  base: 'node24',
  handler: 'index.handler',
  command: [],
  env: {},
  timeoutMs: 1000,
  memoryMb: 64,
  tmpMb: 8,
  concurrency: 1,
  minInstances: 0,
  reuse: true,
};

export async function openWebhookLab(): Promise<WebhookLab> {
  const durable = await openDurableLab();
  const { redis } = durable.redis.connection;
  const functions = createFunctionStore(redis);
  const box = newTextBox();
  const opened: OpenedWebhooks[] = [];
  const open: WebhookLab['open'] = (change = {}) => {
    const { calls, bodies } = durable;
    const one = openWebhooks({
      redis,
      calls,
      functions,
      bodies,
      log: silentLog,
      maxEventBytes: 6 << 20,
      box,
      ...change,
    });
    opened.push(one);
    return one;
  };
  const webhooks = open();
  onTestFinished(async () => {
    for (const one of opened) await one.close();
    await durable.close();
  });
  const deploy = async (functionName: string) => {
    const image = `sha256:${'a'.repeat(64)}`;
    await functions.publish({ functionName, image, base: 'node24', config: CONFIG, codeBytes: 1, addedBytes: 1 });
  };
  await deploy('f');
  const invocations = async () => (await durable.calls.list({ limit: 1000 })).records.reverse();
  const send: WebhookLab['send'] = async (id, headers, body) =>
    webhooks.receive(await webhooks.find(id), { headers, body: Buffer.from(body) });
  return {
    durable,
    webhooks,
    functions,
    open,
    deploy,
    invocations,
    send,
    async add(more = {}) {
      const scheme = more.scheme ?? 'github';
      const secret = scheme === 'github' ? { secret: GITHUB_SECRET } : {};
      const made = await webhooks.create({ name: 'w', functionName: 'f', ...secret, ...more, scheme });
      return { id: made.webhook.id, secret: made.madeSecret };
    },
    github: (id, delivery, body = '{"action":"opened"}') => send(id, githubHeaders(delivery, body), body),
    eventOf: async (record) => JSON.parse(String(await durable.calls.readBody(record, 'event'))),
    invoked: (count) =>
      eventually(`${count} invocations`, async () => {
        const found = await invocations();
        return found.length >= count && found;
      }),
  };
}

export const githubHeaders = (delivery: string, body: string) => ({
  'content-type': 'application/json',
  'x-github-event': 'pull_request',
  'x-github-delivery': delivery,
  'x-hub-signature-256': `sha256=${createHmac('sha256', GITHUB_SECRET).update(body).digest('hex')}`,
});
