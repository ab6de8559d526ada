/** The value; undefined after `ms`, when it fails, and when `gone` came first. */
export async function within<T>(ms: number, value: Promise<T>, gone = unending()): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([value.catch(() => undefined), late, gone.then(() => undefined)]);
  } finally {
    clearTimeout(timer);
  }
}

export const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
/** Each has its own: what waits for a promise that never settles is kept as long as it. */
const unending = () => new Promise<unknown>(() => {});
