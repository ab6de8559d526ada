/**
 * Frames of the engine's control protocol (../engine/protocol.md):
 * `u32 length | u32 request id | NUL-terminated key=value strings`.
 */

export const MAX_FRAME_BYTES = 1 << 20;

/** Keys may repeat; `get` gives the first, `all` every one in order. */
export class Fields {
  readonly #pairs: readonly (readonly [string, string])[];
  constructor(pairs: readonly (readonly [string, string])[]) {
    this.#pairs = pairs;
  }
  get(key: string): string | undefined {
    return this.#pairs.find(([name]) => name === key)?.[1];
  }
  all(key: string): string[] {
    return this.#pairs.filter(([name]) => name === key).map(([, value]) => value);
  }
  number(key: string): number | null {
    const value = this.get(key);
    return value === undefined || value === '' ? null : Number(value);
  }
  /** Numeric fields `us_<name>` as `{name: microseconds}`. */
  timings(): Record<string, number> {
    const found = this.#pairs.filter(([key]) => key.startsWith('us_'));
    return Object.fromEntries(found.map(([key, value]) => [key.slice(3), Number(value)]));
  }
}

export type Pair = readonly [key: string, value: string | number];

/** @throws RangeError when a value holds NUL or the frame would be too long: the engine must never see a torn field */
export function encodeFrame(requestId: number, pairs: readonly Pair[]): Buffer {
  const text = pairs.map(([key, value]) => `${key}=${value}`);
  const torn = text.find((field) => field.includes('\0'));
  if (torn !== undefined) throw new RangeError(`field ${torn.slice(0, torn.indexOf('='))} holds a NUL byte`);
  const body = Buffer.from(text.map((field) => `${field}\0`).join(''));
  if (body.length > MAX_FRAME_BYTES) throw new RangeError(`engine request of ${body.length} bytes is too long`);
  const head = Buffer.allocUnsafe(8);
  head.writeUInt32BE(body.length, 0);
  head.writeUInt32BE(requestId, 4);
  return Buffer.concat([head, body]);
}

export interface EngineFrame {
  requestId: number;
  fields: Fields;
}

/** Collects socket chunks into frames. @throws RangeError on a length no engine sends */
export function frameReader(onFrame: (frame: EngineFrame) => void): (chunk: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0);
  return (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= 8) {
      const length = pending.readUInt32BE(0);
      if (length > MAX_FRAME_BYTES) throw new RangeError(`engine frame of ${length} bytes`);
      if (pending.length < 8 + length) return;
      onFrame({ requestId: pending.readUInt32BE(4), fields: parseFields(pending.subarray(8, 8 + length)) });
      pending = pending.subarray(8 + length);
    }
  };
}

function parseFields(body: Buffer): Fields {
  const strings = body.toString('utf8').split('\0').slice(0, -1);
  return new Fields(
    strings.map((text) => {
      const equals = text.indexOf('=');
      return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}
