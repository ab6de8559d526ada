/** The settings of a deploy: wafer.json of the source, overlaid by the request, checked against the source. */
import { applyDefaults } from '../../core/functions/defaults.ts';
import type { FunctionConfig } from '../../core/functions/schema.ts';
import type { SourceTree } from '../../core/functions/source/index.ts';
import type { DeployRequest } from '../../core/functions/types.ts';
import { parseConfigText, validateConfig } from '../../core/functions/validate.ts';
import type { BaseImages } from '../base-images/index.ts';

const CONFIG_FILE = 'wafer.json';

/** @throws WaferError `invalid_config | unknown_runtime | missing_handler` */
export async function configFromSource(
  request: DeployRequest,
  source: SourceTree,
  bases: BaseImages,
): Promise<FunctionConfig> {
  const files = source.entries.filter((entry) => entry.kind !== 'dir').map((entry) => entry.path);
  const own = files.includes(CONFIG_FILE)
    ? parseConfigText((await source.read(CONFIG_FILE)).toString('utf8'), CONFIG_FILE)
    : {};
  const file = validateConfig({ ...asObject(own), ...asObject(request.config ?? {}) });
  return applyDefaults(file, { files, defaultBase: (runtime) => bases.defaultFor(runtime) });
}

/** Anything else than an object is left for the validator to refuse. */
const asObject = (value: unknown): object =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value : { value };
