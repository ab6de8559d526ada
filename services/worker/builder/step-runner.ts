/** Runs the RUN steps of Dockerfiles in build sandboxes. */
import { type EgressPolicy, type EgressRule, SandboxError } from '../../../runtime/sandbox/index.ts';
import { WaferError } from '../../core/errors.ts';
import type { RunStep, StepRunner } from '../../core/images/dockerfile/index.ts';
import { aptAccess } from '../base-images/layer-sources.ts';
import type { BuildSandboxes } from './build-sandbox.ts';

export interface StepRunnerDeps {
  sandboxes: BuildSandboxes;
  /** `infra/base-images`: knows how this host reaches Debian. */
  basesDir: string;
}

/** How this host's apt reaches its archive, told to the step's apt; not in the image, since `/dev/shm` never is. */
const APT_CONF = '/dev/shm/.wafer-apt.conf';
const STEP_MS = 60 * 60_000;
/** What the engine maps in a build: see its idmap.h. */
const isMapped = (id: number) => id < 4096 || id === 65_534;

export function createStepRunner({ sandboxes, basesDir }: StepRunnerDeps): StepRunner {
  let asked: ReturnType<typeof aptAccess> | undefined;
  const apt = () => {
    asked ??= aptAccess(basesDir).catch((error: unknown) => {
      asked = undefined;
      throw error;
    });
    return asked;
  };
  return {
    async run(step, use) {
      assertMapped(step);
      const access = step.network === 'none' ? null : await apt();
      const command = {
        step: step.step,
        layers: step.layers,
        argv: step.argv,
        env: access === null ? step.env : { APT_CONFIG: APT_CONF, ...step.env },
        cwd: step.cwd,
        exact: true,
        latest: step.latest ?? null,
        files: access === null ? step.files : { ...step.files, [APT_CONF]: access.conf },
        egress: access === null ? { mode: 'none' as const } : egressOf(access.egress),
        timeoutMs: STEP_MS,
        signal: step.signal,
        ...(step.user === null ? {} : { user: step.user }),
      };
      try {
        return await sandboxes.runAndPack(command, step.onOutput, use);
      } catch (error) {
        throw notStarted(error, step);
      }
    },
  };
}

/** The internet, and what the operator has set up for apt; never private addresses of the host's network. */
function egressOf(apt: EgressPolicy): EgressPolicy {
  const also: EgressRule[] = apt.mode === 'list' ? apt.allow : [];
  return { mode: 'public', also };
}

function assertMapped({ step, user }: RunStep): void {
  const other = user === null ? undefined : [user.uid, user.gid, ...user.groups].find((id) => !isMapped(id));
  if (other === undefined) return;
  throw new WaferError(
    'build_failed',
    `The step "${step}" needs the id ${other}; build sandboxes have 0-4095 and 65534.`,
    {
      details: { step },
    },
  );
}

/** A program that is not in the image, or a directory that is not there: the Dockerfile's mistake, not the engine's. */
function notStarted(error: unknown, { step }: RunStep): unknown {
  if (!(error instanceof SandboxError && (error.code === 'exec_failed' || error.step === 'exec'))) return error;
  return new WaferError('build_failed', `The step "${step}" could not be started: ${error.message}`, {
    details: { step, output: '' },
    cause: error,
  });
}
