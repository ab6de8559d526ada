/** From the dispatcher's reply to the caller's HTTP answer. */
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { coerceError, WaferError } from '../../core/errors.ts';
import type { CallReply, CallResult, Failure } from '../../core/invocations/types.ts';
import { answerHeaders, isHeaderValue } from './headers.ts';
import { receiptHeaders, setReceipt } from './receipt.ts';

type HttpResult = Extract<CallResult, { kind: 'http' }>;
type ValueResult = Extract<CallResult, { kind: 'value' }>;

export interface AnswerContext {
  request: FastifyRequest;
  reply: FastifyReply;
  invocationId: string;
  /** Gets what was wrong with the function's answer, one sentence; goes into the function's log. */
  note: (text: string) => void;
  resultBytes: number;
}

/** @throws WaferError with the code of the guest's failure */
export async function sendAnswer(call: CallReply, context: AnswerContext): Promise<FastifyReply> {
  const { result } = call;
  if (result.kind === 'value') return sendValue(call, result, context);
  if (result.kind === 'http') return sendHttp(call, result, context);
  setReceipt(context.reply, (await call.done).receipt);
  throw failureError(result.failure);
}

export function failureError({ kind, message, errorType, stack }: Failure): WaferError {
  const details = { ...(errorType === undefined ? {} : { errorType }), ...(stack === undefined ? {} : { stack }) };
  return new WaferError(kind, message, Object.keys(details).length === 0 ? {} : { details });
}

/** Values are small, so they are awaited: the timings are complete and a cut result becomes an error. */
async function sendValue(call: CallReply, result: ValueResult, context: AnswerContext): Promise<FastifyReply> {
  const { reply, resultBytes } = context;
  const read = await readAll(result.body, resultBytes);
  const end = await call.done;
  setReceipt(reply, end.receipt);
  if (read === 'too_large') throw new WaferError('result_too_large', `The result is larger than ${resultBytes} bytes.`);
  if (end.outcome.kind !== 'ok') throw failureError(end.outcome);
  if (read instanceof Error) throw read;
  const type = isHeaderValue(result.contentType) ? result.contentType : 'application/octet-stream';
  reply.header('content-type', type).header('content-length', String(read.length));
  return reply.send(isSmall(read) ? read : Readable.from(chunks(read)));
}

/** Larger bodies go out in pieces, so that a slow reader can be told from one that has stopped. */
const CHUNK_BYTES = 64 * 1024;

function* chunks(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

/** An error is returned: what `done` says about it comes first. */
async function readAll(body: Buffer | Readable, limit: number): Promise<Buffer | Error | 'too_large'> {
  if (Buffer.isBuffer(body)) return body.length > limit ? 'too_large' : body;
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of body) {
      size += (part as Buffer).length;
      if (size > limit) return 'too_large';
      parts.push(part as Buffer);
    }
    return Buffer.concat(parts, size);
  } catch (error) {
    return coerceError(error);
  }
}

/**
 * Streamed as it comes; the timings are those at the head. Past fastify, because a
 * function's headers go out as they are: with duplicates, in order, and none added.
 */
async function sendHttp(call: CallReply, result: HttpResult, context: AnswerContext): Promise<FastifyReply> {
  const { request, reply, invocationId, note } = context;
  const { status } = result;
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    readAway(result.body);
    setReceipt(reply, call.receipt);
    throw new WaferError('protocol_error', `The function answered with the HTTP status ${String(status)}.`, {
      hint: 'An HTTP status is a whole number from 200 to 599.',
    });
  }
  const { headers, invalid, contentLength } = answerHeaders(result.headers);
  if (invalid.length > 0) note(`These headers of the answer were left out, they are not valid: ${invalid.join(', ')}`);
  const silent = request.method === 'HEAD' || status === 204 || status === 205 || status === 304;
  const own: [string, string][] = [['x-wafer-invocation', invocationId], ...receiptHeaders(call.receipt)];
  if (!silent && isSmall(result.body) && (contentLength ?? result.body.length) === result.body.length)
    return sendSmall(call, { status, headers, body: result.body }, context);
  const length = lengthHeader(status, request.method, contentLength);
  reply.hijack();
  reply.raw.writeHead(status, [...headers, ...length, ...own].flat());
  if (silent) return sendNothing(result.body, reply);
  reply.raw.flushHeaders();
  await pipeline(asStream(result.body), checkedBody(call, contentLength), reply.raw).catch((error: unknown) => {
    // The head is out: the only way left to say "not complete" is to cut the connection, which pipeline did.
    request.log.debug({ err: error, invocation: invocationId }, 'an answer was cut');
  });
  return reply;
}

const isSmall = (body: Buffer | Readable): body is Buffer => Buffer.isBuffer(body) && body.length <= CHUNK_BYTES;

/** An answer that came whole with its head goes out in one piece; the call has ended well. */
async function sendSmall(
  call: CallReply,
  { status, headers, body }: { status: number; headers: [string, string][]; body: Buffer },
  { reply, invocationId }: AnswerContext,
): Promise<FastifyReply> {
  const { receipt } = await call.done;
  const own: [string, string][] = [['x-wafer-invocation', invocationId], ...receiptHeaders(receipt)];
  reply.hijack();
  reply.raw.writeHead(status, [...headers, ['content-length', String(body.length)], ...own].flat());
  reply.raw.end(body);
  return reply;
}

const asStream = (body: Buffer | Readable) => (Buffer.isBuffer(body) ? Readable.from(chunks(body)) : body);

/** HEAD and 304 may tell the length of what they do not send. */
function lengthHeader(status: number, method: string, length: number | null): [string, string][] {
  if (status === 205 && method !== 'HEAD') return [['content-length', '0']];
  return length === null || status === 204 ? [] : [['content-length', String(length)]];
}

function sendNothing(body: Buffer | Readable, reply: FastifyReply): FastifyReply {
  readAway(body);
  reply.raw.end();
  return reply;
}

/** Not destroyed: the function's call has to end well. */
function readAway(body: Buffer | Readable): void {
  if (Buffer.isBuffer(body)) return;
  body.on('error', () => {});
  body.resume();
}

/** A length that is not kept would shift the next answer on this connection; a failed call must not look complete. */
function checkedBody(call: CallReply, contentLength: number | null): Transform {
  let left = contentLength ?? Number.POSITIVE_INFINITY;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      left -= chunk.length;
      if (left < 0) done(new Error('the function sent more than its content-length'));
      else done(null, chunk);
    },
    flush(done) {
      if (contentLength !== null && left !== 0)
        return done(new Error('the function sent less than its content-length'));
      call.done.then(({ outcome }) => done(outcome.kind === 'ok' ? null : failureError(outcome)), done);
    },
  });
}
