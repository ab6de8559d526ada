/** Values for a worker that joined: from the platform, sealed for this one answer. Nothing of it is kept. */
import { ERRORS, type ErrorCode, type Problem, WaferError } from '../errors.ts';
import { askHome, type Home } from '../home.ts';
import { openReceiver, type SealedBox } from './sealed-box.ts';
import type { SecretReader, SecretValue } from './types.ts';

const TIMEOUT_MS = 10_000;
const PATH = '/v1/workers/secrets';

/** What is in the box. */
interface Opened {
  name: string;
  version: number;
  base64: string;
}

export const packSecrets = (values: readonly SecretValue[]): Buffer =>
  Buffer.from(
    JSON.stringify(
      values.map(({ name, version, value }): Opened => ({ name, version, base64: value.toString('base64') })),
    ),
  );

const unpackSecrets = (bytes: Buffer): SecretValue[] =>
  (JSON.parse(bytes.toString()) as Opened[]).map(({ name, version, base64 }) => ({
    name,
    version,
    value: Buffer.from(base64, 'base64'),
  }));

export function remoteSecrets(home: Home): SecretReader {
  return {
    async read(refs) {
      const { publicKey, open } = openReceiver();
      const { status, bytes } = await askHome(home, PATH, {
        method: 'POST',
        timeoutMs: TIMEOUT_MS,
        contentType: 'application/json',
        body: JSON.stringify({ publicKey, secrets: refs }),
      });
      const text = bytes.toString();
      if (status >= 300) throw problemOf(text, `${home.url} answered ${status} for secrets.`);
      return unpackSecrets(open(JSON.parse(text) as SealedBox));
    },
  };
}

/** What the function's next start is told; all else is the platform's trouble. */
const TOLD: readonly ErrorCode[] = ['secret_not_found', 'secrets_locked'];

function problemOf(text: string, otherwise: string): WaferError {
  const problem = parse(text);
  const code = TOLD.find((one) => one === problem?.code);
  return code === undefined
    ? new WaferError('not_reachable', otherwise)
    : new WaferError(code, problem?.detail ?? ERRORS[code].title);
}

function parse(text: string): Partial<Problem> | null {
  try {
    return JSON.parse(text) as Partial<Problem>;
  } catch {
    return null;
  }
}
