/**
 * Zygotes of Python (`WAFER_PYTHON_ZYGOTE`): for each base image that is in use one process
 * that has booted and imported, and makes the program of a sandbox by forking itself
 * (runtime/engine/zygote.h). A host that uses them where they fit is all that others see:
 * without one, and when one fails, programs are executed as ever.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Sandbox, SandboxError, type SandboxHost, type SandboxSpec } from '../../../runtime/sandbox/index.ts';
import type { ImageStore } from '../../core/images/types.ts';
import type { Log } from '../../core/log.ts';
import type { BaseImage } from '../base-images/index.ts';
import { BASE_ENV, PROGRAMS } from '../instances/plan.ts';
import { createZygoteLine, type ZygoteLine } from './line.ts';

export interface ZygotesDeps {
  host: Pick<SandboxHost, 'create' | 'startZygote'>;
  images: Pick<ImageStore, 'lease'>;
  bases: () => readonly BaseImage[];
  log: Log;
  /** How many programs each makes before another follows it. */
  forks?: number;
}

export interface Zygotes {
  /** As of the host that it was made of. */
  create(spec: SandboxSpec): Promise<Sandbox>;
  /** Resolves when none is left. What they have made goes on. */
  close(): Promise<void>;
}

const FORKS = 1_000;

export function createZygotes({ host, images, bases, log, forks = FORKS }: ZygotesDeps): Zygotes {
  /** By the digest of the base image. */
  const lines = new Map<string, ZygoteLine>();
  let isClosed = false;

  const lineOf = (base: BaseImage): ZygoteLine => {
    const { digest } = base.image;
    const line = lines.get(digest) ?? createZygoteLine({ base, host, images, log, forks });
    lines.set(digest, line);
    return line;
  };
  return {
    async create(spec) {
      const base = isClosed ? undefined : baseOf(spec, bases());
      const line = base && lineOf(base);
      const zygote = line?.take();
      if (line === undefined || zygote === undefined) return host.create(spec);
      try {
        const sandbox = await host.create({ ...spec, zygote: zygote.id });
        if (typeof sandbox.fork === 'string') line.giveUp(zygote, new Error(sandbox.fork));
        else if (sandbox.fork) line.proved();
        return sandbox;
      } catch (error) {
        if (!(error instanceof SandboxError) || error.step !== 'zygote') throw error;
        line.giveUp(zygote, error); // it stands still
        return host.create(spec);
      }
    },
    async close() {
      isClosed = true;
      await Promise.all([...lines.values()].map((line) => line.close()));
    },
  };
}

/** The base whose Python a sandbox runs, as it is: over its layers only, with nothing else in its environment. */
function baseOf(spec: SandboxSpec, bases: readonly BaseImage[]): BaseImage | undefined {
  // What a zygote makes has rehearsed, whether it is to be a blank or not.
  const { WAFER_BLANK: _isBlank, ...env } = spec.env;
  const isPython = spec.profile === 'function' && isDeepStrictEqual(spec.argv, PROGRAMS.python);
  if (!isPython || !isDeepStrictEqual(env, BASE_ENV)) return undefined;
  return bases.find(({ layers }) => isDeepStrictEqual(layers, spec.layers));
}
