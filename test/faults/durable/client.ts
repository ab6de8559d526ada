/** A client that submits whatever happens, and writes down what it was promised. */
import { randomUUID } from 'node:crypto';
import type { Random } from '../../bench/random.ts';
import type { TestPlatform } from '../../helpers/platform.ts';

/** What was accepted: the answer 202 was read. */
export interface Promised {
  id: string;
  number: number;
  acceptedAt: number;
}

export interface Client {
  ledger: Promised[];
  /** Requests that got no answer, or a refusal: nothing was promised. */
  unanswered: number;
  stop(): Promise<void>;
}

const REQUEST_MS = 5_000;
const BODY_OF_LARGE = 40_000;

/** Each request has a key of its own and is sent until it is answered or given up, as a careful client does. */
export function startClient(platform: () => TestPlatform, name: string, random: Random, perSecond: number): Client {
  const run = randomUUID();
  const client: Client = { ledger: [], unanswered: 0, stop: async () => {} };
  let isStopped = false;
  const submit = async (number: number) => {
    const large = number % 10 === 0 ? 'z'.repeat(BODY_OF_LARGE) : '';
    const body = JSON.stringify({ number, hold: Math.round(random.exponential(150)), fail: number % 7 === 0, large });
    const key = `${run}-${number}`;
    for (let tries = 0; tries < 3 && !isStopped; tries++) {
      const id = await post(platform(), name, body, key).catch(() => null);
      if (id !== null) return void client.ledger.push({ id, number, acceptedAt: Date.now() });
      await pause(200);
    }
    client.unanswered++;
  };
  const loop = async () => {
    const open = new Set<Promise<void>>();
    for (let number = 1; !isStopped; number++) {
      const one = submit(number).finally(() => open.delete(one));
      open.add(one);
      await pause(random.exponential(1000 / perSecond));
    }
    await Promise.all(open);
  };
  const running = loop();
  client.stop = async () => {
    isStopped = true;
    await running;
  };
  return client;
}

async function post({ fetch }: TestPlatform, name: string, body: string, key: string): Promise<string | null> {
  const response = await fetch(`/v1/functions/${name}/async`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body,
    signal: AbortSignal.timeout(REQUEST_MS),
  });
  if (response.status !== 202) return null;
  return ((await response.json()) as { id: string }).id;
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
