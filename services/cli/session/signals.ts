/** Signals to this process while a program inside runs. */
export const FORWARDED = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGCONT',
  'SIGALRM',
] as const satisfies readonly NodeJS.Signals[];

const ENDING: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;
/** So often may one ask before the session is left whatever the program does. */
const PATIENCE = 3;

/** As shells say it: 128 + n. */
export const signalExit = (signal: string): number => 128 + (NUMBERS[signal as keyof typeof NUMBERS] ?? 0);

export interface SignalOptions {
  /** To the program; null where there is no way: then a signal ends the session. */
  forward: ((signal: NodeJS.Signals) => Promise<void>) | null;
  /** The session is to be left now. */
  leave: (signal: NodeJS.Signals) => void;
}

/** Listens until the returned function is called. */
export function takeSignals({ forward, leave }: SignalOptions): () => void {
  let asked = 0;
  const handle = (signal: NodeJS.Signals) => {
    const ends = ENDING.includes(signal);
    if (ends) asked++;
    if (forward === null ? ends : asked >= PATIENCE && ends) return leave(signal);
    // A program that has ended meanwhile can not take it, and its end is on the way here.
    forward?.(signal).catch(() => {});
  };
  const taken = forward === null ? ENDING : FORWARDED;
  for (const signal of taken) process.on(signal, handle);
  return () => {
    for (const signal of taken) process.off(signal, handle);
  };
}
