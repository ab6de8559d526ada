/**
 * Frames of the runtime protocol: 9 bytes of head, then the payload (see protocol.md).
 *
 * The decoder reads bytes that hostile code may have written. It never throws: what is
 * wrong comes back as a sentence, and the decoder must not be used again after that.
 */

export const PROTOCOL_VERSION = 1;
export const HEAD_BYTES = 9;

/** Each limit with what it stops. */
export const LIMITS = {
  /** A length that makes the host allocate without bound. */
  payloadBytes: 1_048_576,
  /** A sender that fills the receiver's memory: unacknowledged body bytes of one direction of one call. */
  windowBytes: 262_144,
  /** Credit in crumbs: smallest CREDIT while a body goes on. */
  creditBytes: 65_536,
  /** A body that holds up the frames of other calls: bytes of body in one frame that we send. */
  bodyFrameBytes: 65_536,
  /** Heads that blow up what passes them on. */
  headerCount: 500,
  headerBytes: 262_144,
  /** Texts that end in records and logs. */
  messageChars: 8_192,
  stackChars: 32_768,
  /** Call numbers that ended, of which late frames are dropped instead of being an error. */
  recentCalls: 256,
} as const;

export const TO_RUNTIME = {
  init: 0x01,
  call: 0x02,
  body: 0x03,
  end: 0x04,
  cancel: 0x05,
  credit: 0x06,
  shutdown: 0x07,
} as const;

export const TO_HOST = {
  ready: 0x81,
  initOk: 0x82,
  initError: 0x83,
  result: 0x84,
  body: 0x85,
  end: 0x86,
  error: 0x87,
  log: 0x88,
  credit: 0x89,
} as const;

/** What a receiver accepts of one frame type. */
export interface FrameRule {
  name: string;
  minBytes: number;
  maxBytes: number;
  /** Whether it belongs to the connection (call 0), to a call, or to either. */
  scope: 'connection' | 'call' | 'any';
}

const rule = (name: string, scope: FrameRule['scope'], minBytes: number, maxBytes: number = LIMITS.payloadBytes) => ({
  name,
  scope,
  minBytes,
  maxBytes,
});

export type FrameRules = ReadonlyMap<number, FrameRule>;

export const RULES_TO_HOST: FrameRules = new Map([
  [TO_HOST.ready, rule('READY', 'connection', 2, 4096)],
  [TO_HOST.initOk, rule('INIT_OK', 'connection', 2, 4096)],
  [TO_HOST.initError, rule('INIT_ERROR', 'connection', 2)],
  [TO_HOST.result, rule('RESULT', 'call', 2)],
  [TO_HOST.body, rule('BODY', 'call', 1, LIMITS.windowBytes)],
  [TO_HOST.end, rule('END', 'call', 0, 0)],
  [TO_HOST.error, rule('ERROR', 'call', 2)],
  [TO_HOST.log, rule('LOG', 'any', 1)],
  [TO_HOST.credit, rule('CREDIT', 'call', 4, 4)],
]);

export const RULES_TO_RUNTIME: FrameRules = new Map([
  [TO_RUNTIME.init, rule('INIT', 'connection', 2)],
  [TO_RUNTIME.call, rule('CALL', 'call', 2)],
  [TO_RUNTIME.body, rule('BODY', 'call', 1, LIMITS.windowBytes)],
  [TO_RUNTIME.end, rule('END', 'call', 0, 0)],
  [TO_RUNTIME.cancel, rule('CANCEL', 'call', 0, 0)],
  [TO_RUNTIME.credit, rule('CREDIT', 'call', 4, 4)],
  [TO_RUNTIME.shutdown, rule('SHUTDOWN', 'connection', 0, 0)],
]);

const EMPTY = Buffer.alloc(0);

/** @throws RangeError when the payload is over the limit: nothing the other side would take */
export function encodeFrame(type: number, call: number, payload: Buffer = EMPTY): Buffer {
  if (payload.length > LIMITS.payloadBytes) {
    throw new RangeError(`A frame of ${payload.length} bytes is over the limit of ${LIMITS.payloadBytes}.`);
  }
  const frame = Buffer.allocUnsafe(HEAD_BYTES + payload.length);
  frame.writeUInt32BE(payload.length, 0);
  frame.writeUInt8(type, 4);
  frame.writeUInt32BE(call, 5);
  payload.copy(frame, HEAD_BYTES);
  return frame;
}

export function encodeJson(type: number, call: number, value: object): Buffer {
  return encodeFrame(type, call, Buffer.from(JSON.stringify(value)));
}

export function encodeCredit(type: number, call: number, bytes: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(bytes, 0);
  return encodeFrame(type, call, payload);
}

/**
 * Takes one frame; returns what is wrong with it, or null. `payload` may share memory
 * with the chunk it came in. Must not throw.
 */
export type FrameHandler = (type: number, call: number, payload: Buffer) => string | null;

const hex = (type: number) => `0x${type.toString(16).padStart(2, '0')}`;

/** What is wrong with a frame's head, or null. Checked before a byte of payload is kept. */
function checkHead(rules: FrameRules, length: number, type: number, call: number): string | null {
  const known = rules.get(type);
  if (known === undefined) return `frame type ${hex(type)} is unknown or in the wrong direction`;
  if (length < known.minBytes || length > known.maxBytes) {
    return `${known.name} has ${length} bytes; allowed are ${known.minBytes} to ${known.maxBytes}`;
  }
  if (known.scope === 'connection' && call !== 0)
    return `${known.name} names call ${call}; it belongs to the connection`;
  if (known.scope === 'call' && call === 0) return `${known.name} names no call`;
  return null;
}

/**
 * An incremental decoder: feed it chunks in any cut. Frames that lie within one chunk are
 * handed on without a copy; at most one partial frame is kept, in one buffer of its length.
 */
export class FrameDecoder {
  readonly #rules: FrameRules;
  readonly #onFrame: FrameHandler;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headFilled = 0;
  #payload: Buffer | null = null;
  #payloadFilled = 0;

  constructor(rules: FrameRules, onFrame: FrameHandler) {
    this.#rules = rules;
    this.#onFrame = onFrame;
  }

  /** @returns null, or the first thing that is wrong; the decoder is dead then */
  push(chunk: Buffer): string | null {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payload !== null) {
        at += this.#fillPayload(this.#payload, chunk, at);
        if (this.#payloadFilled < this.#payload.length) return null;
        const problem = this.#emitPartial(this.#payload);
        if (problem !== null) return problem;
        continue;
      }
      const whole = this.#headFilled === 0 && chunk.length - at >= HEAD_BYTES;
      if (!whole) {
        const taken = chunk.copy(this.#head, this.#headFilled, at, at + HEAD_BYTES - this.#headFilled);
        at += taken;
        this.#headFilled += taken;
        if (this.#headFilled < HEAD_BYTES) return null;
      }
      const head = whole ? chunk : this.#head;
      const headAt = whole ? at : 0;
      if (whole) at += HEAD_BYTES;
      const length = head.readUInt32BE(headAt);
      const type = head.readUInt8(headAt + 4);
      const call = head.readUInt32BE(headAt + 5);
      const problem = checkHead(this.#rules, length, type, call);
      if (problem !== null) return problem;
      if (chunk.length - at >= length) {
        this.#headFilled = 0;
        const wrong = this.#onFrame(type, call, length === 0 ? EMPTY : chunk.subarray(at, at + length));
        if (wrong !== null) return wrong;
        at += length;
      } else {
        if (whole) chunk.copy(this.#head, 0, headAt, headAt + HEAD_BYTES);
        this.#headFilled = HEAD_BYTES;
        this.#payload = Buffer.allocUnsafe(length);
        this.#payloadFilled = 0;
      }
    }
    return null;
  }

  #fillPayload(payload: Buffer, chunk: Buffer, at: number): number {
    const taken = chunk.copy(payload, this.#payloadFilled, at, at + payload.length - this.#payloadFilled);
    this.#payloadFilled += taken;
    return taken;
  }

  #emitPartial(payload: Buffer): string | null {
    this.#payload = null;
    this.#headFilled = 0;
    return this.#onFrame(this.#head.readUInt8(4), this.#head.readUInt32BE(5), payload);
  }
}
