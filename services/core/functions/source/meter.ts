import type { SourceLimits } from './limits.ts';
import { tooLarge } from './refuse.ts';

/** Counts while bytes flow, so that a bomb is stopped at the cap and not after it went off. */
export interface Meter {
  readonly compressedBytes: number;
  compressed(bytes: number): void;
  /** Bytes that came out of decompression, tar headers included. */
  unpacked(bytes: number): void;
  /** Bytes of file contents that are kept or about to be. */
  content(bytes: number): void;
}

const mib = (bytes: number) => `${Math.round((bytes / 1024 / 1024) * 10) / 10} MiB`;

/** @throws WaferError `archive_too_large` from each counter */
export function createMeter(limits: SourceLimits): Meter {
  let compressed = 0;
  let unpacked = 0;
  let content = 0;
  // A tar of allowed files may be larger than they are: headers and padding.
  const unpackedCap = limits.unpackedBytes + limits.entries * 1024 + 1024 * 1024;
  return {
    get compressedBytes() {
      return compressed;
    },
    compressed(bytes) {
      compressed += bytes;
      if (compressed > limits.compressedBytes) throw tooLarge(`more than ${mib(limits.compressedBytes)} were sent`);
    },
    unpacked(bytes) {
      unpacked += bytes;
      if (unpacked > unpackedCap) throw tooLarge(`it unpacks to more than ${mib(limits.unpackedBytes)}`);
      if (unpacked > limits.ratioFloorBytes && unpacked > compressed * limits.ratio) {
        throw tooLarge(`it unpacks to more than ${limits.ratio} times its size`);
      }
    },
    content(bytes) {
      content += bytes;
      if (content > limits.unpackedBytes) throw tooLarge(`its files hold more than ${mib(limits.unpackedBytes)}`);
    },
  };
}
