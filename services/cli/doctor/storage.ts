/** Redis, disk, and what set-up has to leave behind. */
import { constants } from 'node:fs';
import { access, readFile, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { dataPaths } from '../../core/config.ts';
import { coerceError, isErrno, WaferError } from '../../core/errors.ts';
import { formatBytes } from '../format.ts';
import { type ProbeContext, type ProbeResult, verdicts } from './probe.ts';
import { nearestExisting } from './sandbox-parts.ts';
import { runProgram } from './shell.ts';

const REDIS = { id: 'redis', title: 'Redis', meaning: 'keeps functions, logs and accepted calls' };
const CONNECT_MS = 3_000;

/** The server of WAFER_REDIS_URL, with the platform's own check. */
async function probeExternalRedis(url: string): Promise<ProbeResult> {
  const { ok, fail } = verdicts(REDIS);
  const [{ connectRedis }, { createLog }] = await Promise.all([
    import('../../core/store/connect.ts'),
    import('../../core/log.ts'),
  ]);
  try {
    const log = createLog({ level: 'silent' });
    const connection = await connectRedis({ address: { url }, log, connectMs: CONNECT_MS, commandMs: CONNECT_MS });
    await connection.close();
    return ok(`${connection.server.version} at ${connection.where} keeps what it accepts`);
  } catch (error) {
    const known = coerceError(error);
    const hint = known instanceof WaferError ? known.hint : undefined;
    return fail(
      known.message,
      '"wafer up" refuses to start',
      hint ?? 'unset WAFER_REDIS_URL   (Wafer then runs its own)',
    );
  }
}

export async function probeRedis({ env }: ProbeContext): Promise<ProbeResult> {
  if (env['WAFER_REDIS_URL']) return probeExternalRedis(env['WAFER_REDIS_URL']);
  const { ok, fail } = verdicts(REDIS);
  const { ok: found, stdout } = await runProgram(['redis-server', '--version']);
  const version = /v=(\S+)/.exec(stdout)?.[1] ?? 'of unknown version';
  if (found) return ok(`redis-server ${version}, embedded with appendfsync always`);
  return fail('redis-server is missing', '"wafer up" can not start', 'sudo apt-get install -y redis-server');
}

const GIB = 1024 ** 3;
const FULL_BYTES = 0.5 * GIB;
const LOW_BYTES = 4 * GIB;

export async function probeDisk({ dataDir }: ProbeContext): Promise<ProbeResult> {
  const { ok, warn, fail } = verdicts({ id: 'disk', title: 'Disk', meaning: 'base images take about 1 GiB' });
  const place = nearestExisting(dataDir);
  const { bavail, bsize, files, ffree } = await statfs(place);
  const free = bavail * bsize;
  const found = `${formatBytes(free)} free for ${dataDir}`;
  const fix = 'WAFER_DATA=/a/folder/on/a/larger/disk wafer up';
  if (free < FULL_BYTES) return fail(found, 'base images can not be built', fix);
  if (files > 0 && ffree < 50_000) return fail(`only ${ffree} inodes are free`, 'base images can not be built', fix);
  if (free < LOW_BYTES) return warn(found, 'soon no function can be deployed', fix);
  return ok(found);
}

export async function probeDataDir({ dataDir, subject }: ProbeContext): Promise<ProbeResult> {
  const { ok, warn, fail } = verdicts({
    id: 'data-dir',
    title: 'Data directory',
    meaning: 'code, keys and Redis of the platform; for its user only',
  });
  try {
    const { mode, uid } = await stat(dataDir);
    if (uid !== subject.uid) {
      return fail(
        `${dataDir} belongs to uid ${uid}, not to ${subject.name}`,
        '"wafer up" can not start',
        `sudo chown -R ${subject.name} ${dataDir}`,
      );
    }
    const bits = (mode & 0o777).toString(8).padStart(4, '0');
    if ((mode & 0o077) === 0) return ok(`${dataDir}, mode ${bits}`);
    return warn(
      `${dataDir} has mode ${bits}`,
      'other users of this machine may read functions and keys',
      `chmod 0700 ${dataDir}`,
    );
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return ok(`${dataDir} is made by the first start`);
    if (isErrno(error, 'EACCES', 'ENOTDIR')) {
      return fail(`${dataDir} can not be reached`, '"wafer up" can not start', 'WAFER_DATA=/another/folder wafer up');
    }
    throw error;
  }
}

/** Started as root, the platform runs from a copy in the home of its user. */
export async function probeEngine({ root, subject }: ProbeContext): Promise<ProbeResult> {
  const { ok, fail } = verdicts({ id: 'engine', title: 'Engine', meaning: 'the native program that makes sandboxes' });
  const folders = [root, ...(subject.prefix.length > 0 ? [join(subject.home, 'app')] : [])];
  for (const folder of folders) {
    const path = join(folder, 'runtime', 'engine', 'build', 'wafer-engine');
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return ok('built');
  }
  const fix = `make -C ${join(root, 'runtime', 'engine')}   (needs gcc, make, libseccomp-dev)`;
  return fail('not built', '"wafer up" can not start', fix);
}

const BASES = ['debian12', 'node24', 'python3.11'] as const;

/** Tags of the image store's index.json; null when there is no store yet. */
async function readTags(dataDir: string): Promise<string[] | null> {
  try {
    const index: unknown = JSON.parse(await readFile(join(dataPaths(dataDir).store, 'index.json'), 'utf8'));
    const manifests = typeof index === 'object' && index !== null && 'manifests' in index ? index.manifests : [];
    return (manifests as { annotations?: Record<string, string> }[]).flatMap(
      ({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] ?? [],
    );
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return null;
    throw error;
  }
}

export async function probeBaseImages({ dataDir }: ProbeContext): Promise<ProbeResult> {
  const { ok, warn } = verdicts({ id: 'base-images', title: 'Base images', meaning: 'what functions are built on' });
  const tags = await readTags(dataDir);
  const missing = BASES.filter((base) => !tags?.includes(base));
  if (missing.length === 0) return ok(BASES.join(', '));
  const { ok: canBuild } = await runProgram(['mmdebstrap', '--version']);
  const cost = 'the next start builds them, which takes minutes';
  const fix = canBuild ? 'wafer up' : 'sudo apt-get install -y mmdebstrap, then: wafer up';
  return warn(`${missing.join(', ')} not built yet`, cost, fix);
}
