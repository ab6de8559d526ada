/** The session protocol; docs/containers.md describes it for clients. */

import type { TerminalSize } from '../../core/containers/types.ts';
import { WaferError } from '../../core/errors.ts';

export const SUBPROTOCOL = 'wafer.session.v1';

/** First byte of every binary message. */
export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, end: 3, resize: 4 } as const;

export const frame = (channel: number, bytes: Buffer | string): Buffer =>
  Buffer.concat([Buffer.of(channel), typeof bytes === 'string' ? Buffer.from(bytes) : bytes]);

export type ClientMessage =
  | { type: 'stdin'; bytes: Buffer }
  | { type: 'end_of_stdin' }
  | { type: 'resize'; size: TerminalSize };

const broken = (problem: string) =>
  new WaferError('invalid_request', `The client broke the protocol ${SUBPROTOCOL}: ${problem}.`);

/** @throws WaferError `invalid_request` */
export function parseMessage(message: Buffer, isBinary: boolean): ClientMessage {
  if (!isBinary) throw broken('a text message where only binary ones are expected');
  const bytes = message.subarray(1);
  switch (message[0]) {
    case CHANNEL.stdin:
      return bytes.length === 0 ? { type: 'end_of_stdin' } : { type: 'stdin', bytes };
    case CHANNEL.resize:
      return { type: 'resize', size: parseSize(bytes) };
    case undefined:
      throw broken('an empty message');
    default:
      throw broken(`a message on channel ${message[0]}`);
  }
}

const MAX_SIDE = 65_535;
const isSide = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_SIDE;

function parseSize(bytes: Buffer): TerminalSize {
  const { rows, columns } = (parseObject(bytes) ?? {}) as { rows?: unknown; columns?: unknown };
  if (isSide(rows) && isSide(columns)) return { rows, columns };
  throw broken('a resize without rows and columns from 1 to 65535');
}

export function parseObject(bytes: Buffer): object | null {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null ? value : null;
  } catch {
    return null;
  }
}
