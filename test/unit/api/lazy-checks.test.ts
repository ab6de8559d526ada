import AjvCompiler from '@fastify/ajv-compiler';
import type { FastifySchema } from 'fastify';
import { describe, expect, test } from 'vitest';
import { buildApp } from '../../../services/api/app.ts';
import { CHECK_OPTIONS, lazyChecks } from '../../../services/api/http/lazy-checks.ts';
import { SHARED_SCHEMAS } from '../../../services/api/openapi/register.ts';
import { createFakePlatform } from '../../helpers/fake-platform.ts';

const compiler = AjvCompiler();
const PARTS = ['body', 'querystring', 'params', 'headers'] as const;

/** Every part of a request that a route has a schema for. */
async function parts() {
  const found: [string, unknown][] = [];
  const app = buildApp(createFakePlatform());
  app.addHook('onRoute', ({ method, url, schema = {} }) => {
    const { body, ...others } = schema as FastifySchema & { body?: { content?: Record<string, { schema: unknown }> } };
    const bodies = Object.entries(body?.content ?? {}).map(([type, one]) => [`body as ${type}`, one.schema] as const);
    const all = bodies.length > 0 ? bodies : [['body', body] as const];
    for (const part of PARTS.slice(1)) all.push([part, others[part as 'params']] as never);
    for (const [part, one] of all) if (one !== undefined) found.push([`${String(method)} ${url} ${part}`, one]);
  });
  await app.ready();
  await app.close();
  return found;
}
const all = await parts();
const shared = Object.fromEntries(SHARED_SCHEMAS.map((schema) => [schema.$id, schema]));

describe('what a request must be', () => {
  test('is there for most routes', () => expect(all.length).toBeGreaterThan(100));

  test.each(all)('compiles: %s', (_, schema) => {
    expect(compiler(shared, { customOptions: CHECK_OPTIONS })({ schema } as never)).toBeTypeOf('function');
  });

  test('is compiled when it is asked first, once', () => {
    let compiled = 0;
    const counting: typeof compiler = (...given) => {
      const build = compiler(...given);
      return (...route) => {
        compiled++;
        return build(...route);
      };
    };
    const check = lazyChecks(counting)({}, { customOptions: CHECK_OPTIONS })({
      schema: { type: 'string' },
    } as never);
    expect(compiled).toBe(0);
    expect([check('text'), check.errors ?? null]).toEqual([true, null]);
    expect([check(1), check.errors]).toMatchObject([false, [{ keyword: 'type' }]]);
    expect([check('text'), check.errors ?? null]).toEqual([true, null]);
    expect(compiled).toBe(1);
  });
});
