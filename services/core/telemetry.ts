/**
 * Metrics of the domain for Prometheus. The API adds those of its requests to the same registry
 * (services/api/metrics.ts); no other file imports prom-client.
 *
 * No label has a value that users make up (function names, paths): their number would
 * be the server's memory. Per function there are invocation records and logs.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { EGRESS_VERDICTS, type EgressVerdictName } from './egress/types.ts';
import { type DurableCounts, HAPPENINGS, PLACES } from './invocations/durable/counts.ts';
import type { InstanceInfo, Outcome, Phases, StartKind } from './invocations/types.ts';
import { PHASES } from './invocations/types.ts';

/** From a tenth of a millisecond, since a warm call is there, to a slow build. */
const CALL_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];
const BUILD_SECONDS = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600];

export type InstanceState = InstanceInfo['state'];
const INSTANCE_STATES: readonly InstanceState[] = ['starting', 'idle', 'busy', 'ending'];

export type Lost = 'invocation_records' | 'log_lines' | 'egress_entries';
export type BuildResult = 'ok' | 'failed' | 'refused' | 'cancelled';

/** What the platform knows of itself at the moment it is asked; read at each scrape. */
export interface Readings {
  instances?: () => Record<InstanceState, number> | Promise<Record<InstanceState, number>>;
  /** Booted runtimes without code. */
  blanks?: () => { ready: number; booting: number };
  /** Calls that wait for an instance. */
  queued?: () => number;
  store?: () => Promise<{ blobsBytes: number; layers: number; images: number }>;
  functions?: () => Promise<number>;
  engine?: () => Promise<{ sandboxes: number; fds: number; ids: number }>;
  /** What functions connect to; counts since the start. */
  egress?: () => { open: number; verdicts: Record<EgressVerdictName, number>; bytesUp: number; bytesDown: number };
  /** Calls that are accepted first. */
  durable?: () => Promise<DurableCounts>;
}

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
  createGauges(registry, readings);
  createDurableGauges(registry, readings);
  createEgressGauges(registry, readings);
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

function createGauges(registry: Registry, readings: Readings): void {
  const gauge = (name: string, help: string, read: () => number | undefined | Promise<number | undefined>) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const value = await settled(read);
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  new Gauge({
    name: 'wafer_instances',
    help: 'Instances by state',
    labelNames: ['state'] as const,
    registers: [registry],
    async collect() {
      const counts = await settled(async () => readings.instances?.());
      this.reset();
      for (const state of counts === undefined ? [] : INSTANCE_STATES) this.set({ state }, counts?.[state] ?? 0);
    },
  });
  gauge('wafer_calls_waiting', 'Calls that wait for an instance', () => readings.queued?.());
  gauge('wafer_blanks_ready', 'Booted runtimes that wait for a first call', () => readings.blanks?.().ready);
  gauge('wafer_blanks_booting', 'Runtimes that boot to wait for a first call', () => readings.blanks?.().booting);
  gauge('wafer_functions', 'Functions that are deployed', () => readings.functions?.());
  const engine = oncePerScrape(async () => readings.engine?.());
  gauge('wafer_engine_sandboxes', 'Sandboxes of the engine, of any kind', async () => (await engine())?.sandboxes);
  gauge('wafer_engine_fds', 'Open files of the engine', async () => (await engine())?.fds);
  gauge('wafer_engine_ids', 'Private user ids that sandboxes have', async () => (await engine())?.ids);
  const usage = oncePerScrape(async () => readings.store?.());
  gauge('wafer_store_bytes', 'Bytes of compressed layers and manifests', async () => (await usage())?.blobsBytes);
  gauge('wafer_store_layers', 'Layers in the image store', async () => (await usage())?.layers);
  gauge('wafer_store_images', 'Images in the image store', async () => (await usage())?.images);
}

/** Over all workers, so each platform on one Redis says the same. */
function createDurableGauges(registry: Registry, readings: Readings): void {
  const counts = oncePerScrape(async () => readings.durable?.());
  new Gauge({
    name: 'wafer_async_calls',
    help: 'Accepted calls by where they are; pending: all that have not ended; dead: the dead letters',
    labelNames: ['place'] as const,
    registers: [registry],
    async collect() {
      const read = await settled(counts);
      this.reset();
      for (const place of read === undefined ? [] : PLACES) this.set({ place }, read?.now[place] ?? 0);
    },
  });
  new Counter({
    name: 'wafer_async_total',
    help: 'Accepted calls by how they ended; lost: attempts whose worker was gone; late: results that were refused since their attempt had been given up',
    labelNames: ['event'] as const,
    registers: [registry],
    async collect() {
      const read = await settled(counts);
      this.reset();
      for (const event of read === undefined ? [] : HAPPENINGS) this.inc({ event }, read?.ever[event] ?? 0);
    },
  });
}

function createEgressGauges(registry: Registry, readings: Readings): void {
  const registers = [registry];
  new Gauge({
    name: 'wafer_egress_open',
    help: 'Connections that functions have open to the outside',
    registers,
    async collect() {
      const read = await settled(() => readings.egress?.());
      if (read === undefined) this.remove();
      else this.set(read.open);
    },
  });
  new Counter({
    name: 'wafer_egress_connections_total',
    help: 'Connections of functions that ended, and names that were refused, by verdict',
    labelNames: ['verdict'] as const,
    registers,
    async collect() {
      const read = await settled(() => readings.egress?.());
      this.reset();
      for (const verdict of read === undefined ? [] : EGRESS_VERDICTS)
        this.inc({ verdict }, read?.verdicts[verdict] ?? 0);
    },
  });
  new Counter({
    name: 'wafer_egress_bytes_total',
    help: 'Bytes of connections of functions that ended; up: sent by them',
    labelNames: ['direction'] as const,
    registers,
    async collect() {
      const read = await settled(() => readings.egress?.());
      this.reset();
      if (read === undefined) return;
      this.inc({ direction: 'up' }, read.bytesUp);
      this.inc({ direction: 'down' }, read.bytesDown);
    },
  });
}

/** The gauges of a scrape read at the same moment; it may be a walk over a disk. */
function oncePerScrape<T>(read: () => Promise<T>): () => Promise<T> {
  let current: Promise<T> | null = null;
  return () => {
    current ??= read().finally(() => {
      current = null;
    });
    return current;
  };
}

/** A part that is down must not take the metrics of all others with it: its value is absent, which can be alerted on. */
async function settled<T>(read: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch {
    return undefined;
  }
}
