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

export async function testApp(extra: Partial<ApiDeps> = {}): Promise<TestApp> {
  const platform = createFakePlatform(extra);
  const app = buildApp(platform);
  onTestFinished(() => app.close());
  await app.ready();
  const send = (options: InjectOptions) => app.inject({ ...options, headers: { ...AUTH, ...options.headers } });
  return { app, platform, send };
}
