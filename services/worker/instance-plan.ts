/** What a sandbox of a version is made of: layers, program, environment, limits. */
import type { SandboxSpec } from '../../runtime/sandbox/index.ts';
import type { FunctionConfig, RuntimeName } from '../core/functions/schema.ts';
import type { FunctionVersion } from '../core/functions/types.ts';
import type { Image, ImageStore, Lease } from '../core/images/types.ts';

/** Image label: how many of the image's layers are the base's; the others are shown at /function. */
export const LABEL_BASE_LAYERS = 'dev.wafer.base-layers';

export interface InstancePlan {
  spec: Omit<SandboxSpec, 'id'>;
  lease: Lease;
}

const MIB = 1024 * 1024;
const PIDS = 256;

/** Programs that speak the runtime protocol; `/.wafer` is `runtime/languages`. */
const PROGRAMS: Record<RuntimeName, string[]> = {
  node: ['node', '/.wafer/node/main.mjs'],
  python: ['python3', '-I', '-S', '/.wafer/python/main.py'],
  http: ['/.wafer/http/build/wafer-http'],
};

const BASE_ENV = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/tmp',
  TMPDIR: '/tmp',
  LANG: 'C.UTF-8',
};

/** The environment that the function sees: the user's wins. */
export const runtimeEnv = (config: FunctionConfig): Record<string, string> => ({ ...BASE_ENV, ...config.env });

export async function planInstance(version: FunctionVersion, images: ImageStore): Promise<InstancePlan> {
  const lease = images.lease([version.image]);
  try {
    const image = await images.get(version.image);
    const { base, code } = splitLayers(image, images);
    const { config } = version;
    const spec: Omit<SandboxSpec, 'id'> = {
      profile: 'function',
      layers: base,
      codeLayers: code,
      argv: PROGRAMS[config.runtime],
      env: BASE_ENV,
      cwd: '/function',
      control: true,
      memoryBytes: config.memoryMb * MIB,
      tmpBytes: config.tmpMb * MIB,
      pids: PIDS,
    };
    return { spec, lease };
  } catch (error) {
    lease.release();
    throw error;
  }
}

function splitLayers(image: Image, images: ImageStore): { base: string[]; code: string[] } {
  const names = images.layerNames(image);
  const count = Number(image.config.config.Labels?.[LABEL_BASE_LAYERS] ?? names.length);
  return { base: names.slice(0, count), code: names.slice(count) };
}
