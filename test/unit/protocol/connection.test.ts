import { Readable } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { encodeCredit, encodeFrame, LIMITS, TO_HOST, TO_RUNTIME } from '../../../runtime/protocol/frames.ts';
import { type RuntimeCall, takeWhole } from '../../../runtime/protocol/index.ts';
import { callEvent, openBound, openPeer, type Peer, READY, SETTINGS } from './peer.ts';

const open: Peer[] = [];
const keep = (peer: Peer) => {
  open.push(peer);
  return peer;
};
const bound = async (settings = {}) => keep(await openBound(settings));

afterEach(() => {
  for (const peer of open.splice(0)) {
    peer.runtime.destroy();
    peer.socket.destroy();
  }
});

async function bodyOf(call: RuntimeCall) {
  const head = await call.head;
  if (head.kind === 'error') throw new Error(head.message);
  return head.body;
}

async function readAll(body: Readable) {
  const parts: Buffer[] = [];
  for await (const part of body) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

const log = (stream: number, text: string) => Buffer.concat([Buffer.of(stream), Buffer.from(text)]);
const VALUE = { kind: 'value', contentType: 'application/json' };
/** Makes sure that the host has handled all that was sent before. */
async function settled(peer: Peer) {
  const count = peer.logs.length;
  peer.send(TO_HOST.log, 0, log(1, 'mark'));
  while (peer.logs.length === count) await new Promise((resolve) => setImmediate(resolve));
}

describe('boot', () => {
  test('ready gives the runtime and init passes the settings on', async () => {
    const peer = keep(await openPeer());
    peer.send(TO_HOST.ready, 0, READY);
    expect(await peer.runtime.ready).toEqual({ runtime: 'node', runtimeVersion: '24.0.0' });
    const init = peer.runtime.init(SETTINGS);
    expect(JSON.parse((await peer.frame(TO_RUNTIME.init)).payload.toString())).toEqual(SETTINGS);
    peer.send(TO_HOST.initOk, 0, {});
    expect(await init).toEqual({ kind: 'ok' });
  });

  test('INIT_ERROR is a value', async () => {
    const peer = keep(await openPeer());
    peer.send(TO_HOST.ready, 0, READY);
    await peer.runtime.ready;
    const init = peer.runtime.init(SETTINGS);
    peer.send(TO_HOST.initError, 0, { code: 'handler_not_found', message: 'no such file' });
    expect(await init).toEqual({ kind: 'error', code: 'handler_not_found', message: 'no such file' });
  });

  test('ready rejects and init is connection_closed when the runtime dies first', async () => {
    const first = keep(await openPeer());
    first.socket.destroy();
    await expect(first.runtime.ready).rejects.toMatchObject({ name: 'RuntimeGoneError', reason: 'closed' });
    const second = keep(await openPeer());
    second.send(TO_HOST.ready, 0, READY);
    await second.runtime.ready;
    const init = second.runtime.init(SETTINGS);
    second.socket.destroy();
    expect(await init).toMatchObject({ kind: 'error', code: 'connection_closed' });
  });
});

describe('calls', () => {
  test('of one turn of the loop arrive whole and in order, and what is said after them behind them', async () => {
    const peer = await bound();
    const bodies = ['1', '22', '333'].map((text) => Buffer.from(text));
    for (const body of bodies) callEvent(peer, body);
    peer.runtime.shutdown();
    await peer.frame(TO_RUNTIME.shutdown);
    const { call, body, end, shutdown } = TO_RUNTIME;
    const sent = peer.frames.filter(({ type }) => type !== TO_RUNTIME.init);
    expect(sent.map(({ type }) => type)).toEqual([call, body, end, call, body, end, call, body, end, shutdown]);
    expect(sent.filter(({ type }) => type === body).map(({ payload }) => payload)).toEqual(bodies);
    for (const again of bodies) callEvent(peer, again);
    expect((await peer.frame(TO_RUNTIME.end, 6)).call).toBe(6);
  });

  test('end when the connection is closed in the turn in which they began', async () => {
    const peer = await bound();
    const calls = [callEvent(peer), callEvent(peer), callEvent(peer)];
    peer.runtime.destroy();
    const ends = await Promise.all(calls.map(({ ended }) => ended));
    expect(ends).toEqual(new Array(3).fill(expect.objectContaining({ code: 'connection_closed' })));
  });

  test('have an answer that can be taken as bytes when it has come whole, and only then', async () => {
    const peer = await bound();
    const [whole, partial, cut] = [callEvent(peer), callEvent(peer), callEvent(peer)];
    for (const call of [1, 2, 3]) peer.send(TO_HOST.result, call, VALUE);
    for (const text of ['a', 'b', 'c']) peer.send(TO_HOST.body, 1, Buffer.from(text));
    peer.send(TO_HOST.body, 2, Buffer.from('a'));
    peer.send(TO_HOST.body, 3, Buffer.from('a'));
    peer.send(TO_HOST.end, 1);
    peer.send(TO_HOST.error, 3, { code: 'function_error', message: 'no' });
    await settled(peer);
    expect(takeWhole(await bodyOf(whole))?.toString()).toBe('abc');
    expect(takeWhole(await bodyOf(partial))).toBeNull();
    expect(takeWhole(await bodyOf(cut))).toBeNull();
    peer.send(TO_HOST.end, 2);
    expect(await readAll(await bodyOf(partial))).toBe('a');
  });

  test('have an answer that can not be taken once somebody reads it', async () => {
    const peer = await bound();
    const body = await (async () => {
      const call = callEvent(peer);
      peer.send(TO_HOST.result, 1, VALUE);
      return bodyOf(call);
    })();
    const read = readAll(body);
    peer.send(TO_HOST.body, 1, Buffer.from('a'));
    peer.send(TO_HOST.end, 1);
    await settled(peer);
    expect(takeWhole(body)).toBeNull();
    expect(await read).toBe('a');
  });

  test('a small call goes out as CALL, BODY, END and its answer comes back', async () => {
    const peer = await bound();
    const call = callEvent(peer, Buffer.from('{"a":1}'));
    expect(peer.runtime.inFlight).toBe(1);
    await peer.frame(TO_RUNTIME.end, 1);
    expect(peer.frames.slice(1).map(({ type }) => type)).toEqual([TO_RUNTIME.call, TO_RUNTIME.body, TO_RUNTIME.end]);
    peer.send(TO_HOST.result, 1, VALUE);
    peer.send(TO_HOST.body, 1, Buffer.from('[2]'));
    peer.send(TO_HOST.end, 1);
    expect(await readAll(await bodyOf(call))).toBe('[2]');
    expect(await call.ended).toEqual({ kind: 'ok', bytes: 3 });
    expect(peer.runtime.inFlight).toBe(0);
  });

  test('an empty body is END only', async () => {
    const peer = await bound();
    callEvent(peer, Buffer.alloc(0));
    await peer.frame(TO_RUNTIME.end, 1);
    expect(peer.frames.slice(1).map(({ type }) => type)).toEqual([TO_RUNTIME.call, TO_RUNTIME.end]);
  });

  test('an ERROR after RESULT cuts the body and ends the call with it', async () => {
    const peer = await bound();
    const call = callEvent(peer);
    peer.send(TO_HOST.result, 1, VALUE);
    peer.send(TO_HOST.body, 1, Buffer.from('half'));
    const body = await bodyOf(call);
    peer.send(TO_HOST.error, 1, { code: 'function_error', message: 'broke' });
    await expect(readAll(body)).rejects.toThrow('broke');
    expect(await call.ended).toEqual({ kind: 'error', code: 'function_error', message: 'broke' });
  });

  test('calls in flight end as connection_closed when the socket closes, with and without a head', async () => {
    const peer = await bound();
    const early = callEvent(peer);
    const late = callEvent(peer);
    peer.send(TO_HOST.result, 2, VALUE);
    const body = await bodyOf(late);
    peer.socket.destroy();
    expect(await early.head).toMatchObject({ kind: 'error', code: 'connection_closed' });
    expect(await early.ended).toMatchObject({ kind: 'error', code: 'connection_closed' });
    expect(await late.ended).toMatchObject({ kind: 'error', code: 'connection_closed' });
    await expect(readAll(body)).rejects.toThrow();
    expect(await peer.closed).toMatchObject({ reason: 'closed' });
    expect(peer.runtime.closed).toBe(true);
  });

  test('a call on a closed connection is connection_closed at once', async () => {
    const peer = await bound();
    peer.runtime.destroy();
    expect(await callEvent(peer).head).toMatchObject({ code: 'connection_closed' });
    expect(peer.closes).toHaveLength(1);
  });

  test('a cut body that nobody reads does not take the host down', async () => {
    const peer = await bound();
    const call = callEvent(peer);
    peer.send(TO_HOST.result, 1, VALUE);
    await call.head;
    peer.socket.destroy();
    await call.ended;
    await new Promise((resolve) => setImmediate(resolve));
  });

  test('abort sends CANCEL once, stops the body, and drops the late answer', async () => {
    const peer = await bound();
    const abort = new AbortController();
    const source = new Readable({ read() {} });
    const call = callEvent(peer, source, abort.signal);
    source.push('first');
    await peer.frame(TO_RUNTIME.body, 1);
    abort.abort();
    source.push('second');
    source.push(null);
    await peer.frame(TO_RUNTIME.cancel, 1);
    peer.send(TO_HOST.result, 1, VALUE);
    peer.send(TO_HOST.body, 1, Buffer.alloc(LIMITS.windowBytes));
    expect((await peer.frame(TO_RUNTIME.credit, 1)).payload.readUInt32BE(0)).toBe(LIMITS.windowBytes);
    peer.send(TO_HOST.end, 1);
    expect(await call.ended).toMatchObject({ kind: 'ok' });
    await expect(readAll(await bodyOf(call))).rejects.toThrow('cancelled');
    const types = peer.frames.filter(({ call: number }) => number === 1).map(({ type }) => type);
    expect(types).toEqual([TO_RUNTIME.call, TO_RUNTIME.body, TO_RUNTIME.cancel, TO_RUNTIME.credit]);
  });

  test('a signal that was aborted before cancels the call', async () => {
    const peer = await bound();
    callEvent(peer, null, AbortSignal.abort());
    await peer.frame(TO_RUNTIME.cancel, 1);
  });

  test('late frames of a call that ended are dropped', async () => {
    const peer = await bound();
    const call = callEvent(peer, Buffer.from('1'));
    peer.send(TO_HOST.error, 1, { code: 'function_error', message: 'no' });
    await call.ended;
    peer.send(TO_HOST.credit, 1, Buffer.of(0, 0, 0, 1));
    peer.send(TO_HOST.log, 1, log(1, 'late'));
    await settled(peer);
    expect(peer.closes).toEqual([]);
    expect(peer.logs[0]).toEqual({ call: 0, id: undefined, stream: 'stdout', text: 'late' });
  });

  test('log lines carry the invocation of their call', async () => {
    const peer = await bound();
    callEvent(peer);
    peer.send(TO_HOST.log, 1, log(2, 'grüße'));
    peer.send(TO_HOST.log, 0, log(1, ''));
    await settled(peer);
    expect(peer.logs.slice(0, 2)).toEqual([
      { call: 1, id: 'i1', stream: 'stderr', text: 'grüße' },
      { call: 0, id: undefined, stream: 'stdout', text: '' },
    ]);
  });

  test('shutdown asks the runtime to end', async () => {
    const peer = await bound();
    peer.runtime.shutdown();
    await peer.frame(TO_RUNTIME.shutdown, 0);
  });
});

describe('flow control', () => {
  const bodyBytes = (peer: Peer) =>
    peer.frames.filter(({ type }) => type === TO_RUNTIME.body).reduce((sum, { payload }) => sum + payload.length, 0);

  test.each([
    ['a buffer', Buffer.alloc(1_000_000)],
    ['a stream', Readable.from([Buffer.alloc(1_000_000)], { objectMode: false })],
  ])('the request body of %s stops at the window and goes on with credit', async (_name, body) => {
    const peer = await bound();
    callEvent(peer, body);
    while (bodyBytes(peer) < LIMITS.windowBytes) await new Promise((resolve) => setImmediate(resolve));
    callEvent(peer, Buffer.from('1'));
    await peer.frame(TO_RUNTIME.end, 2);
    expect(bodyBytes(peer)).toBe(LIMITS.windowBytes + 1);
    let allowed = LIMITS.windowBytes + 1;
    while (!peer.frames.some(({ type, call }) => type === TO_RUNTIME.end && call === 1)) {
      const before = bodyBytes(peer);
      expect(before).toBeLessThanOrEqual(allowed);
      allowed += 70_001;
      peer.socket.write(encodeCredit(TO_HOST.credit, 1, 70_001));
      while (
        bodyBytes(peer) === before &&
        !peer.frames.some(({ type, call }) => type === TO_RUNTIME.end && call === 1)
      ) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    expect(bodyBytes(peer)).toBe(1_000_001);
    for (const { type, payload } of peer.frames) {
      if (type === TO_RUNTIME.body) expect(payload.length).toBeLessThanOrEqual(LIMITS.bodyFrameBytes);
    }
  });

  test('credit goes out as the result is read, not as it arrives', async () => {
    const peer = await bound();
    const call = callEvent(peer);
    peer.send(TO_HOST.result, 1, VALUE);
    for (let sent = 0; sent < LIMITS.windowBytes; sent += 32_768) peer.send(TO_HOST.body, 1, Buffer.alloc(32_768));
    const body = await bodyOf(call);
    await settled(peer);
    const credited = () =>
      peer.frames.filter(({ type }) => type === TO_RUNTIME.credit).map(({ payload }) => payload.readUInt32BE(0));
    expect(credited().reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(2 * LIMITS.creditBytes);
    let size = 0;
    body.on('data', (chunk: Buffer) => {
      size += chunk.length;
    });
    while (size < LIMITS.windowBytes) await new Promise((resolve) => setImmediate(resolve));
    while (credited().reduce((sum, bytes) => sum + bytes, 0) < LIMITS.windowBytes) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const bytes of credited()) expect(bytes).toBeGreaterThanOrEqual(LIMITS.creditBytes);
  });

  test('a reader that goes away cancels the call and opens the window for the rest', async () => {
    const peer = await bound();
    const call = callEvent(peer);
    peer.send(TO_HOST.result, 1, VALUE);
    peer.send(TO_HOST.body, 1, Buffer.alloc(200_000));
    const body = await bodyOf(call);
    await settled(peer);
    body.destroy();
    await peer.frame(TO_RUNTIME.cancel, 1);
    await peer.frame(TO_RUNTIME.credit, 1);
    peer.send(TO_HOST.end, 1);
    expect(await call.ended).toEqual({ kind: 'ok', bytes: 200_000 });
  });

  test('a request body that fails cancels the call', async () => {
    const peer = await bound();
    const source = new Readable({ read() {} });
    callEvent(peer, source);
    source.destroy(new Error('gone'));
    await peer.frame(TO_RUNTIME.cancel, 1);
  });

  test('a call that ends first leaves the rest of its request body unread and undestroyed', async () => {
    const peer = await bound();
    const source = new Readable({ read() {} });
    const call = callEvent(peer, source);
    peer.send(TO_HOST.error, 1, { code: 'function_error', message: 'no' });
    await call.ended;
    source.push('rest');
    expect(source.destroyed).toBe(false);
    expect(source.read()?.toString()).toBe('rest');
    source.destroy(new Error('must not crash the host'));
    await new Promise((resolve) => setImmediate(resolve));
  });

  test('a body of one-byte frames is held in few pieces', async () => {
    const peer = await bound();
    const call = callEvent(peer);
    const frames = [encodeFrame(TO_HOST.result, 1, Buffer.from(JSON.stringify(VALUE)))];
    for (let at = 0; at < 5_000; at++) frames.push(encodeFrame(TO_HOST.body, 1, Buffer.from('x')));
    frames.push(encodeFrame(TO_HOST.end, 1));
    peer.socket.write(Buffer.concat(frames));
    await call.ended;
    expect(await readAll(await bodyOf(call))).toBe('x'.repeat(5_000));
  });
});

describe('hostile runtimes', () => {
  const result = (fields: object) => (peer: Peer) => peer.send(TO_HOST.result, 1, fields);
  const raw = (bytes: Buffer) => (peer: Peer) => void peer.socket.write(bytes);
  const answered = (then: (peer: Peer) => void) => (peer: Peer) => {
    peer.send(TO_HOST.result, 1, VALUE);
    then(peer);
  };
  const attacks: [string, (peer: Peer) => void, string][] = [
    ['a second READY', (peer) => peer.send(TO_HOST.ready, 0, READY), 'second READY'],
    ['a second INIT_OK', (peer) => peer.send(TO_HOST.initOk, 0, {}), 'INIT_OK'],
    [
      'a late INIT_ERROR',
      (peer) => peer.send(TO_HOST.initError, 0, { code: 'handler_not_found', message: '' }),
      'INIT_ERROR',
    ],
    ['a frame of the host', (peer) => peer.send(TO_RUNTIME.call, 9, {}), 'wrong direction'],
    ['a result of an unknown call', (peer) => peer.send(TO_HOST.result, 99, VALUE), 'unknown call 99'],
    ['a log of an unknown call', (peer) => peer.send(TO_HOST.log, 99, log(1, 'x')), 'unknown call 99'],
    ['a log of no stream', (peer) => peer.send(TO_HOST.log, 0, log(3, 'x')), 'no stream'],
    ['a log of two lines', (peer) => peer.send(TO_HOST.log, 0, log(1, 'a\nforged')), 'more than one line'],
    ['a log over the limit', (peer) => peer.send(TO_HOST.log, 0, log(1, 'x'.repeat(104))), 'line of 104 bytes'],
    ['a body before the result', (peer) => peer.send(TO_HOST.body, 1, Buffer.from('x')), 'before its RESULT'],
    ['an end before the result', (peer) => peer.send(TO_HOST.end, 1), 'before its RESULT'],
    ['a second result', answered((peer) => peer.send(TO_HOST.result, 1, VALUE)), 'second RESULT'],
    [
      'more credit than bytes',
      (peer) => peer.send(TO_HOST.credit, 1, Buffer.of(255, 255, 255, 255)),
      'CREDIT of 4294967295',
    ],
    ['a header that splits', result({ kind: 'http', status: 200, headers: [['a', 'b\r\nc: d']] }), 'invalid value'],
    ['a status of 1000', result({ kind: 'http', status: 1000, headers: [] }), 'status'],
    ['no JSON', raw(encodeFrame(TO_HOST.result, 1, Buffer.from('nope'))), 'not valid JSON'],
    ['a prototype', raw(encodeFrame(TO_HOST.result, 1, Buffer.from('{"__proto__":{}}'))), '__proto__'],
    [
      'more than the window',
      answered((peer) => {
        // The stream buffers 64 KiB of these and credits them; nobody reads the rest.
        for (let at = 0; at < 12; at++) peer.send(TO_HOST.body, 1, Buffer.alloc(32_768));
      }),
      'window',
    ],
    ['a frame of 4 GiB', raw(Buffer.from([255, 255, 255, 255, TO_HOST.result, 0, 0, 0, 1])), 'RESULT has 4294967295'],
  ];

  test.each(attacks)('%s is a protocol_error that ends everything', async (_name, attack, problem) => {
    const peer = await bound();
    const call = callEvent(peer, Buffer.from('1'));
    await peer.frame(TO_RUNTIME.end, 1);
    attack(peer);
    expect(await peer.closed).toMatchObject({ reason: 'protocol_error', message: expect.stringContaining(problem) });
    expect(await call.ended).toMatchObject({ kind: 'error', code: 'protocol_error' });
    expect(peer.runtime.inFlight).toBe(0);
    expect(peer.closes).toHaveLength(1);
  });

  test('a value over maxResultBytes is a protocol_error even in a cancelled call', async () => {
    const peer = await bound({ maxResultBytes: 1000 });
    const call = callEvent(peer);
    peer.send(TO_HOST.result, 1, VALUE);
    peer.send(TO_HOST.body, 1, Buffer.alloc(1001));
    expect(await call.ended).toMatchObject({ code: 'protocol_error', message: expect.stringContaining('1000') });
  });

  test.each([
    ['a frame before READY', (peer: Peer) => peer.send(TO_HOST.log, 0, log(1, 'x'))],
    ['READY of another protocol', (peer: Peer) => peer.send(TO_HOST.ready, 0, { ...READY, protocol: 2 })],
    ['something else than frames', (peer: Peer) => void peer.socket.write('GET / HTTP/1.1\r\n\r\n')],
  ])('%s is a protocol_error and ready rejects', async (_name, attack) => {
    const peer = keep(await openPeer());
    attack(peer);
    await expect(peer.runtime.ready).rejects.toMatchObject({ reason: 'protocol_error' });
  });

  test('INIT_OK before INIT is a protocol_error', async () => {
    const peer = keep(await openPeer());
    peer.send(TO_HOST.ready, 0, READY);
    peer.send(TO_HOST.initOk, 0, {});
    expect(await peer.closed).toMatchObject({ reason: 'protocol_error' });
  });
});
