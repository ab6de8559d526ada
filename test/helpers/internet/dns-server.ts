/** A name server for tests: it answers from a table, and each answer of a name follows the last. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { parseAddress } from '../../../runtime/sandbox/egress/addresses.ts';

/** Name -> the address lists that it is answered with, in turn; the last one stays. */
export type Zone = Record<string, string[][]>;

export interface DnsServer {
  /** Names that were asked for. */
  readonly asked: Set<string>;
  close(): void;
}

const AAAA = 28;

export async function startDnsServer(zone: Zone, addresses: string[]): Promise<DnsServer> {
  const asked = new Set<string>();
  const turns = new Map<string, number>();
  const answer = (query: Buffer): Buffer => {
    const { name, type, end } = questionOf(query);
    asked.add(name);
    const lists = zone[name] ?? [];
    const turn = turns.get(name) ?? 0;
    const found = (lists[Math.min(turn, lists.length - 1)] ?? []).filter(
      (one) => isIP(one) === (type === AAAA ? 6 : 4),
    );
    // Both questions of one look-up get the same list.
    if (type === AAAA) turns.set(name, turn + 1);
    return reply(query, end, lists.length > 0, type, found);
  };
  const sockets: Socket[] = [];
  for (const address of addresses) {
    const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
    socket.on('message', (query, from) => socket.send(answer(query), from.port, from.address));
    socket.bind(53, address);
    await once(socket, 'listening');
    sockets.push(socket);
  }
  return {
    asked,
    close() {
      for (const socket of sockets) socket.close();
    },
  };
}

function questionOf(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function reply(query: Buffer, end: number, exists: boolean, type: number, addresses: string[]): Buffer {
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(exists ? 0x8180 : 0x8183, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(addresses.length, 6);
  header.writeUInt16BE(0, 8);
  header.writeUInt16BE(0, 10);
  const records = addresses.map((text) => {
    const address = parseAddress(text) ?? new Uint8Array();
    const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, address.length]);
    return Buffer.concat([head, address]);
  });
  return Buffer.concat([header, query.subarray(12, end), ...records]);
}
