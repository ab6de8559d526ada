import { toProblem, type WaferError } from '../../core/errors.ts';
import type { Deployer } from '../../core/functions/types.ts';
import type { BuildResult } from '../../core/telemetry.ts';
import type { ApiDeps } from '../deps.ts';
import { toWaferError } from '../http/problem.ts';

/** The deployer with every build counted by how it ended. */
export function countedDeployer({
  deployer,
  telemetry,
}: Pick<ApiDeps, 'deployer' | 'telemetry'>): Pick<Deployer, 'deploy'> {
  return {
    deploy: async (request, onEvent) => {
      const begun = performance.now();
      const count = (result: BuildResult) => telemetry.build(result, performance.now() - begun);
      try {
        const version = await deployer.deploy(request, onEvent);
        count('ok');
        return version;
      } catch (error) {
        count(request.signal.aborted ? 'cancelled' : failedOrRefused(error));
        throw error;
      }
    },
  };
}

/** Refused: what was handed over is not acceptable. Failed: it was, but did not build. */
function failedOrRefused(error: unknown): BuildResult {
  const { code, status }: Pick<WaferError, 'code' | 'status'> = toProblem(toWaferError(error));
  return code === 'build_failed' || status >= 500 ? 'failed' : 'refused';
}
