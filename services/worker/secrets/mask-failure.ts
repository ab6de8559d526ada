/** A failure in the guest's own words, without what it was given. */
import type { Failure } from '../../core/invocations/types.ts';

/** As a guest said it, secrets and all. */
export interface Said {
  kind: Failure['kind'];
  message: string;
  errorType?: string | undefined;
  stack?: string | undefined;
}

export function maskFailure(
  instance: { mask(text: string): string },
  { kind, message, errorType, stack }: Said,
): Failure {
  return {
    kind,
    message: instance.mask(message),
    ...(errorType === undefined ? {} : { errorType: instance.mask(errorType) }),
    ...(stack === undefined ? {} : { stack: instance.mask(stack) }),
  };
}
