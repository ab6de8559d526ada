/** What a sandbox of a version is made of: layers, program, environment, limits. */
import type { SandboxSpec } from '../../../runtime/sandbox/index.ts';
import { baseLayersOf, environmentOf, exposedPorts } from '../../core/functions/image-config.ts';
import type { FunctionConfig, RuntimeName } from '../../core/functions/schema.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import type { Image, ImageStore, Lease } from '../../core/images/types.ts';
import type { InstanceVolumes } from '../volumes/index.ts';

export interface InstancePlan {
  spec: Omit<SandboxSpec, 'id'>;
  program: ProgramPlan;
  /** Of the layers, and of the volumes. */
  lease: Lease;
  /** Shown in the sandbox before anything of the function runs; absent without any. */
  volumes?: InstanceVolumes;
}

/** What the function's own code runs with. */
export interface ProgramPlan {
  /** The whole environment, but for what each call adds. */
  env: Record<string, string>;
  /** Where the code is, as the runtime sees it; its working directory. */
  codePath: string;
}

const MIB = 1024 * 1024;
export const PIDS = 256;
const CODE_PATH = '/function';
/** A server that takes PORT takes one that a user without privileges may listen on. */
const FIRST_FREE_PORT = 1024;

/** Programs that speak the runtime protocol; `/.wafer` is `runtime/languages`. Of an image nothing runs before a call. */
export const PROGRAMS: Record<RuntimeName, string[]> = {
  node: ['node', '/.wafer/node/build/main.cjs'],
  python: ['python3', '-I', '-S', '/.wafer/python/main.py'],
  http: ['/.wafer/http/build/wafer-http'],
  image: [],
};

export const BASE_ENV = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/tmp',
  TMPDIR: '/tmp',
  LANG: 'C.UTF-8',
};

export async function planInstance(version: FunctionVersion, images: ImageStore): Promise<InstancePlan> {
  const lease = images.lease([version.image]);
  try {
    const image = await images.get(version.image);
    const { base, code } = splitLayers(image, images);
    const { config } = version;
    const program = code.length > 0 ? builtProgram(config) : imageProgram(config, image);
    const spec: Omit<SandboxSpec, 'id'> = {
      profile: 'function',
      layers: base,
      codeLayers: code,
      argv: PROGRAMS[config.runtime],
      env: code.length > 0 ? BASE_ENV : { ...BASE_ENV, ...pathOf(program) },
      cwd: code.length > 0 ? CODE_PATH : '/',
      control: config.runtime !== 'image',
      memoryBytes: config.memoryMb * MIB,
      tmpBytes: config.tmpMb * MIB,
      ...limitsOf(config),
      ...pointsOf(config),
    };
    return { spec, program, lease };
  } catch (error) {
    lease.release();
    throw error;
  }
}

/** Where the volumes of a version go; a blank has to be made with the same. */
export const pointsOf = ({ volumes = [] }: Pick<FunctionConfig, 'volumes'>): Pick<SandboxSpec, 'points'> =>
  volumes.length === 0 ? {} : { points: volumes.map(({ path }) => path) };

/** Every sandbox of a function has these; a version may have less. Blanks have them, too. */
export const STANDARD_LIMITS = { pids: PIDS, openFiles: 1_024, fileBytes: 16_384 * MIB } as const;

const limitsOf = ({ pids, cpu, openFiles, fileMb }: FunctionConfig) => ({
  ...STANDARD_LIMITS,
  ...(pids === undefined ? {} : { pids }),
  ...(cpu === undefined ? {} : { cpuMillis: Math.round(cpu * 1000) }),
  ...(openFiles === undefined ? {} : { openFiles }),
  ...(fileMb === undefined ? {} : { fileBytes: fileMb * MIB }),
});

/** The environment that the function sees: the user's wins. */
const builtProgram = ({ env }: FunctionConfig): ProgramPlan => ({
  env: { ...BASE_ENV, ...env },
  codePath: CODE_PATH,
});

function imageProgram(config: FunctionConfig, { config: { config: own } }: Image): ProgramPlan {
  const env = { ...BASE_ENV, ...environmentOf(own), ...config.env };
  if (config.runtime === 'node' || config.runtime === 'python') return { env, codePath: CODE_PATH };
  const port = exposedPorts(own).find((one) => one >= FIRST_FREE_PORT);
  const codePath = `/${own.WorkingDir ?? ''}`.replace(/^\/+/, '/');
  if (config.runtime === 'image' || port === undefined) return { env, codePath };
  return { env: { PORT: String(port), ...env }, codePath };
}

/** The image knows where its programs are. */
const pathOf = ({ env: { PATH } }: ProgramPlan): { PATH?: string } => (PATH === undefined ? {} : { PATH });

function splitLayers(image: Image, images: ImageStore): { base: string[]; code: string[] } {
  const { config } = image.config;
  const count = baseLayersOf({ name: image.digest, config, layers: image.layers.length });
  // Counted before a layer that is there twice is left out.
  const of = (layers: Image['layers']) => images.layerNames({ ...image, layers });
  return count === 0
    ? { base: of(image.layers), code: [] }
    : { base: of(image.layers.slice(0, count)), code: of(image.layers.slice(count)) };
}
