/** Secrets of a platform: the key, what people do with them, and who is told of changes. */
import { type Config, dataPaths } from './core/config.ts';
import type { FunctionStore } from './core/functions/types.ts';
import type { Log } from './core/log.ts';
import { createSecretFeed, type SecretFeed } from './core/secrets/feed.ts';
import { followSecrets } from './core/secrets/follow.ts';
import { createSecrets, type Secrets } from './core/secrets/index.ts';
import { loadSecretsKey } from './core/secrets/key.ts';
import { createSecretReader } from './core/secrets/reader.ts';
import { createSecretStore } from './core/secrets/store.ts';
import { createTextBox, type TextBox } from './core/secrets/text-box.ts';
import type { SecretReader } from './core/secrets/types.ts';
import type { RedisConnection } from './core/store/connect.ts';

export interface SecretParts {
  redis: RedisConnection['redis'];
  functions: FunctionStore;
  log: Log;
  env: NodeJS.ProcessEnv;
}

export interface OpenedSecrets {
  secrets: Secrets;
  /** For the worker. */
  here: { reader: SecretReader; feed: SecretFeed };
  /** For secrets in records of the platform. */
  box: TextBox;
  close(): Promise<void>;
}

/** @throws WaferError `usage` when there is no usable key */
export async function openSecrets(
  { dataDir }: Config,
  { redis, functions, log, env }: SecretParts,
): Promise<OpenedSecrets> {
  const key = await loadSecretsKey(dataPaths(dataDir).secretsKey, env['WAFER_SECRETS_KEY']);
  const store = createSecretStore({ redis });
  const feed = createSecretFeed();
  const reader = createSecretReader({ store, key });
  const secrets = createSecrets({ store, key, reader, functions, feed });
  return {
    secrets,
    here: { reader, feed },
    box: createTextBox(key, store.namespace),
    close: followSecrets({ store, feed, log }),
  };
}

/** For a worker that joined: values come from its platform, changes from the Redis that they share. */
export function followHomeSecrets(
  { redis, log }: Pick<SecretParts, 'redis' | 'log'>,
  reader: SecretReader,
): Omit<OpenedSecrets, 'secrets' | 'box'> {
  const feed = createSecretFeed();
  return { here: { reader, feed }, close: followSecrets({ store: createSecretStore({ redis }), feed, log }) };
}
