/** Files as they lie in the layers of the store: the platform's user may read what everybody may. */
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { TEST_DATA } from './test-data.ts';

/** The program of the topmost layer that has it. @throws when none has it */
export async function programInLayers(layers: readonly string[], path: string): Promise<string> {
  for (const layer of layers.toReversed()) {
    const file = join(TEST_DATA, 'store/layers', layer, path);
    if (await isExecutable(file)) return file;
  }
  throw new Error(`there is no /${path} that can be run from its layer`);
}

const isExecutable = (file: string) =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
