/** Stands for a small function; see rehearsal.cjs. */
export const handler = async (event, context) => {
  console.log('%s', event.value);
  return { value: event.value, attempt: context.attempt };
};
