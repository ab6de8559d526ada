/** A build as NDJSON while it happens. */
import { PassThrough } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { toProblem } from '../../core/errors.ts';
import type { Deployer, DeployRequest } from '../../core/functions/types.ts';
import { toWaferError } from '../http/problem.ts';
import type { ApiLimits } from '../limits.ts';

type OnLine = (event: object) => void;

/**
 * What fails before the first event is an ordinary problem with its own status. After it the
 * status (200) is out, so the last line says how it ended: what `run` gives, or `failed` with the problem.
 * `what` is for our log.
 */
export async function streamLines(
  run: (onEvent: OnLine) => Promise<object>,
  what: object,
  request: FastifyRequest,
  reply: FastifyReply,
  limits: ApiLimits,
): Promise<FastifyReply> {
  const lines = createLines(limits.buildLogBytes);
  const built = run(lines.event);
  const settled = built.then(lines.end, (error: unknown) => {
    const problem = toProblem(toWaferError(error));
    if (lines.begun() && problem.status >= 500) request.log.error({ err: error, ...what }, 'a build failed');
    lines.end({ type: 'failed', problem });
  });
  // The first to happen; a failure wins only if nothing was said yet.
  await Promise.race([lines.first, built]);
  void settled;
  reply.header('content-type', 'application/x-ndjson').header('x-accel-buffering', 'no');
  return reply.send(lines.output);
}

/** A deploy; its last line is `deployed`. */
export function streamBuild(
  deployer: Pick<Deployer, 'deploy'>,
  deploy: DeployRequest,
  request: FastifyRequest,
  reply: FastifyReply,
  limits: ApiLimits,
): Promise<FastifyReply> {
  const run = async (onEvent: OnLine) => {
    const version = await deployer.deploy(deploy, (event) => {
      // Written from the result: exactly one last line.
      if (event.type !== 'deployed') onEvent(event);
    });
    return { type: 'deployed', version };
  };
  return streamLines(run, { function: deploy.name }, request, reply, limits);
}

interface Lines {
  output: PassThrough;
  /** Resolves with the first event. */
  first: Promise<void>;
  begun(): boolean;
  event(event: object): void;
  end(last: object): void;
}

/** A build does not wait for its reader: what a slow one can not take in time is left out, and said so. */
function createLines(maxBytes: number): Lines {
  const output = new PassThrough({ highWaterMark: maxBytes });
  let left = 0;
  let begun = false;
  let resolveFirst: () => void = () => {};
  const first = new Promise<void>((resolve) => {
    resolveFirst = resolve;
  });
  const write = (line: object) => {
    if (!output.destroyed) output.write(`${JSON.stringify(line)}\n`);
  };
  const mark = () => {
    if (left > 0)
      write({ type: 'log', step: 'wafer', stream: 'stderr', text: `${left} lines left out for a slow reader` });
    left = 0;
  };
  return {
    output,
    first,
    begun: () => begun,
    event(event) {
      begun = true;
      resolveFirst();
      if ('type' in event && event.type === 'log' && output.readableLength + output.writableLength > maxBytes) {
        left += 1;
        return;
      }
      mark();
      write(event);
    },
    end(last) {
      mark();
      write(last);
      output.end();
    },
  };
}
