/** The image of a new container: in the store, or brought from its registry as docker does. */

import { WaferError } from '../../core/errors.ts';
import { tryParseReference } from '../../core/images/reference.ts';
import { shortDigest } from '../format.ts';
import { createImageClient } from '../image-client.ts';
import { showTransfer } from '../transfer-progress.ts';
import type { Ui } from '../ui.ts';

type Env = Record<string, string | undefined>;

export type PullPolicy = 'missing' | 'always' | 'never';

const isMissing = (error: unknown): error is WaferError =>
  error instanceof WaferError && (error.code === 'image_not_found' || error.code === 'not_found');

const notThere = (reference: string, cause: unknown) =>
  new WaferError('image_not_found', `There is no image ${reference} in the store.`, {
    hint: `"wafer images" lists them. Build one with "wafer build -t ${reference} .", load one with "wafer image load", or name its registry: registry.example/team/app:v1.`,
    cause,
  });

async function pull(reference: string, ui: Ui, env: Env): Promise<string> {
  const client = createImageClient(env);
  const result = await showTransfer(client.pull(reference), ui, client.url);
  ui.err(`${ui.paintErr('green', '✓')} ${result.name} ${shortDigest(result.digest)}`);
  return result.digest;
}

/** Progress goes to stderr. @returns the image's digest. @throws WaferError `image_not_found`, saying how to get it */
export async function findImage(reference: string, policy: PullPolicy, ui: Ui, env: Env): Promise<string> {
  if (policy === 'always') return pull(reference, ui, env);
  try {
    return (await createImageClient(env).inspect(reference)).digest;
  } catch (error) {
    if (!isMissing(error)) throw error;
    if (policy === 'never') throw notThere(reference, error);
    // Whether a name without a registry has one is the platform's setting, so the platform is asked.
    if (tryParseReference(reference) !== null) ui.err(`${reference} is not in the store: it comes from its registry.`);
    return pull(reference, ui, env).catch((failure: unknown) => {
      const hasNoRegistry = failure instanceof WaferError && failure.code === 'invalid_name';
      throw hasNoRegistry ? notThere(reference, error) : failure;
    });
  }
}
