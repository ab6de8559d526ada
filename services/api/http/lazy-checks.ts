/**
 * What a request must be is compiled when its route is asked first. All of it at once is half of the time in which the
 * API starts, and most of it is never asked.
 */
import AjvCompiler from '@fastify/ajv-compiler';

type BuildCompiler = ReturnType<typeof AjvCompiler>;
type Check = ReturnType<ReturnType<BuildCompiler>>;

/** A request is taken as it is, or refused at the first thing that is wrong. */
export const CHECK_OPTIONS = { coerceTypes: false, removeAdditional: false, useDefaults: false, allErrors: false };

/** For `schemaController.compilersFactory.buildValidator`. A schema that is broken throws at that first request. */
export function lazyChecks(build: BuildCompiler = AjvCompiler()): BuildCompiler {
  return (shared, options) => (route) => {
    let compiled: Check | undefined;
    const check = ((data: unknown) => {
      compiled ??= build(shared, options)(route);
      const isRight = compiled(data);
      check.errors = compiled.errors ?? null; // fastify reads them here
      return isRight;
    }) as Check;
    return check;
  };
}
