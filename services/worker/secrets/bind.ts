/** What a version names of secrets -> what its instance is given, and how it is told that it is outdated. */
import type { SecretFile } from '../../../runtime/sandbox/index.ts';
import { WaferError } from '../../core/errors.ts';
import { type SecretRef, secretRefs, usesSecrets } from '../../core/functions/secret-refs.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import type { SecretFeed, SecretUse } from '../../core/secrets/feed.ts';
import type { SecretReader, SecretValue } from '../../core/secrets/types.ts';
import { createMask, MASK_NONE, type Mask } from './mask.ts';

export interface BoundSecrets {
  files: SecretFile[];
  env: Record<string, string>;
  mask: Mask;
  /** Owned: to be ended with the instance. */
  use: SecretUse;
}

export interface SecretsHere {
  reader: SecretReader;
  feed: SecretFeed;
}

/** All of a function's; what the engine takes in one request, in hexadecimal, is 1 MiB. */
const MAX_TOTAL_BYTES = 256 * 1024;

export const NO_SECRETS: BoundSecrets = {
  files: [],
  env: {},
  mask: MASK_NONE,
  use: { isOutdated: () => false, whenOutdated: () => {}, end: () => {} },
};

/** The function's own settings do not fit what there is: its call fails, and says why. */
export class SecretsUnfit extends Error {
  override readonly name = 'SecretsUnfit';
}

/** @throws SecretsUnfit; WaferError when the values can not be had now */
export async function bindSecrets({ config }: FunctionVersion, { reader, feed }: SecretsHere): Promise<BoundSecrets> {
  if (!usesSecrets(config)) return NO_SECRETS;
  const refs = secretRefs(config).map(({ ref }) => ref);
  const values = await reader.read(refs).catch((error: unknown) => {
    if (error instanceof WaferError && error.code === 'secret_not_found') throw new SecretsUnfit(error.message);
    throw error;
  });
  const total = values.reduce((sum, { value }) => sum + value.length, 0);
  if (total > MAX_TOTAL_BYTES)
    throw new SecretsUnfit(`Its secrets have ${total} bytes together; at most ${MAX_TOTAL_BYTES} are given.`);
  const files = values.slice(0, config.secrets?.length ?? 0);
  return {
    files: files.map(({ name, value }) => ({ name, bytes: value })),
    env: environmentOf(Object.keys(config.secretEnv ?? {}), values.slice(files.length)),
    mask: createMask(values.map(({ value }) => value)),
    use: feed.use(values.map(({ name, version }, index) => ({ name, version, isPinned: isPinned(refs[index]) }))),
  };
}

const isPinned = (ref: SecretRef | undefined) => ref?.version !== undefined;

function environmentOf(variables: string[], values: SecretValue[]): Record<string, string> {
  return Object.fromEntries(
    values.map(({ name, value }, index) => {
      const text = value.toString('utf8');
      if (text.includes('\0') || !Buffer.from(text).equals(value))
        throw new SecretsUnfit(`The secret "${name}" is not text, so it can be no variable; use it as a file.`);
      return [variables[index] ?? '', text];
    }),
  );
}
