import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

/** A Lua script; atomic on the server. */
export interface Script {
  name: string;
  lua: string;
  sha: string;
}

export function script(name: string, lua: string): Script {
  return { name, lua, sha: createHash('sha1').update(lua).digest('hex') };
}

/**
 * Runs with its text. Unlike `runScript` it is sent once, so what is sent behind it over the same connection comes after
 * it on every server: one that does not know the script by its digest would let that overtake it.
 */
export const runScriptInOrder = (
  redis: Redis,
  { lua }: Script,
  keys: string[],
  args: (string | number)[],
): Promise<unknown> => redis.eval(lua, keys.length, ...keys, ...args);

/** Runs by digest; a server that does not have the script (first use, restart, SCRIPT FLUSH) gets its text. */
export async function runScript(
  redis: Redis,
  { sha, lua }: Script,
  keys: string[],
  args: (string | number)[],
): Promise<unknown> {
  try {
    return await redis.evalsha(sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
    return await redis.eval(lua, keys.length, ...keys, ...args);
  }
}
