import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { afterAll, onTestFinished } from 'vitest';
import { buildApp } from '../../../services/api/app.ts';
import type { ApiDeps } from '../../../services/api/deps.ts';
import { AUTH, createFakePlatform, type FakePlatform } from '../../helpers/fake-platform.ts';

export interface TestApp {
  app: FastifyInstance;
  platform: FakePlatform;
  /** With the key. */
  send(options: InjectOptions): Promise<LightMyRequestResponse>;
}

/** Of this test alone. */
export async function testApp(extra: Partial<ApiDeps> = {}): Promise<TestApp> {
  const made = await makeApp(extra);
  onTestFinished(() => made.app.close());
  return made;
}

let shared: Promise<TestApp> | undefined;
afterAll(async () => (await shared)?.app.close());

/** For tests of a file that only ask, or are refused, and leave the platform as it was: an app takes a tenth of a second to make. */
export function sharedApp(): Promise<TestApp> {
  shared ??= makeApp({});
  return shared;
}

async function makeApp(extra: Partial<ApiDeps>): Promise<TestApp> {
  const platform = createFakePlatform(extra);
  const app = buildApp(platform);
  await app.ready();
  const send = (options: InjectOptions) => app.inject({ ...options, headers: { ...AUTH, ...options.headers } });
  return { app, platform, send };
}
