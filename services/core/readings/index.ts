/** The series of what is read at each scrape, for all parts of the platform. */
import type { Registry } from 'prom-client';
import { oncePerScrape, type SeriesOf, seriesIn } from './series.ts';
import type { Readings } from './types.ts';
import { volumeSeries } from './volumes.ts';

export type { InstanceState, Readings } from './types.ts';

/** `readings` is looked at again at each scrape: parts are added to it when they are there. */
export function registerReadings(registry: Registry, readings: Readings): void {
  const series = seriesIn(registry);
  poolSeries(series, readings);
  engineSeries(series, readings);
  storeSeries(series, readings);
  volumeSeries(series, readings);
  durableSeries(series, readings);
  egressSeries(series, readings);
}

function poolSeries({ gauge, gaugeBy }: SeriesOf, readings: Readings): void {
  const instances = { name: 'wafer_instances', help: 'Instances by state' };
  gaugeBy('state', instances, () => readings.instances?.());
  const used = {
    name: 'wafer_namespace_used',
    help: 'What instances of functions may use together, by their limits; cpu: in cores, 1 for those without a limit',
  };
  gaugeBy('resource', used, () => readings.sums?.().used);
  const limit = { name: 'wafer_namespace_limit', help: 'What they may have together; absent without a limit' };
  gaugeBy('resource', limit, () => readings.sums?.().limit);
  gauge({ name: 'wafer_calls_waiting', help: 'Calls that wait for an instance' }, () => readings.queued?.());
  const ready = { name: 'wafer_blanks_ready', help: 'Booted runtimes that wait for a first call' };
  gauge(ready, () => readings.blanks?.().ready);
  const booting = { name: 'wafer_blanks_booting', help: 'Runtimes that boot to wait for a first call' };
  gauge(booting, () => readings.blanks?.().booting);
  gauge({ name: 'wafer_functions', help: 'Functions that are deployed' }, () => readings.functions?.());
}

function engineSeries({ gauge }: SeriesOf, readings: Readings): void {
  const read = oncePerScrape(async () => readings.engine?.());
  const sandboxes = { name: 'wafer_engine_sandboxes', help: 'Sandboxes of the engine, of any kind' };
  gauge(sandboxes, async () => (await read())?.sandboxes);
  gauge({ name: 'wafer_engine_fds', help: 'Open files of the engine' }, async () => (await read())?.fds);
  const ids = { name: 'wafer_engine_ids', help: 'Private user ids that sandboxes have' };
  gauge(ids, async () => (await read())?.ids);
}

function storeSeries({ gauge }: SeriesOf, readings: Readings): void {
  const read = oncePerScrape(async () => readings.store?.());
  const bytes = { name: 'wafer_store_bytes', help: 'Bytes of compressed layers and manifests' };
  gauge(bytes, async () => (await read())?.blobsBytes);
  gauge({ name: 'wafer_store_layers', help: 'Layers in the image store' }, async () => (await read())?.layers);
  gauge({ name: 'wafer_store_images', help: 'Images in the image store' }, async () => (await read())?.images);
}

/** Over all workers, so each platform on one Redis says the same. */
function durableSeries({ gaugeBy, counterBy }: SeriesOf, readings: Readings): void {
  const read = oncePerScrape(async () => readings.durable?.());
  const now = {
    name: 'wafer_async_calls',
    help: 'Accepted calls by where they are; pending: all that have not ended; dead: the dead letters',
  };
  gaugeBy('place', now, async () => (await read())?.now);
  const ever = {
    name: 'wafer_async_total',
    help: 'Accepted calls by how they ended; lost: attempts whose worker was gone; late: results that were refused since their attempt had been given up',
  };
  counterBy('event', ever, async () => (await read())?.ever);
}

function egressSeries({ gauge, counterBy }: SeriesOf, readings: Readings): void {
  const read = () => readings.egress?.();
  gauge({ name: 'wafer_egress_open', help: 'Connections that functions have open to the outside' }, () => read()?.open);
  const connections = {
    name: 'wafer_egress_connections_total',
    help: 'Connections of functions that ended, and names that were refused, by verdict',
  };
  counterBy('verdict', connections, () => read()?.verdicts);
  const bytes = {
    name: 'wafer_egress_bytes_total',
    help: 'Bytes of connections of functions that ended; up: sent by them',
  };
  counterBy('direction', bytes, () => {
    const totals = read();
    return totals && { up: totals.bytesUp, down: totals.bytesDown };
  });
}
