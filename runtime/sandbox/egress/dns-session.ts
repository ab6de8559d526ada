/**
 * The name service of one sandbox, over the relay's framed connection:
 * `u32 query id | u16 length | DNS message` both ways.
 *
 * Nothing is looked up here. A name that the policy allows gets its synthetic
 * address; the real look-up happens on the host at connect. So names can not carry
 * data out, and a slow resolver can not be felt here.
 */
import type { Duplex } from 'node:stream';
import { DNS_CODE, DNS_TYPE, decodeQuery, encodeReply } from './dns-message.ts';
import type { NameTable } from './names.ts';
import { normaliseName, type Policy } from './rules.ts';

const FRAME_HEAD = 6;
const MAX_QUERY = 4096;
/** Answers that the relay does not take are dropped, as UDP may be. */
const MAX_UNSENT = 256 * 1024;
const RATE = { perSecond: 200, burst: 400 };

export interface DnsContext {
  policy: Policy;
  /** The sandbox that a name means, before any policy. */
  peers: (name: string) => string | null;
  names: NameTable;
  /** Told about each refused name. */
  onRefused: (name: string, reason: string) => void;
  /** Milliseconds, monotonic. */
  now: () => number;
}

/** Owns `duplex`: ends it when the relay ends, destroys it at a malformed frame. */
export function serveDns(duplex: Duplex, context: DnsContext): void {
  const allow = createBucket(RATE, context.now);
  let pending: Buffer = Buffer.alloc(0);
  duplex.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= FRAME_HEAD) {
      const size = pending.readUInt16BE(4);
      if (size > MAX_QUERY) return void duplex.destroy();
      if (pending.length < FRAME_HEAD + size) return;
      const reply = answer(pending.subarray(FRAME_HEAD, FRAME_HEAD + size), context, allow);
      if (reply !== null && duplex.writableLength < MAX_UNSENT) send(duplex, pending.readUInt32BE(0), reply);
      pending = pending.subarray(FRAME_HEAD + size);
    }
  });
  duplex.on('end', () => duplex.end());
  duplex.on('error', () => duplex.destroy());
  duplex.resume(); // it comes paused
}

function send(duplex: Duplex, id: number, reply: Buffer): void {
  const head = Buffer.alloc(FRAME_HEAD);
  head.writeUInt32BE(id, 0);
  head.writeUInt16BE(reply.length, 4);
  duplex.write(Buffer.concat([head, reply]));
}

/** A refused name does not exist: resolvers give up at once on that, and retry on anything else. */
function answer(query: Buffer, context: DnsContext, allow: () => boolean): Buffer | null {
  const question = decodeQuery(query);
  if (question === null) return null;
  if ('code' in question) return encodeReply(query, question.code);
  if (!allow()) return encodeReply(query, DNS_CODE.refused, question);
  const name = normaliseName(question.name);
  if (name === null || name === 'localhost' || name.endsWith('.localhost')) {
    return encodeReply(query, DNS_CODE.noSuchName, question);
  }
  if (context.peers(name) === null && !context.policy.allowsName(name)) {
    context.onRefused(name, 'no rule allows the name');
    return encodeReply(query, DNS_CODE.noSuchName, question);
  }
  if (question.type !== DNS_TYPE.A) return encodeReply(query, DNS_CODE.ok, question);
  const address = context.names.addressOf(name);
  if (address !== null) return encodeReply(query, DNS_CODE.ok, question, address);
  context.onRefused(name, 'too many names');
  return encodeReply(query, DNS_CODE.refused, question);
}

function createBucket(rate: { perSecond: number; burst: number }, now: () => number): () => boolean {
  let tokens = rate.burst;
  let at = now();
  return () => {
    const time = now();
    tokens = Math.min(rate.burst, tokens + ((time - at) * rate.perSecond) / 1000);
    at = time;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
}
