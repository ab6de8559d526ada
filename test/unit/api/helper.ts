import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { onTestFinished } from 'vitest';
import { buildApp } from '../../../services/api/app.ts';
import type { ApiDeps } from '../../../services/api/deps.ts';
import { AUTH, createFakePlatform, type FakePlatform } from '../../helpers/fake-platform.ts';

export interface TestApp {
  app: FastifyInstance;
  platform: FakePlatform;
  /** With the key. */
  send(options: InjectOptions): Promise<LightMyRequestResponse>;
}

/** With limits of its own; an app takes a tenth of a second to make, so what needs none asks `testApp`. */
export async function appWithLimits(limits: NonNullable<ApiDeps['limits']>): Promise<TestApp> {
  const platform = createFakePlatform({ limits });
  const app = buildApp(platform);
  onTestFinished(() => app.close());
  await app.ready();
  return { app, platform, send: sender(app) };
}

let shared: FastifyInstance | undefined;
let current: FakePlatform;

/** An app over a platform of this test's own; the app itself is every test's, and asks the platform that was made last. */
export async function testApp(extra: Partial<Omit<ApiDeps, 'limits'>> = {}): Promise<TestApp> {
  current = createFakePlatform(extra);
  shared ??= buildApp(throughCurrent(current));
  await shared.ready();
  return { app: shared, platform: current, send: sender(shared) };
}

const sender = (app: FastifyInstance): TestApp['send'] => {
  return (options) => app.inject({ ...options, headers: { ...AUTH, ...options.headers } });
};

/** Of each part that a route holds on to, what is the current platform's when it is used. */
function throughCurrent(first: FakePlatform): ApiDeps {
  const parts = Object.keys(first).map((key) => {
    const name = key as keyof ApiDeps;
    const part = first[name];
    if (typeof part === 'function') return [name, () => (current[name] as () => unknown)()];
    if (typeof part !== 'object' || name === 'log') return [name, part];
    return [name, new Proxy(part, { get: (_, property) => Reflect.get(current[name] as object, property) })];
  });
  return Object.fromEntries(parts);
}
