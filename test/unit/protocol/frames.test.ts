import { expect, test } from 'vitest';
import {
  encodeCredit,
  encodeFrame,
  encodeJson,
  FrameDecoder,
  LIMITS,
  RULES_TO_HOST,
  TO_HOST,
  TO_RUNTIME,
} from '../../../runtime/protocol/frames.ts';

function decode(bytes: Buffer, cuts: number[] = []) {
  const frames: [number, number, string][] = [];
  const decoder = new FrameDecoder(RULES_TO_HOST, (type, call, payload) => {
    frames.push([type, call, payload.toString('latin1')]);
    return null;
  });
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    const problem = decoder.push(bytes.subarray(at, cut));
    if (problem !== null) return { frames, problem };
    at = cut;
  }
  return { frames, problem: null };
}

const STREAM = Buffer.concat([
  encodeJson(TO_HOST.ready, 0, { protocol: 1 }),
  encodeFrame(TO_HOST.body, 7, Buffer.from('abc')),
  encodeFrame(TO_HOST.end, 7),
  encodeCredit(TO_HOST.credit, 0xffff_ffff, 65_536),
]);
const FRAMES = [
  [0x81, 0, '{"protocol":1}'],
  [0x85, 7, 'abc'],
  [0x86, 7, ''],
  [0x89, 0xffff_ffff, '\0\x01\0\0'],
];

test('FrameDecoder gives the same frames for every cut of the stream into two', () => {
  for (let cut = 0; cut <= STREAM.length; cut++)
    expect(decode(STREAM, [cut])).toEqual({ frames: FRAMES, problem: null });
});

test('FrameDecoder gives the same frames byte by byte', () => {
  const cuts = Array.from({ length: STREAM.length - 1 }, (_, at) => at + 1);
  expect(decode(STREAM, cuts)).toEqual({ frames: FRAMES, problem: null });
});

test('FrameDecoder hands on payloads of whole frames without a copy', () => {
  const chunk = encodeFrame(TO_HOST.body, 1, Buffer.from('abc'));
  let seen: Buffer | null = null;
  new FrameDecoder(RULES_TO_HOST, (_type, _call, payload) => {
    seen = payload;
    return null;
  }).push(chunk);
  expect((seen as Buffer | null)?.buffer).toBe(chunk.buffer);
});

test('FrameDecoder stops at the first problem that its handler reports', () => {
  let calls = 0;
  const decoder = new FrameDecoder(RULES_TO_HOST, () => {
    calls += 1;
    return 'no';
  });
  expect(decoder.push(STREAM)).toBe('no');
  expect(calls).toBe(1);
});

const head = (length: number, type: number, call: number) => {
  const bytes = Buffer.alloc(9);
  bytes.writeUInt32BE(length, 0);
  bytes.writeUInt8(type, 4);
  bytes.writeUInt32BE(call, 5);
  return bytes;
};

test.each([
  ['an unknown type', head(0, 0x99, 1), '0x99 is unknown'],
  ['a type of the other direction', head(2, TO_RUNTIME.call, 1), '0x02 is unknown or in the wrong direction'],
  ['a length of 4 GiB', head(0xffff_ffff, TO_HOST.result, 1), 'RESULT has 4294967295 bytes'],
  ['a length one over the limit', head(LIMITS.payloadBytes + 1, TO_HOST.error, 1), 'ERROR has 1048577 bytes'],
  ['an empty BODY', head(0, TO_HOST.body, 1), 'BODY has 0 bytes'],
  ['a BODY over the window', head(LIMITS.windowBytes + 1, TO_HOST.body, 1), 'BODY has 262145 bytes'],
  ['an END with a payload', head(1, TO_HOST.end, 1), 'END has 1 bytes'],
  ['a short CREDIT', head(3, TO_HOST.credit, 1), 'CREDIT has 3 bytes'],
  ['a RESULT of no call', head(2, TO_HOST.result, 0), 'RESULT names no call'],
  ['a READY of a call', head(2, TO_HOST.ready, 3), 'READY names call 3'],
])('FrameDecoder refuses %s at its head, before any payload', (_name, bytes, problem) => {
  expect(decode(bytes).problem).toContain(problem);
});

test('encodeFrame() refuses a payload that no receiver would take', () => {
  expect(() => encodeFrame(TO_RUNTIME.init, 0, Buffer.alloc(LIMITS.payloadBytes + 1))).toThrow(RangeError);
});
