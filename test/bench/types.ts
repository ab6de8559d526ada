/** What a line of the bench measures, and what it is given for that. */
import type { TestPlatform } from '../helpers/platform.ts';
import type { Reference } from './peers/reference.ts';
import type { Summary } from './stats.ts';

export interface Target {
  op: '<=' | '>=' | '<';
  value: number;
}

/** One number of a row, with what is to be reached. */
export interface Figure {
  /** `p50 ratio`, `p99 ratio`, `times faster`, `kB`: printed as it is. */
  what: string;
  value: number;
  /** Null: told, not judged. */
  target: Target | null;
}

export type Unit = 'ms' | 'calls/s' | 'MB' | 'kB' | '% of a core' | 'bytes';

export interface Row {
  what: string;
  unit: Unit;
  ours: Summary | null;
  reference: ({ name: string } & Summary) | null;
  figures: Figure[];
  /** Pool size, arrival rate, what exactly was measured. */
  notes: string[];
  /** Why there is no figure: a peer that is not on this machine, a measurement that failed. */
  missing?: { kind: 'not here' | 'failed'; reason: string };
  /** One-minute load average around it. Filled in by the runner. */
  load?: { before: number; after: number };
}

export interface BenchContext {
  /** Of a full run, or of a quick one. */
  count(full: number, quick: number): number;
  /** A platform with these settings; the one that runs is kept when it has them. All of the bench's functions are gone. */
  platform(env?: Record<string, string>): Promise<TestPlatform>;
  /** Ends the one that runs. */
  stopPlatform(): Promise<void>;
  /** Bare runtimes to compare with. */
  reference(): Promise<Reference>;
  /** A directory for the whole run. */
  readonly dir: string;
  /** What is going on, for a person. */
  say(text: string): void;
}

export interface Line {
  name: string;
  /** Chosen together on the command line. */
  group: string;
  /** One sentence. */
  about: string;
  measure(context: BenchContext): Promise<Row[]>;
}
