/** What a registry has: its list of repositories (`_catalog`), page after page, by a part of the name. */
import { WaferError } from '../../errors.ts';
import { isRecord, parseJson } from '../documents.ts';
import type { RegistryClient } from './client.ts';
import { failureOf } from './failure.ts';
import { type Reply, readSmall, TransientError } from './http.ts';
import type { RegistrySession } from './session.ts';

export interface SearchOptions {
  /** Part of a name; '' finds all. */
  term: string;
  limit: number;
  signal: AbortSignal;
}

export interface SearchResult {
  registry: string;
  repositories: string[];
  /** There may be more. */
  isCut: boolean;
}

const PAGE = 500;
/** A catalog that goes on for longer is no list of repositories. */
const MAX_PAGES = 200;
const NAME = /^[a-z0-9]+(?:[._/-]+[a-z0-9]+)*$/;
const CATALOG_SCOPE = 'registry:catalog:*';

/** Many registries keep the list to themselves; which status says so differs. */
function notOffered(registry: string, reply: Reply): WaferError {
  reply.body.destroy();
  return new WaferError('registry_failed', `${registry} does not offer a list of its repositories.`, {
    hint: `Its own web page may have a search. With the name "wafer image pull ${registry}/NAME" works all the same.`,
  });
}

async function readPage(
  session: RegistrySession,
  to: Parameters<RegistrySession['request']>[0]['to'],
  signal: AbortSignal,
) {
  const { registry, limits } = session;
  const what = 'its list of repositories';
  const reply = await session.request({ method: 'GET', to, expect: [200, 400, 401, 403, 404, 405, 501], what, signal });
  if (reply.status === 401 || reply.status === 403) throw await failureOf(reply, registry, what, limits.smallBytes);
  if (reply.status !== 200) throw notOffered(registry, reply);
  const bytes = await readSmall(reply, limits.documentBytes, 'The list of repositories').catch((error: unknown) => {
    if (error instanceof TransientError)
      throw new WaferError('registry_failed', `${registry}: ${error.message}.`, { cause: error });
    throw error;
  });
  const value = parseJson(bytes);
  const names = isRecord(value) ? (value['repositories'] ?? []) : null;
  if (!Array.isArray(names) || !names.every((one) => typeof one === 'string'))
    throw new WaferError('registry_failed', `${registry} answered with something else than a list of repositories.`);
  const [, next] = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(reply.header('link') ?? '') ?? [];
  return { names, next: next === undefined ? null : session.locate(next, reply.url) };
}

/** @throws WaferError `registry_denied | registry_failed` */
export async function searchRegistry(
  client: RegistryClient,
  registry: string,
  { term, limit, signal }: SearchOptions,
): Promise<SearchResult> {
  const wanted = term.toLowerCase();
  return client.use(registry, [CATALOG_SCOPE], async (session) => {
    const found = new Set<string>();
    let to: Parameters<typeof readPage>[1] = `_catalog?n=${PAGE}`;
    for (let page = 0; page < MAX_PAGES; page++) {
      const { names, next } = await readPage(session, to, signal);
      // A name that can not be pulled is not shown: it may be anything.
      for (const name of names) if (name.length <= 255 && NAME.test(name) && name.includes(wanted)) found.add(name);
      if (found.size > limit || next === null) break;
      to = next;
    }
    const repositories = [...found].sort();
    return { registry, repositories: repositories.slice(0, limit), isCut: repositories.length > limit };
  });
}
