/** What a run of the bench says, as JSON: `docs/bench/figures.json`. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import type { TestPlatform } from '../../helpers/platform.ts';
import type { Reference } from '../peers/reference.ts';
import { reaches } from '../rows.ts';
import type { Figure, Row } from '../types.ts';

/** Changes when a reader of the file has to. */
export const SCHEMA = 'wafer-bench/1';

export interface Host {
  kernel: string;
  cpu: string;
  cores: number;
  memoryMb: number;
  /** What limits sandboxes here: v2, v1 or none. */
  limits: string;
  node: { host: string; base: string };
  python: { base: string };
  /** One-minute averages; a quiet machine is below 0.3 before. */
  load: { before: number; after: number };
}

export interface JudgedFigure extends Figure {
  /** Null without a target. */
  reached: boolean | null;
}

export interface Results {
  schema: typeof SCHEMA;
  /** ISO 8601. */
  at: string;
  quick: boolean;
  seconds: number;
  host: Host;
  rows: (Omit<Row, 'figures'> & { line: string; figures: JudgedFigure[] })[];
}

export const judge = (figure: Figure): JudgedFigure => ({
  ...figure,
  reached: figure.target === null ? null : reaches(figure.value, figure.target),
});

export const loadNow = (): number => loadavg()[0] ?? 0;

export async function describeHost(wafer: TestPlatform, reference: Reference, before: number): Promise<Host> {
  const { checks } = (await (await wafer.fetch('/readyz')).json()) as { checks: { name: string; message?: string }[] };
  const engine = checks.find(({ name }) => name === 'engine')?.message ?? '';
  return {
    kernel: /^\d+(\.\d+)*/.exec(release())?.[0] ?? release(),
    cpu: cpus()[0]?.model ?? readModel(),
    cores: availableParallelism(),
    memoryMb: Math.round(totalmem() / 1024 / 1024),
    limits: engine.replace(/^limits /, ''),
    node: { host: process.version.slice(1), base: reference.nodeVersion },
    python: { base: reference.pythonVersion },
    load: { before, after: loadNow() },
  };
}

/** Where Node knows no name. */
const readModel = (): string =>
  /^(?:model name|Model)\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown';
