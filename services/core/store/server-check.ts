/** Whether a Redis keeps what it has acknowledged; design: refuse one that does not. */
import type { Redis } from 'ioredis';
import { coerceError, WaferError } from '../errors.ts';
import { isConnectionLost } from './errors.ts';

const MIN_VERSION = [6, 2] as const;

const NEEDED_SETTINGS: Record<string, string> = {
  appendonly: 'yes',
  appendfsync: 'always',
  'maxmemory-policy': 'noeviction',
};

/** One thing that is wrong with a server. */
export interface UnsafeSetting {
  name: string;
  value: string;
  wanted: string;
  /** Command that repairs it, or a sentence where no command can. */
  fix: string;
}

export interface ServerFacts {
  version: string;
  settings: Record<string, string>;
}

/**
 * `where` names the server in messages and must hold no password.
 * @throws WaferError `redis_unsafe`, with every wrong setting in `details.settings`
 */
export async function checkServer(redis: Redis, where: string): Promise<ServerFacts> {
  const info = parseInfo(await redis.info());
  const settings: Record<string, string> = {};
  for (const name of Object.keys(NEEDED_SETTINGS)) settings[name] = await readSetting(redis, name, where);
  const wrong = [...wrongKind(info), ...wrongSettings(settings)];
  if (wrong.length > 0) throw unsafe(where, wrong);
  return { version: info['redis_version'] ?? '', settings };
}

function wrongSettings(settings: Record<string, string>): UnsafeSetting[] {
  return Object.entries(NEEDED_SETTINGS)
    .map(([name, wanted]) => ({ name, wanted, value: settings[name] ?? '', fix: `CONFIG SET ${name} ${wanted}` }))
    .filter(({ value, wanted }) => value !== wanted);
}

function wrongKind(info: Record<string, string>): UnsafeSetting[] {
  const version = info['redis_version'] ?? '0';
  const mode = info['redis_mode'] ?? 'standalone';
  const role = info['role'] ?? 'master';
  const wrong: UnsafeSetting[] = [];
  if (!isNewEnough(version)) {
    const wanted = `${MIN_VERSION.join('.')} or newer`;
    wrong.push({ name: 'version', value: version, wanted, fix: `install Redis ${wanted}` });
  }
  if (mode !== 'standalone') {
    const fix = 'point WAFER_REDIS_URL at a single server';
    wrong.push({ name: 'redis_mode', value: mode, wanted: 'standalone', fix });
  }
  if (role !== 'master') {
    wrong.push({ name: 'role', value: role, wanted: 'master', fix: 'point WAFER_REDIS_URL at the primary' });
  }
  return wrong;
}

export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > MIN_VERSION[0] || (major === MIN_VERSION[0] && minor >= MIN_VERSION[1]);
}

async function readSetting(redis: Redis, name: string, where: string): Promise<string> {
  try {
    const reply = (await redis.config('GET', name)) as string[];
    return reply[1] ?? '';
  } catch (error) {
    const cause = coerceError(error);
    if (isConnectionLost(cause)) throw cause;
    const message = `Redis at ${where} does not let Wafer read its settings (CONFIG GET ${name}: ${cause.message}), so it can not be known to keep data.`;
    throw new WaferError('redis_unsafe', message, {
      cause,
      details: { settings: [{ name, value: 'unknown', wanted: NEEDED_SETTINGS[name], fix: 'allow CONFIG GET' }] },
      hint: 'Allow it (ACL SETUSER <user> +config|get), or use a server whose settings can be read; without WAFER_REDIS_URL Wafer runs its own.',
    });
  }
}

function unsafe(where: string, wrong: UnsafeSetting[]): WaferError {
  const list = wrong.map(({ name, value, wanted }) => `${name} is ${value || 'not set'}, must be ${wanted}`);
  const message = `Redis at ${where} can lose accepted work: ${list.join('; ')}.`;
  const commands = wrong.map(({ fix }) => fix).join('; ');
  return new WaferError('redis_unsafe', message, {
    details: { settings: wrong },
    hint: `Run in redis-cli: ${commands}; then CONFIG REWRITE, so that it stays.`,
  });
}

export function parseInfo(text: string): Record<string, string> {
  const pairs = text.split('\r\n').flatMap((line): [string, string][] => {
    const colon = line.indexOf(':');
    return line.startsWith('#') || colon < 1 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
  });
  return Object.fromEntries(pairs);
}
