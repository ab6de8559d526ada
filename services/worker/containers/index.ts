/**
 * The container service. `openContainers` takes hold of every container's image, so it comes
 * before the first garbage collection; `resume` starts what is to run with the platform;
 * `close` ends what runs and records that.
 */
import { readdir } from 'node:fs/promises';
import type { SandboxHost } from '../../../runtime/sandbox/index.ts';
import { checkConfig } from '../../core/containers/config.ts';
import { argvOf, mountsOf, stopSignalOf, userOf } from '../../core/containers/plan.ts';
import type { ContainerRecord } from '../../core/containers/record.ts';
import { openContainerRecords } from '../../core/containers/records.ts';
import { assertAllowed, startsWithPlatform } from '../../core/containers/state.ts';
import type { ContainerConfig, Containers } from '../../core/containers/types.ts';
import { newContainerId } from '../../core/ids.ts';
import { createLayerIndexes } from '../../core/images/dockerfile/layer-index.ts';
import { imageNotFound } from '../../core/images/images.ts';
import { findByName } from '../../core/images/names.ts';
import type { ImageNames } from '../../core/images/reserved.ts';
import type { Digest, Image, ImageStore } from '../../core/images/types.ts';
import type { Log } from '../../core/log.ts';
import { createCommit } from './commit.ts';
import { accountsOf, type Context } from './context.ts';
import { createControls, endRun } from './controls.ts';
import { describe, type Entry, UPPER_PREFIX, upperOf, wakeWaiters } from './entry.ts';
import { createExport } from './export.ts';
import { createFiles } from './files.ts';
import { createRunner, type Runner } from './runner.ts';
import { createSessions } from './sessions.ts';
import { createShelf, type Shelf } from './shelf.ts';
import { assertMapped } from './spec.ts';
import { createViews } from './views.ts';

export interface ContainerServiceDeps {
  host: SandboxHost;
  images: ImageStore;
  /** Where the records and logs lie. */
  dir: string;
  workDir: string;
  volumesDir: string;
  defaultRegistry: string | null;
  names: ImageNames;
  /** Directory (0700) for spools. */
  tmpDir: string;
  log: Log;
}

export interface ContainerService {
  readonly containers: Containers;
  /** Names of the containers that need the image. */
  usersOf(digest: Digest): string[];
  /** Starts what its restart policy wants to run with the platform. Never throws: a container's failure is its own. */
  resume(): Promise<void>;
  /** Stop signal and a short grace for all that runs. Nothing starts any more. */
  close(): Promise<void>;
}

/** A platform that stops does not wait for the slowest. */
const CLOSE_GRACE_SECONDS = 5;

export async function openContainers(deps: ContainerServiceDeps): Promise<ContainerService> {
  const { host, images, log, names, tmpDir } = deps;
  const records = await openContainerRecords(deps.dir, (id, why) =>
    log.error({ container: id }, `a container is left out: ${why}`),
  );
  const shelf = createShelf({ records, images, log });
  for (const record of records.found) await shelf.add(record);
  const closing = new AbortController();
  const context: Context = {
    host,
    images,
    indexes: createLayerIndexes(images),
    shelf,
    log,
    egress: { mode: 'public' },
    closing: closing.signal,
    names,
    tmpDir,
  };
  await recover(context);
  await removeOrphans(deps, shelf, records.damaged);
  const remove = (entry: Entry) => entry.exclusive(() => removeNow(context, entry));
  const runner = createRunner({ ...context, remove });
  return {
    containers: assemble(deps, context, runner),
    usersOf: (digest) =>
      shelf
        .all()
        .filter(({ record }) => record.imageDigest === digest)
        .map(({ record }) => record.name),
    resume: () => resume(context, runner),
    async close() {
      closing.abort();
      await Promise.all(shelf.all().map((entry) => endForGood(context, runner, entry)));
    },
  };
}

function assemble(deps: ContainerServiceDeps, context: Context, runner: Runner): Containers {
  const { shelf } = context;
  return {
    ...createControls(context, runner),
    ...createSessions(context),
    ...createFiles(context),
    ...createViews(context),
    export: createExport(context),
    commit: createCommit(context),
    list: async ({ all }) =>
      shelf
        .all()
        .filter(({ record }) => all || !['created', 'exited'].includes(record.status))
        .sort((a, b) => b.record.createdAt - a.record.createdAt)
        .map(describe),
    get: async (ref) => describe(shelf.find(ref)),
    create: (config, name) => create(deps, context, checkConfig(config), name),
    rename: (ref, name) =>
      shelf.alone(ref, async (entry) => {
        if (name === entry.record.name) return describe(entry);
        const reserved = shelf.reserve(name);
        try {
          const { name: before } = entry.record;
          await shelf.save(entry, (record) => ({ ...record, name }));
          shelf.free(before);
        } catch (error) {
          reserved.release();
          throw error;
        }
        return describe(entry);
      }),
    remove: (ref, { force }) =>
      shelf.alone(ref, async (entry) => {
        if (!force) assertAllowed('remove', entry.record);
        runner.cancelRestart(entry);
        await endRun(context, entry, 0);
        await removeNow(context, entry);
      }),
    async prune() {
      const removed: string[] = [];
      for (const entry of shelf.all())
        await entry.exclusive(async () => {
          if (entry.isRemoved || !['created', 'exited'].includes(entry.record.status)) return;
          await removeNow(context, entry);
          removed.push(entry.record.id);
        });
      return { removed };
    },
  };
}

async function create(
  { images, defaultRegistry }: ContainerServiceDeps,
  context: Context,
  config: ContainerConfig,
  wanted: string | undefined,
) {
  const { image } = await findByName(images, config.image, defaultRegistry);
  // Held while it is looked at; a collection may have come between finding and holding.
  const lease = images.lease([image.digest]);
  try {
    if ((await images.find(image.digest)) === null) throw imageNotFound(config.image);
    const argv = argvOf(config, image.config.config);
    const user = config.user ?? image.config.config.User;
    assertMapped(userOf(user, await accountsOf(context, image, user)));
    stopSignalOf(config, image.config.config);
    const reserved = context.shelf.reserve(wanted);
    try {
      const entry = await context.shelf.add(newRecord(config, reserved.name, image, argv));
      await context.shelf
        .save(entry, (record) => record)
        .catch(async (error: unknown) => {
          await context.shelf.drop(entry);
          throw error;
        });
      return describe(entry);
    } catch (error) {
      reserved.release();
      throw error;
    }
  } finally {
    lease.release();
  }
}

function newRecord(config: ContainerConfig, name: string, image: Image, argv: string[]): ContainerRecord {
  const id = newContainerId();
  return {
    format: 1,
    id,
    name,
    config,
    imageDigest: image.digest,
    argv,
    mounts: mountsOf(id, config, image.config.config),
    status: 'created',
    exitCode: null,
    oomKilled: false,
    error: null,
    restartCount: 0,
    createdAt: Date.now(),
    startedAt: null,
    finishedAt: null,
    stoppedByHand: false,
    cutByPlatform: false,
  };
}

/** Alone, and it does not run. The record goes first: what a crash leaves then has no owner, and goes at the next start. */
async function removeNow({ host, shelf, log }: Pick<Context, 'host' | 'shelf' | 'log'>, entry: Entry): Promise<void> {
  if (entry.isRemoved) return;
  await shelf.drop(entry);
  entry.audience.end(entry.record.exitCode ?? 0);
  entry.log.poke();
  wakeWaiters(entry);
  const volumes = entry.record.mounts.filter(({ anonymous }) => anonymous).map(({ volume }) => volume);
  try {
    await host.removeWork(upperOf(entry));
    for (const volume of volumes) await host.removeVolume(volume);
  } catch (err) {
    log.warn({ err, container: entry.record.name }, 'files of a removed container are left; they go at the next start');
  }
}

/** The platform was killed: what ran then ended with it, and what was to go with its end goes. */
async function recover(context: Context): Promise<void> {
  for (const entry of context.shelf.all()) {
    const { record } = entry;
    if (['running', 'paused', 'restarting'].includes(record.status)) {
      const ended = record.status === 'restarting' ? {} : LOST;
      const finishedAt = record.finishedAt ?? Date.now();
      await context.shelf.save(entry, (now) => ({
        ...now,
        ...ended,
        status: 'exited',
        finishedAt,
        cutByPlatform: true,
      }));
    }
    if (record.config.removeOnExit && record.startedAt !== null) await removeNow(context, entry);
  }
}

const LOST = { exitCode: 137, error: 'The platform stopped.' };

/** Writable layers and anonymous volumes of containers that are no more. A damaged record keeps its own. */
async function removeOrphans(
  { host, workDir, volumesDir }: ContainerServiceDeps,
  shelf: Shelf,
  damaged: readonly string[],
): Promise<void> {
  const ids = new Set([...shelf.all().map(({ record }) => record.id), ...damaged]);
  for (const name of await readdir(workDir))
    if (name.startsWith(UPPER_PREFIX) && !ids.has(name.slice(UPPER_PREFIX.length))) await host.removeWork(name);
  for (const name of await readdir(volumesDir)) {
    const owner = /^anon-([0-9a-z]{21})-[0-9]+$/.exec(name)?.[1];
    if (owner !== undefined && !ids.has(owner)) await host.removeVolume(name);
  }
}

async function resume({ shelf, log }: Context, runner: Runner): Promise<void> {
  const wanted = shelf.all().filter(({ record }) => startsWithPlatform(record));
  await Promise.all(
    wanted.map((entry) =>
      entry
        .exclusive(async () => {
          if (entry.run === null && !entry.isRemoved) await runner.start(entry);
        })
        .catch((err: unknown) =>
          log.warn({ err, container: entry.record.name }, 'a container could not be started with the platform'),
        ),
    ),
  );
}

async function endForGood(context: Context, runner: Runner, entry: Entry): Promise<void> {
  runner.cancelRestart(entry);
  const grace = Math.min(entry.record.config.stopTimeoutSeconds, CLOSE_GRACE_SECONDS);
  // Not alone: whoever holds the container waits for the program that ends here.
  await endRun(context, entry, grace);
  await entry.exclusive(async () => undefined);
}
