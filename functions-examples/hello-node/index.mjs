/** `event` is the JSON of the call. What is returned is the answer; what is written is the log. */
export async function handler(event, context) {
  const name = event?.name ?? 'world';
  console.log(`greeting ${name}`);
  return { greeting: `Hello, ${name}!`, from: `${context.functionName} v${context.version}`, node: process.version };
}
