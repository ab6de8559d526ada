/** A container's record and its image -> what the engine is asked for. */
import type { SandboxSpec, TerminalSize } from '../../../runtime/sandbox/index.ts';
import { hostnameOf, programEnv, userOf } from '../../core/containers/plan.ts';
import type { ExecConfig } from '../../core/containers/types.ts';
import { WaferError } from '../../core/errors.ts';
import type { UserIds } from '../../core/images/dockerfile/accounts.ts';
import type { Image } from '../../core/images/types.ts';
import { accountsOf, type Context } from './context.ts';
import { type Entry, upperOf } from './entry.ts';
import { peersOf } from './peers.ts';

const MIB = 1024 * 1024;
/** A fork bomb must not take the host's processes. */
const DEFAULT_PIDS = 4096;
const DEFAULT_SIZE: TerminalSize = { rows: 24, columns: 80 };
/** What the engine maps in a container: see its idmap.h. */
const isMapped = (id: number) => id < 4096 || id === 65_534;

/** Layers, writable layer and volumes: the file system of the container, for whatever is to look at it. */
export function rootOf({ images }: Context, entry: Entry, image: Image) {
  const volumes = entry.record.mounts.map(({ volume, path, readOnly }) => ({ volume, path, readOnly }));
  return { profile: 'container' as const, layers: images.layerNames(image), upper: upperOf(entry), volumes };
}

export interface ProgramPlan {
  env: Record<string, string>;
  cwd: string;
  user: UserIds;
}

/** Of the main program, or of another one that is given its own place. @throws WaferError `invalid_request` */
export async function programPlan(
  context: Context,
  { record }: Entry,
  image: Image,
  own: Partial<Pick<ExecConfig, 'env' | 'workingDir' | 'user'>> & { terminal: boolean },
): Promise<ProgramPlan> {
  const { config } = record;
  const named = own.user ?? config.user ?? image.config.config.User;
  const accounts = await accountsOf(context, image, named);
  const user = userOf(named, accounts);
  assertMapped(user);
  const hostname = hostnameOf(record.id, config);
  const merged = { env: { ...config.env, ...own.env }, terminal: own.terminal };
  return {
    env: programEnv({ config: merged, image: image.config.config, user, accounts, hostname }),
    cwd: own.workingDir ?? config.workingDir ?? image.config.config.WorkingDir ?? '/',
    user,
  };
}

export async function mainSpec(
  context: Context,
  entry: Entry,
  image: Image,
  size: TerminalSize | undefined,
): Promise<SandboxSpec> {
  const { record, audience } = entry;
  const { config } = record;
  const { env, cwd, user } = await programPlan(context, entry, image, { terminal: config.terminal });
  return {
    ...rootOf(context, entry, image),
    id: upperOf(entry),
    argv: record.argv,
    env,
    cwd: cwd === '' ? '/' : cwd,
    user,
    hostname: hostnameOf(record.id, config),
    ...(config.stdin ? { stdin: true } : {}),
    ...(config.terminal ? { terminal: size ?? audience.wishedSize ?? DEFAULT_SIZE } : {}),
    ...(config.network.group === undefined ? {} : { peers: peersOf(context.shelf, config.network.group) }),
    ...(config.memoryMb === undefined ? {} : { memoryBytes: config.memoryMb * MIB }),
    ...(config.cpuMillis === undefined ? {} : { cpuMillis: config.cpuMillis }),
    pids: config.pids ?? DEFAULT_PIDS,
    egress: config.network.mode === 'public' ? context.egress : { mode: 'none' },
  };
}

export function assertMapped({ uid, gid, groups }: UserIds): void {
  const other = [uid, gid, ...groups].find((id) => !isMapped(id));
  if (other === undefined) return;
  throw new WaferError(
    'invalid_request',
    `user: the id ${other} does not exist here; containers have 0-4095 and 65534.`,
    {
      details: { path: 'user' },
    },
  );
}
