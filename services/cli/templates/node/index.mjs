/** `event` is the JSON of the call; what is returned goes back as JSON. Output goes to the log. */
export async function handler(event, context) {
  const name = event.name ?? 'world';
  console.log(`greeting ${name} as ${context.functionName} v${context.version}`);
  return { greeting: `Hello, ${name}!`, invocation: context.invocationId };
}
