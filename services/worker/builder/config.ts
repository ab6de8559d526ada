/** The settings of a deploy: wafer.json of the source, overlaid by the request, checked against the source. */
import { applyDefaults } from '../../core/functions/defaults.ts';
import type { ConfigFile, FunctionConfig } from '../../core/functions/schema.ts';
import type { SourceTree } from '../../core/functions/source/index.ts';
import type { DeployRequest } from '../../core/functions/types.ts';
import { parseConfigText, validateConfig } from '../../core/functions/validate.ts';
import type { BaseImages } from '../base-images/index.ts';

const CONFIG_FILE = 'wafer.json';

/** @throws WaferError `invalid_config | unknown_runtime` */
export async function readConfigFile(request: DeployRequest, source: SourceTree): Promise<ConfigFile> {
  const found = source.find(CONFIG_FILE)?.kind ?? 'dir';
  const own = found === 'dir' ? {} : parseConfigText((await source.read(CONFIG_FILE)).toString('utf8'), CONFIG_FILE);
  return validateConfig({ ...asObject(own), ...asObject(request.config ?? {}) });
}

/** Of a deploy without files. @throws WaferError `invalid_config | unknown_runtime` */
export const readRequestConfig = ({ config }: DeployRequest): ConfigFile => validateConfig(config ?? {});

/** @throws WaferError `invalid_config | missing_handler` */
export function completeConfig(file: ConfigFile, source: SourceTree, bases: BaseImages): FunctionConfig {
  const files = source.entries.filter((entry) => entry.kind !== 'dir').map((entry) => entry.path);
  return applyDefaults(file, { files, defaultBase: (runtime) => bases.defaultFor(runtime) });
}

/** Anything else than an object is left for the validator to refuse. */
const asObject = (value: unknown): object =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value : { value };
