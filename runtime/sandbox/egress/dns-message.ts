/**
 * The little of DNS that a sandbox needs: one question in, an address or nothing
 * out (RFC 1035). Queries come from hostile code. Names in a question are plain
 * labels; compression there is malformed, so there is no pointer to follow and no
 * loop to get caught in. Other sections of a query (EDNS) are ignored.
 */

export const DNS_TYPE = { A: 1, AAAA: 28 } as const;
export const DNS_CODE = { ok: 0, malformed: 1, failed: 2, noSuchName: 3, notImplemented: 4, refused: 5 } as const;
export type DnsCode = (typeof DNS_CODE)[keyof typeof DNS_CODE];

const HEADER = 12;
const CLASS_IN = 1;
const MAX_NAME = 255;
const FLAG_RESPONSE = 0x8000;
const FLAG_RECURSION_DESIRED = 0x0100;
const FLAG_RECURSION_AVAILABLE = 0x0080;
/** A name keeps its synthetic address as long as the sandbox lives. */
const TTL_SECONDS = 60;

export interface DnsQuestion {
  /** As asked: case kept, no trailing dot. Bytes outside ASCII become replacement characters. */
  name: string;
  type: number;
  /** Where the question section ends. */
  end: number;
}

/** The question, the code to refuse it with, or `null`: not a query, no answer at all. */
export function decodeQuery(message: Buffer): DnsQuestion | { code: DnsCode } | null {
  if (message.length < HEADER) return null;
  const flags = message.readUInt16BE(2);
  if ((flags & FLAG_RESPONSE) !== 0) return null;
  if (((flags >> 11) & 15) !== 0) return { code: DNS_CODE.notImplemented };
  if (message.readUInt16BE(4) !== 1) return { code: DNS_CODE.malformed };
  const name = decodeName(message, HEADER);
  if (name === null || message.length < name.end + 4) return { code: DNS_CODE.malformed };
  if (message.readUInt16BE(name.end + 2) !== CLASS_IN) return { code: DNS_CODE.refused };
  return { name: name.text, type: message.readUInt16BE(name.end), end: name.end + 4 };
}

function decodeName(message: Buffer, start: number): { text: string; end: number } | null {
  const labels: string[] = [];
  let at = start;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63 || at - start > MAX_NAME) return null;
    at += 1;
    if (length === 0) return { text: labels.join('.'), end: at };
    if (at + length > message.length) return null;
    const label = message.toString('latin1', at, at + length);
    // A dot or a blank inside a label would look like something else later.
    if (!/^[\x21-\x2d\x2f-\x7e]+$/.test(label)) return null;
    labels.push(label);
    at += length;
  }
}

/** An answer to `query`; with `address` (4 bytes) one A record, else none. */
export function encodeReply(query: Buffer, code: DnsCode, question?: DnsQuestion, address?: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt16BE(query.readUInt16BE(0), 0);
  const recursion = query.readUInt16BE(2) & FLAG_RECURSION_DESIRED;
  header.writeUInt16BE(FLAG_RESPONSE | recursion | FLAG_RECURSION_AVAILABLE | code, 2);
  header.writeUInt16BE(question === undefined ? 0 : 1, 4);
  if (question === undefined) return header;
  const asked = query.subarray(HEADER, question.end);
  if (address === undefined) return Buffer.concat([header, asked]);
  header.writeUInt16BE(1, 6);
  const record = Buffer.alloc(16);
  record.writeUInt16BE(0xc000 | HEADER, 0); // the name: see the question
  record.writeUInt16BE(DNS_TYPE.A, 2);
  record.writeUInt16BE(CLASS_IN, 4);
  record.writeUInt32BE(TTL_SECONDS, 6);
  record.writeUInt16BE(4, 10);
  record.set(address, 12);
  return Buffer.concat([header, asked, record]);
}
