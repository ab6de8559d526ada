/** `invocation` is the one that failed; `request` is the event that it had. */
export async function handler({ invocation, request }) {
  return {
    order: request.result.order,
    cancelled: true,
    why: invocation.outcome.message,
    attempts: invocation.attempts,
  };
}
