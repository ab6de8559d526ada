import { Counter, Histogram, type Registry } from 'prom-client';

export interface RequestMetrics {
  observe(method: string, route: string, status: number, seconds: number): void;
}

/** By route pattern, never by path: the number of series does not depend on what clients send. */
export function createRequestMetrics(registry: Registry): RequestMetrics {
  const durations = new Histogram({
    name: 'wafer_http_request_duration_seconds',
    help: 'Time from the request head to the end of the answer; status 499: the client went away',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30],
    registers: [registry],
  });
  return {
    observe: (method, route, status, seconds) => durations.observe({ method, route, status: String(status) }, seconds),
  };
}

/** Of webhooks, by what was said of a delivery: many `bad_signature` are a forgotten rotation, or somebody who guesses. */
export function createDeliveryMetrics(registry: Registry): { count(verdict: string): void } {
  const deliveries = new Counter({
    name: 'wafer_webhook_deliveries_total',
    help: 'Deliveries to webhooks that were read, by verdict',
    labelNames: ['verdict'],
    registers: [registry],
  });
  return { count: (verdict) => deliveries.inc({ verdict }) };
}
