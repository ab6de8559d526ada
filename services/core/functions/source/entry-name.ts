import type { SourceLimits } from './limits.ts';
import { refuseEntry } from './refuse.ts';

/**
 * The components of an archive's entry name; `[]` is the archive's own top folder (`./`).
 * Leading `./` and a folder's trailing `/` are what `tar` writes by itself and are
 * dropped; every other unusual form is refused, never repaired.
 * @throws WaferError `invalid_archive`
 */
export function parseEntryName(raw: string, limits: SourceLimits): string[] {
  if (raw === '') throw refuseEntry(raw, 'its name is empty');
  if (Buffer.byteLength(raw) > limits.pathBytes) {
    throw refuseEntry(raw, `its path is longer than ${limits.pathBytes} bytes`);
  }
  if (raw.includes('\0')) throw refuseEntry(raw, 'its name holds a NUL byte');
  if (raw.includes('\\')) throw refuseEntry(raw, 'its name holds a backslash');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point
  if (/[\u0001-\u001f\u007f]/.test(raw)) throw refuseEntry(raw, 'its name holds a control character');
  if (raw.includes('\ufffd')) throw refuseEntry(raw, 'its name is not valid UTF-8');
  if (raw.startsWith('/') || /^[A-Za-z]:\//.test(raw)) throw refuseEntry(raw, 'its path is absolute');
  const components = raw
    .replace(/^(?:\.\/)+/, '')
    .replace(/\/$/, '')
    .split('/');
  if (components.length === 1 && (components[0] === '' || components[0] === '.')) return [];
  for (const name of components) assertComponent(raw, name, limits);
  if (components.length - 1 > limits.depth) throw refuseEntry(raw, `it lies deeper than ${limits.depth} folders`);
  return components;
}

function assertComponent(raw: string, name: string, limits: SourceLimits): void {
  if (name === '..') throw refuseEntry(raw, 'its path holds ".."');
  if (name === '' || name === '.') throw refuseEntry(raw, 'its path holds an empty or "." component');
  if (Buffer.byteLength(name) > limits.nameBytes) {
    throw refuseEntry(raw, `one of its names is longer than ${limits.nameBytes} bytes`);
  }
}
