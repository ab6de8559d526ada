/** Stands for a small function; see rehearsal.cjs. */
export const handler = async (event, context) => {
  console.log('%s', event.value);
  if (event.value !== undefined) return { value: event.value, attempt: context.attempt };
  return Response.json(await event.json(), { status: 201 });
};
