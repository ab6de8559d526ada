/** `/openapi.json` and the browsable page at `/docs`. Register before any route. */
import fastifySwagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify';
import { COMPONENTS } from '../schemas/components.ts';
import { CONTAINER_COMPONENTS } from '../schemas/containers.ts';
import { WEBHOOK_COMPONENTS } from '../schemas/webhooks.ts';

const DESCRIPTION = `Serverless functions in rootless, layered, copy-on-write sandboxes.

Every request carries \`Authorization: Bearer <key>\`, also calls of functions at \`/fn/\`; only what is marked as open does not.
Errors are \`application/problem+json\` with a stable \`code\`. Calls answer with \`X-Wafer-Invocation\` (the id of the
invocation), \`X-Wafer-Start\` (\`cold\`, \`blank\` or \`warm\`) and \`Server-Timing\` (milliseconds per phase).`;

const TAGS = [
  { name: 'functions', description: 'Deploy, describe, roll back, remove' },
  { name: 'calls', description: 'Call a function' },
  { name: 'invocations', description: 'What was called, how it ended, what it printed' },
  { name: 'webhooks', description: 'URLs for senders of events, and what came there' },
  { name: 'secrets', description: 'Values that functions get and nobody is shown' },
  { name: 'images', description: 'Images: builds, layers, registries and archives' },
  { name: 'registry', description: 'Images for podman, skopeo and other registry clients' },
  { name: 'containers', description: 'Containers: an image, one writable layer, and what it runs' },
  { name: 'platform', description: 'Instances, health' },
];

/** What schemas of routes refer to by name. */
export const SHARED_SCHEMAS = Object.entries({
  ...COMPONENTS,
  ...CONTAINER_COMPONENTS,
  ...WEBHOOK_COMPONENTS,
}).map(([name, schema]) => ({ $id: name, ...schema }));

export async function registerOpenApi(app: FastifyInstance, version: string): Promise<void> {
  for (const schema of SHARED_SCHEMAS) app.addSchema(schema);
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Wafer', version, description: DESCRIPTION, license: { name: 'Apache-2.0' } },
      tags: TAGS,
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'The admin key' } } },
      security: [{ key: [] }],
    },
    refResolver: { buildLocalReference: ({ $id }, _base, _fragment, index) => String($id ?? `def-${index}`) },
    transform: ({ schema, url, route }) => ({ schema: documented(schema, route), url: url.replace(/\*$/, ':path') }),
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    transformStaticCSP: () => DOCS_CSP,
    logo: { type: 'image/svg+xml', content: Buffer.from(LOGO), href: '/' },
    uiConfig: { docExpansion: 'list', tryItOutEnabled: false, validatorUrl: null },
  });
}

const LOGO = `<svg xmlns="http://www.w3.org/2000/svg" width="150" height="44" viewBox="0 0 150 44" fill="none" stroke="#f0a070" stroke-width="3" stroke-linejoin="round"><path d="M26 3 49 14 26 25 3 14Z"/><path d="m3 22 23 11 23-11"/><path d="m3 30 23 11 23-11"/><text x="62" y="31" font-family="sans-serif" font-size="26" font-weight="700" fill="#fff" stroke="none">Wafer</text></svg>`;

/** Its own scripts and styles only; its style attributes need `unsafe-inline`. */
const DOCS_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

/** Adds what lives in the route's config: bodies that no schema validates, and that no key is needed. */
function documented(schema: FastifySchema | undefined, { config }: RouteOptions): FastifySchema {
  const body = config?.bodyDocs;
  const result: FastifySchema = { ...schema, ...(schema?.params ? { params: namedWildcard(schema.params) } : {}) };
  if (body !== undefined) result.body = body;
  if (config?.open === true) Object.assign(result, { security: [] });
  return result;
}

/** The router calls it `*`; in the document it has the name that the path has. */
function namedWildcard(params: unknown): unknown {
  const { properties } = params as { properties: Record<string, unknown> };
  if (!('*' in properties)) return params;
  const { '*': path, ...others } = properties;
  return { ...(params as object), properties: { ...others, path } };
}
