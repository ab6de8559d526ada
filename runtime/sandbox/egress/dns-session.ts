/**
 * The name service of one sandbox, over the relay's framed connection, or over one that a
 * resolver opened itself (RFC 7766: `u16 length | DNS message` both ways).
 *
 * Nothing is looked up here. A name that the policy allows gets its synthetic
 * address; the real look-up happens on the host at connect. So names can not carry
 * data out, and a slow resolver can not be felt here.
 */
import type { Duplex } from 'node:stream';
import { DNS_CODE, DNS_TYPE, decodeQuery, encodeReply } from './dns-message.ts';
import type { NameTable } from './names.ts';
import { normaliseName, type Policy } from './rules.ts';

/** Bytes of a frame before its length, which come back as they are: the relay's query id. */
const PREFIX = { relay: 4, tcp: 0 } as const;
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
  /** Whether one more query is answered; see `createDnsRate`. */
  allow: () => boolean;
}

/** For all connections of a sandbox together. `now`: monotonic milliseconds. */
export const createDnsRate = (now: () => number): (() => boolean) => createBucket(RATE, now);

/** Owns `duplex`: ends it when the relay ends, destroys it at a malformed frame. */
export function serveDns(duplex: Duplex, context: DnsContext, framing: keyof typeof PREFIX = 'relay'): void {
  const prefix = PREFIX[framing];
  const headSize = prefix + 2;
  let pending: Buffer = Buffer.alloc(0);
  duplex.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= headSize) {
      const size = pending.readUInt16BE(prefix);
      if (size > MAX_QUERY) return void duplex.destroy();
      if (pending.length < headSize + size) return;
      const reply = answer(pending.subarray(headSize, headSize + size), context);
      if (reply !== null && duplex.writableLength < MAX_UNSENT) send(duplex, pending.subarray(0, prefix), reply);
      pending = pending.subarray(headSize + size);
    }
  });
  duplex.on('end', () => duplex.end());
  duplex.on('error', () => duplex.destroy());
  duplex.resume(); // it comes paused
}

function send(duplex: Duplex, prefix: Buffer, reply: Buffer): void {
  const length = Buffer.from([reply.length >> 8, reply.length & 255]);
  duplex.write(Buffer.concat([prefix, length, reply]));
}

/** A refused name does not exist: resolvers give up at once on that, and retry on anything else. */
function answer(query: Buffer, context: DnsContext): Buffer | null {
  const question = decodeQuery(query);
  if (question === null) return null;
  if ('code' in question) return encodeReply(query, question.code);
  if (!context.allow()) return encodeReply(query, DNS_CODE.refused, question);
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
