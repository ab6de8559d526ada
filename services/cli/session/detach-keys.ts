/** The keys that leave a session, found in what is typed. The default is docker's: ctrl-p ctrl-q. */
import { WaferError } from '../../core/errors.ts';

export const DEFAULT_DETACH_KEYS = 'ctrl-p,ctrl-q';

/** `ctrl-a` to `ctrl-z`, `ctrl-@[\]^_`, or one character. Empty: no keys. @throws WaferError `usage` */
export function parseDetachKeys(text: string): number[] {
  if (text === '') return [];
  return text.split(',').map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) - 64;
    if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0);
    throw new WaferError('usage', `--detach-keys: ${JSON.stringify(key)} is not a key.`, {
      hint: 'Write keys like ctrl-p,ctrl-q or a.',
    });
  });
}

export interface TypedKeys {
  /** What goes to the program. */
  data: Buffer;
  detached: boolean;
}

/** Keys that begin the sequence are held back until it is clear that they are not it. */
export function createDetachFilter(keys: readonly number[]): (chunk: Buffer) => TypedKeys {
  let matched = 0;
  return (chunk) => {
    if (keys.length === 0) return { data: chunk, detached: false };
    const out: number[] = [];
    for (const byte of chunk) {
      if (byte !== keys[matched]) {
        out.push(...keys.slice(0, matched));
        matched = 0;
      }
      if (byte !== keys[matched]) out.push(byte);
      else if (++matched === keys.length) return { data: Buffer.from(out), detached: true };
    }
    return { data: Buffer.from(out), detached: false };
  };
}
