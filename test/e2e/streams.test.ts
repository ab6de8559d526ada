/** Bodies through the whole platform: the slow side holds back the fast one, and nobody else on the same instance. */
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

const TOTAL = 96 * 1024 * 1024;
/** What the kernel's and our own buffers on the way may hold; a way without back-pressure takes all. */
const HELD = TOTAL / 3;

const CODE = `
const chunk = new Uint8Array(65536).fill(120);
let sent = 0, received = 0, open;
const gate = new Promise((resolve) => { open = resolve; });
export async function handler(event) {
  if (!(event instanceof Request)) {
    if (event?.open) open();
    return { pid: process.pid, sent, received };
  }
  if (event.method === 'GET') return new Response(new ReadableStream({ pull(out) {
    if (sent === ${TOTAL}) return out.close();
    out.enqueue(chunk.slice());
    sent += chunk.length;
  } }, { highWaterMark: 0 }));
  await gate;
  for await (const part of event.body) received += part.length;
  return String(received);
}`;

interface Counts {
  pid: number;
  sent: number;
  received: number;
}

let wafer: TestPlatform;
beforeAll(async () => {
  wafer = await startTestPlatform();
  await wafer.deploy('streams', { 'index.mjs': CODE }, { concurrency: 4, timeoutMs: 300_000 });
});
afterAll(async () => {
  await wafer.remove('streams');
  await wafer.stop();
});

/** Each is a call of its own on the instance that streams. */
async function counts(event: object = {}): Promise<Counts> {
  const { status, body } = await wafer.invoke('streams', event);
  expect(status).toBe(200);
  return body as Counts;
}

/** Until `read` gives the same for ten calls of the instance in a row. */
async function untilStill(read: (now: Counts) => number): Promise<number> {
  let last = -1;
  let same = 0;
  return until('it stands still', async () => {
    const value = read(await counts());
    same = value === last ? same + 1 : 0;
    last = value;
    return value > 0 && same >= 10 && value;
  });
}

const open = (method: string): ClientRequest =>
  request(`${wafer.url}/fn/streams/`, { method, headers: { authorization: `Bearer ${wafer.key}` } });

describe('a call that streams', () => {
  it('is held back by a caller that does not read, and so is the function; others on the same instance are not', async () => {
    const { pid } = await counts();
    const download = open('GET');
    download.end();
    const [answer] = (await once(download, 'response')) as [IncomingMessage];
    const stoodAt = await untilStill(({ sent }) => sent);
    expect(stoodAt).toBeLessThan(HELD);
    expect((await counts()).pid).toBe(pid);
    let size = 0;
    for await (const part of answer) size += (part as Buffer).length;
    expect(size).toBe(TOTAL);
    expect((await counts()).pid).toBe(pid);
  });

  it('holds back a caller that sends faster than the function reads, and nobody else on the same instance', async () => {
    const { pid } = await counts();
    let taken = 0;
    const chunk = Buffer.alloc(65_536, 'x');
    const source = new Readable({
      read() {
        this.push(taken === TOTAL ? null : chunk);
        taken = Math.min(TOTAL, taken + chunk.length);
      },
    });
    const upload = open('PUT');
    const answered = once(upload, 'response') as Promise<[IncomingMessage]>;
    source.pipe(upload);
    expect(await untilStill(() => taken)).toBeLessThan(HELD);
    expect(await counts({ open: true })).toMatchObject({ pid, received: 0 });
    const [answer] = await answered;
    expect(Buffer.concat(await answer.toArray()).toString()).toBe(String(TOTAL));
    expect((await counts()).pid).toBe(pid);
  });
});
