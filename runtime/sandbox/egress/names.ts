/**
 * Synthetic addresses of one sandbox: each name that it may reach gets its own
 * address out of 198.18.0.0/15 (benchmarking, never routed), so that the name is
 * known when the connection comes. See infra/decisions/0002-synthetic-dns.md.
 */
import { type Address, contains, type Network, parseAddress, parseNetwork } from './addresses.ts';

/** Names one sandbox may have looked up in its life. */
export const MAX_NAMES = 1000;

const SYNTHETIC = parseNetwork('198.18.0.0/15') as Network;
/** What resolv.conf of a sandbox names. Its whole /24 is left out of the names' addresses. */
export const NAME_SERVER = '198.18.0.1';
const FIRST = 256;

export interface NameTable {
  /** The name's address, the same at every call; `null` when the table is full. */
  addressOf(name: string): Address | null;
  /** `undefined`: not a synthetic address. `null`: one, but of no name. */
  nameOf(address: string): string | null | undefined;
}

export function createNameTable(max = MAX_NAMES): NameTable {
  const indices = new Map<string, number>();
  const names: string[] = [];
  return {
    addressOf(name) {
      let index = indices.get(name);
      if (index === undefined) {
        if (names.length >= max) return null;
        index = names.push(name) - 1;
        indices.set(name, index);
      }
      const number = FIRST + index;
      return Uint8Array.of(198, 18 + (number >> 16), (number >> 8) & 255, number & 255);
    },
    nameOf(text) {
      const address = parseAddress(text);
      if (address === null || !contains(SYNTHETIC, address)) return undefined;
      const [, second = 0, third = 0, fourth = 0] = address;
      return names[(second - 18) * 65536 + third * 256 + fourth - FIRST] ?? null;
    },
  };
}
