/** Bodies that anybody may send: read whole, but together never more than a budget. */
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WaferError } from '../../core/errors.ts';

export interface BodyBudget {
  /** Before the body is read: what is read of it counts until the answer is out. */
  watch(request: FastifyRequest, reply: FastifyReply): void;
  /** @throws WaferError `payload_too_large`, `overloaded` when others hold the budget, `invalid_request` when it was cut off */
  read(request: FastifyRequest, payload: IncomingMessage): Promise<Buffer>;
}

interface Hold {
  bytes: number;
  isOver: boolean;
}

export function createBodyBudget(most: { bodyBytes: number; allBytes: number }): BodyBudget {
  const holds = new WeakMap<FastifyRequest, Hold>();
  let held = 0;
  const take = (hold: Hold, bytes: number): void => {
    if (hold.isOver) return;
    if (hold.bytes + bytes > most.bodyBytes) throw tooLarge(most.bodyBytes);
    if (held + bytes > most.allBytes) throw new WaferError('overloaded', 'Too many bodies are being read at once.');
    hold.bytes += bytes;
    held += bytes;
  };
  return {
    watch(request, reply) {
      const hold: Hold = { bytes: 0, isOver: false };
      holds.set(request, hold);
      reply.raw.once('close', () => {
        held -= hold.bytes;
        hold.isOver = true;
      });
    },
    async read(request, payload) {
      const hold = holds.get(request);
      if (hold === undefined) throw new Error('a body is watched before it is read');
      if (Number(request.headers['content-length'] ?? 0) > most.bodyBytes) throw tooLarge(most.bodyBytes);
      return collect(payload, (bytes) => take(hold, bytes));
    },
  };
}

const tooLarge = (bytes: number) => new WaferError('payload_too_large', `A body has at most ${bytes} bytes here.`);

/** What is left when `take` throws flows away unread, so that the answer gets out. */
function collect(payload: IncomingMessage, take: (bytes: number) => void): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const fail = (error: unknown) => {
      payload.off('data', add);
      payload.resume();
      reject(error);
    };
    const add = (chunk: Buffer) => {
      try {
        take(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        fail(error);
      }
    };
    payload.on('data', add);
    payload.once('end', () => resolve(Buffer.concat(chunks)));
    payload.once('error', (cause) =>
      fail(new WaferError('invalid_request', 'The connection ended within the body.', { cause })),
    );
  });
}
