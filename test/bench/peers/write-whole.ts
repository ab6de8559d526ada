/** Runs on the host and, as part of a function, in a sandbox: the same writes. */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';

const CHUNK = 1024 * 1024;

/** Writes over the file; it is on the disk then. Takes so many milliseconds. */
export function writeWhole(path: string, bytes: number): number {
  const chunk = new Uint8Array(CHUNK).fill(7);
  const began = performance.now();
  const file = openSync(path, 'w');
  for (let written = 0; written < bytes; written += CHUNK) writeSync(file, chunk);
  fsyncSync(file);
  closeSync(file);
  return performance.now() - began;
}
