/** A runtime that sends anything: whatever comes, the host answers with values and stays alive. */
import { duplexPair } from 'node:stream';
import { expect, test } from 'vitest';
import { encodeFrame, encodeJson, FrameDecoder, RULES_TO_HOST, TO_HOST } from '../../../runtime/protocol/frames.ts';
import { openRuntime } from '../../../runtime/protocol/index.ts';
import { EVENT, READY, SETTINGS } from './peer.ts';

/** mulberry32: the same bytes for the same seed, so that a failure can be repeated. */
function makeRandom(seed: number) {
  let state = seed >>> 0;
  return (below: number) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}
type Random = ReturnType<typeof makeRandom>;

const VALUE = { kind: 'value', contentType: 'application/json' };

/** A stream of frames that a good runtime could send for two calls. */
function goodStream(random: Random): Buffer[] {
  const frames: Buffer[] = [];
  for (const call of [1, 2]) {
    for (let at = random(3); at > 0; at--) frames.push(encodeFrame(TO_HOST.log, call, Buffer.from('\x01line')));
    if (random(4) === 0) {
      frames.push(encodeJson(TO_HOST.error, call, { code: 'function_error', message: 'no' }));
      continue;
    }
    frames.push(
      encodeJson(TO_HOST.result, call, random(2) === 0 ? VALUE : { kind: 'http', status: 200, headers: [['a', 'b']] }),
    );
    for (let at = random(4); at > 0; at--)
      frames.push(encodeFrame(TO_HOST.body, call, Buffer.alloc(1 + random(3000), 'x')));
    frames.push(encodeFrame(TO_HOST.end, call));
  }
  return frames;
}

function mutate(bytes: Buffer, random: Random): Buffer {
  const out = Buffer.from(bytes);
  for (let at = 1 + random(4); at > 0; at--) {
    const place = random(out.length);
    if (random(3) === 0) out[place] = random(256);
    else out[place] = (out[place] ?? 0) ^ (1 << random(8));
  }
  const cut = random(4) === 0 ? random(out.length) : out.length;
  return random(4) === 0
    ? Buffer.concat([out.subarray(0, cut), out.subarray(random(out.length))])
    : out.subarray(0, cut);
}

function* chunks(bytes: Buffer, random: Random) {
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + random(random(2) === 0 ? 8 : 4000);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

test('FrameDecoder gives the same frames for random chunks as for one', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = makeRandom(seed);
    const frames = goodStream(random);
    const seen: Buffer[] = [];
    const decoder = new FrameDecoder(RULES_TO_HOST, (type, call, payload) => {
      seen.push(encodeFrame(type, call, payload));
      return null;
    });
    for (const chunk of chunks(Buffer.concat(frames), random)) expect(decoder.push(chunk)).toBeNull();
    expect(Buffer.concat(seen).equals(Buffer.concat(frames))).toBe(true);
  }
});

test('a connection survives mutated streams in random chunks and always ends its calls', async () => {
  const ends = { ok: 0, error: 0, protocol: 0 };
  for (let seed = 1; seed <= 400; seed++) {
    const random = makeRandom(seed);
    const [host, peer] = duplexPair();
    const closes: string[] = [];
    const runtime = openRuntime(host, { onLog: () => {}, onClose: (reason) => closes.push(reason) });
    peer.write(encodeJson(TO_HOST.ready, 0, READY));
    await runtime.ready;
    const init = runtime.init(SETTINGS);
    peer.write(encodeJson(TO_HOST.initOk, 0, {}));
    await init;
    peer.resume();
    const calls = [0, 1].map(() => runtime.call(EVENT, Buffer.from('{}'), new AbortController().signal));
    const bytes = mutate(Buffer.concat(goodStream(random)), random);
    for (const chunk of chunks(bytes, random)) peer.write(chunk);
    peer.end();
    for (const call of calls) {
      const head = await call.head;
      if (head.kind !== 'error') head.body.resume();
      const end = await call.ended;
      ends[end.kind === 'ok' ? 'ok' : end.code === 'protocol_error' ? 'protocol' : 'error'] += 1;
    }
    runtime.destroy();
    expect(closes).toHaveLength(1);
    expect(runtime.inFlight).toBe(0);
  }
  // All three ways were taken, so the streams were neither all good nor all rubbish.
  for (const count of Object.values(ends)) expect(count).toBeGreaterThan(50);
  expect(Object.keys(Object.prototype)).toEqual([]);
});
