import { describe, expect, test } from 'vitest';
import { buildApp } from '../../../services/api/app.ts';
import { createFakePlatform } from '../../helpers/fake-platform.ts';

interface Operation {
  summary?: string;
  operationId?: string;
  parameters?: { name: string; in: string; description?: string }[];
  requestBody?: { content: Record<string, unknown> };
  responses: Record<string, { description?: string; content?: Record<string, { schema?: object; example?: unknown }> }>;
}

async function load() {
  const app = buildApp(createFakePlatform());
  const routes: { method: string; url: string }[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.push({ method: one.toLowerCase(), url });
  });
  const document = (await app.inject('/openapi.json')).json() as {
    openapi: string;
    paths: Record<string, Record<string, Operation>>;
  };
  await app.close();
  return { document, routes };
}
const { document, routes } = await load();
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => [`${method} ${path}`, operation, path] as const),
);

describe('/openapi.json', () => {
  test('has every route there is, but the pages of /docs and the HEAD twins', () => {
    const wanted = routes.filter(({ method, url }) => method !== 'head' && !url.startsWith('/docs'));
    expect(wanted.length).toBeGreaterThan(25);
    const missing = wanted.filter(({ method, url }) => {
      const path = url.replace(/\*$/, '{path}').replace(/:([a-z]+)/g, '{$1}');
      return document.paths[path]?.[method] === undefined;
    });
    expect(missing).toEqual([]);
  });

  test('has no reference that leads nowhere', () => {
    const refs: string[] = [];
    JSON.stringify(document, (key, value) => {
      if (key === '$ref') refs.push(value);
      return value;
    });
    expect(refs.length).toBeGreaterThan(20);
    const dangling = [...new Set(refs)].filter((ref) => {
      const path = ref.replace(/^#\//, '').split('/');
      return (
        path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document) === undefined
      );
    });
    expect(dangling).toEqual([]);
  });

  test('gives every operation an id of its own', () => {
    const ids = operations.map(([, { operationId }]) => operationId);
    expect(ids.every((id) => id !== undefined && id !== '')).toBe(true);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test.each(operations)('%s has summary, parameters, answers, a problem and an example', (_name, operation, path) => {
    expect(operation.summary).toBeTruthy();
    const named = [...path.matchAll(/\{([a-z]+)\}/g)].map(([, name]) => name);
    const parameters = (operation.parameters ?? []).filter(({ in: where }) => where === 'path').map(({ name }) => name);
    expect(parameters.sort()).toEqual(named.sort());
    expect((operation.parameters ?? []).every(({ description }) => description)).toBe(true);
    expect(Object.keys(operation.responses).some((status) => /^(2|101$)/.test(status))).toBe(true);
    // Clients of registries read another shape.
    const problem = path.startsWith('/v2/') ? 'application/json' : 'application/problem+json';
    const problems = Object.values(operation.responses).filter(({ content }) => content?.[problem]);
    expect(problems.length).toBeGreaterThan(0);
    expect(JSON.stringify(operation)).toContain('example');
    expect(Object.values(operation.responses).every(({ description }) => description)).toBe(true);
  });
});
