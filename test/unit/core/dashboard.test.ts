/** The dashboard of Grafana asks only for metrics and labels that `/metrics` has. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createDeliveryMetrics, createRequestMetrics } from '../../../services/api/metrics.ts';
import { createTelemetry } from '../../../services/core/telemetry.ts';

interface Dashboard {
  panels: { id: number; title: string; targets?: { expr: string; legendFormat: string }[] }[];
}

const read = async () =>
  JSON.parse(await readFile(join(import.meta.dirname, '../../../infra/grafana/wafer.json'), 'utf8')) as Dashboard;

async function known() {
  const telemetry = createTelemetry();
  createRequestMetrics(telemetry.registry);
  createDeliveryMetrics(telemetry.registry);
  const metrics = (await telemetry.registry.getMetricsAsJSON()) as { name: string }[];
  telemetry.close();
  return metrics.map(({ name }) => name);
}

it('every series of the dashboard is one of the platform, and every metric of the platform is on it', async () => {
  const { panels } = await read();
  const asked = new Set(
    panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => expr.match(/\b(wafer|process)_[a-z_]+/g) ?? [])),
  );
  const names = await known();
  const series = names.flatMap((name) => [name, `${name}_bucket`, `${name}_count`]);
  expect([...asked].filter((name) => !series.includes(name))).toEqual([]);
  const own = names.filter((name) => name.startsWith('wafer_'));
  expect(own.filter((name) => ![name, `${name}_bucket`, `${name}_count`].some((one) => asked.has(one)))).toEqual([]);
});

it('panels have ids of their own and a query each, but for rows', async () => {
  const { panels } = await read();
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  for (const { title, targets } of panels) expect(targets === undefined || targets.length > 0, title).toBe(true);
});
