/** What a webhook is set to, as flags. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ArgsDef } from 'citty';
import { WaferError } from '../../core/errors.ts';
import { ALGORITHMS, ENCODINGS, SCHEMES, type SchemeSettings } from '../../core/triggers/webhooks/schemes/types.ts';
import type { WebhookChanges } from '../../core/triggers/webhooks/types.ts';
import { parseDuration } from '../numbers.ts';
import { repeated } from '../repeated.ts';

export const webhookArgument = {
  webhook: { type: 'positional', valueHint: 'NAME', description: 'Name or id of the webhook', required: true },
} as const satisfies ArgsDef;

export const secretFlag = {
  secret: {
    type: 'string',
    valueHint: '@FILE',
    description: 'Of the sender: @file, or - for stdin, so that no list of processes has it; for ed25519 a public key',
  },
} as const satisfies ArgsDef;

export const settingFlags = {
  scheme: {
    type: 'string',
    alias: 's',
    valueHint: 'SCHEME',
    description: `How deliveries are proved: ${SCHEMES.join(', ')}`,
  },
  alias: { type: 'string', valueHint: 'ALIAS', description: 'Of the function; default: live' },
  event: {
    type: 'string',
    alias: 'e',
    valueHint: 'TYPE',
    description: 'Run only these: push, invoice.* (may be given more than once; "*" is all)',
  },
  tolerance: { type: 'string', valueHint: 'TIME', description: 'How far a time stamp may be off; default 5m' },
  header: {
    type: 'string',
    valueHint: 'NAME',
    description: 'Header of the signature (hmac, ed25519) or token (bearer)',
  },
  algorithm: { type: 'string', valueHint: ALGORITHMS.join('|'), description: 'Of hmac' },
  encoding: { type: 'string', valueHint: ENCODINGS.join('|'), description: 'Of the signature' },
  prefix: { type: 'string', valueHint: 'TEXT', description: 'Before the signature in its header, like sha256=' },
  signed: { type: 'string', valueHint: 'TEXT', description: 'What is signed, like {timestamp}.{body}' },
  'timestamp-header': { type: 'string', valueHint: 'NAME', description: 'Header of the time in Unix seconds' },
  'id-header': { type: 'string', valueHint: 'NAME', description: 'Header that names the delivery' },
  'type-header': { type: 'string', valueHint: 'NAME', description: 'Header with the type of the event' },
} as const satisfies ArgsDef;

type SettingFlags = { [Flag in keyof typeof settingFlags]?: string | undefined };

/** Which settings a scheme has is the server's to say. @throws WaferError `usage`, naming the flag */
export function readSettings(flags: SettingFlags, rawArgs: readonly string[]): WebhookChanges {
  const scheme = choice('--scheme', flags.scheme, SCHEMES);
  const settings = readSchemeSettings(flags);
  const events = repeated(rawArgs, ['--event', '-e']);
  return {
    ...(scheme !== undefined && { scheme }),
    ...(flags.alias !== undefined && { alias: flags.alias }),
    ...(events.length > 0 && { events: events.includes('*') ? [] : events }),
    ...(flags.tolerance !== undefined && { toleranceMs: parseDuration('--tolerance', flags.tolerance) }),
    ...(Object.keys(settings).length > 0 && { settings }),
  };
}

function readSchemeSettings(flags: SettingFlags): SchemeSettings {
  const algorithm = choice('--algorithm', flags.algorithm, ALGORITHMS);
  const encoding = choice('--encoding', flags.encoding, ENCODINGS);
  const texts = {
    header: flags.header,
    prefix: flags.prefix,
    signed: flags.signed,
    timestampHeader: flags['timestamp-header'],
    idHeader: flags['id-header'],
    typeHeader: flags['type-header'],
  };
  const given = Object.entries(texts).filter(([, text]) => text !== undefined);
  return {
    ...(Object.fromEntries(given) as SchemeSettings),
    ...(algorithm !== undefined && { algorithm }),
    ...(encoding !== undefined && { encoding }),
  };
}

/** @throws WaferError `usage`, naming the flag */
export function choice<T extends string>(flag: string, text: string | undefined, known: readonly T[]): T | undefined {
  const found = known.find((one) => one === text);
  if (text === undefined || found !== undefined) return found;
  throw new WaferError('usage', `${flag} ${text} is not one of ${known.join(', ')}.`);
}

/** `--secret @file`, `-` for stdin, or the secret itself; a line feed at its end is no part of it. */
export async function readSecret(text: string | undefined, cwd: string): Promise<string | undefined> {
  if (text === undefined) return undefined;
  if (text !== '-' && !text.startsWith('@')) return text;
  const bytes = text === '-' ? await readStdin() : await readSecretFile(resolve(cwd, text.slice(1)));
  return bytes.toString('utf8').replace(/\r?\n$/, '');
}

async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function readSecretFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new WaferError('usage', `--secret: ${path} can not be read: ${(cause as Error).message}.`, { cause });
  }
}
