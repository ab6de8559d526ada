/**
 * Metrics of the domain for Prometheus. The API adds those of its requests to the same registry
 * (services/api/metrics.ts); what is read at each scrape is in readings/. No other file imports prom-client.
 *
 * No label has a value that users make up (function names, paths): their number would
 * be the server's memory. Per function there are invocation records and logs.
 */
import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import type { Outcome, Phases, StartKind } from './invocations/types.ts';
import { PHASES } from './invocations/types.ts';
import { type Readings, registerReadings } from './readings/index.ts';

/** From a tenth of a millisecond, since a warm call is there, to a slow build. */
const CALL_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];
const BUILD_SECONDS = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600];

export type Lost = 'invocation_records' | 'log_lines' | 'egress_entries';
export type BuildResult = 'ok' | 'failed' | 'refused' | 'cancelled';

export interface Telemetry {
  /** For a part with metrics of its own; names must begin with `wafer_`. */
  registry: Registry;
  call(call: { outcome: Outcome['kind']; start: StartKind | null; durationMs: number; phases: Phases | null }): void;
  /** A call that the platform refused; `code` is the registered error's. */
  refused(code: string): void;
  build(result: BuildResult, durationMs: number): void;
  lost(what: Lost, count: number): void;
  /** May be called more than once; later readings are added. */
  observe(readings: Readings): void;
  /** The text of `/metrics`. A reading that fails is left out. */
  text(): Promise<string>;
  readonly contentType: string;
  close(): void;
}

export function createTelemetry(): Telemetry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const recorders = createRecorders(registry);
  const readings: Readings = {};
  registerReadings(registry, readings);
  return {
    registry,
    ...recorders,
    observe: (more) => void Object.assign(readings, more),
    text: () => registry.metrics(),
    contentType: registry.contentType,
    close: () => registry.clear(),
  };
}

function createRecorders(registry: Registry): Pick<Telemetry, 'call' | 'refused' | 'build' | 'lost'> {
  const registers = [registry];
  const calls = new Counter({
    name: 'wafer_calls_total',
    help: 'Calls that ended, by outcome and kind of start',
    labelNames: ['outcome', 'start'] as const,
    registers,
  });
  const callSeconds = new Histogram({
    name: 'wafer_call_seconds',
    help: 'Wall time of calls, by kind of start',
    labelNames: ['start'] as const,
    buckets: CALL_SECONDS,
    registers,
  });
  const phaseSeconds = new Histogram({
    name: 'wafer_call_phase_seconds',
    help: 'Time of each phase of calls, by kind of start; phases that a call did not have are not counted',
    labelNames: ['phase', 'start'] as const,
    buckets: CALL_SECONDS,
    registers,
  });
  const refusals = new Counter({
    name: 'wafer_calls_refused_total',
    help: 'Calls that the platform refused, by error code',
    labelNames: ['code'] as const,
    registers,
  });
  const builds = new Histogram({
    name: 'wafer_build_seconds',
    help: 'Time of builds, by result',
    labelNames: ['result'] as const,
    buckets: BUILD_SECONDS,
    registers,
  });
  const losses = new Counter({
    name: 'wafer_lost_total',
    help: 'Records, log lines and entries of the egress log that could not be stored in time',
    labelNames: ['what'] as const,
    registers,
  });
  return {
    call: ({ outcome, start, durationMs, phases }) => {
      const label = start ?? 'none';
      calls.inc({ outcome, start: label });
      callSeconds.observe({ start: label }, durationMs / 1000);
      if (phases !== null) observePhases(phaseSeconds, label, phases);
    },
    refused: (code) => refusals.inc({ code }),
    build: (result, durationMs) => builds.observe({ result }, durationMs / 1000),
    lost: (what, count) => losses.inc({ what }, count),
  };
}

/** At most phases x start kinds series, whatever is called. */
function observePhases(histogram: Histogram<'phase' | 'start'>, start: StartKind | 'none', phases: Phases): void {
  for (const phase of PHASES) if (phases[phase] > 0) histogram.observe({ phase, start }, phases[phase] / 1000);
}
