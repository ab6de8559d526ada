import type { Context } from './context.ts';

interface Greeting {
  greeting: string;
  from: string;
  /** Time that is left for this call. */
  leftMs: number;
}

/** Types end at deploy: Wafer bundles this file and its imports into one. */
export async function handler(event: { name?: string } | null, context: Context): Promise<Greeting> {
  const name = event?.name ?? 'world';
  console.log(`greeting ${name}`);
  return {
    greeting: `Hello, ${name}!`,
    from: `${context.functionName} v${context.version}`,
    leftMs: context.deadlineMs - Date.now(),
  };
}
