/** Credentials of one session: none, Basic, or a token of the registry's token server. */
import { WaferError } from '../../errors.ts';
import { isRecord, parseJson } from '../documents.ts';
import { createMutex } from '../mutex.ts';
import { type Challenge, parseChallenge } from './challenge.ts';
import type { Credential } from './credentials.ts';
import { failureOf, transientOf } from './failure.ts';
import type { Hosts } from './hosts.ts';
import { type Http, type Reply, readSmall } from './http.ts';
import type { RegistryLimits } from './limits.ts';
import { withRetries } from './retry.ts';

export interface Authorizer {
  /** For a request to the registry's own origin. */
  header(): Record<string, string>;
  /** Answers a 401 to a request that had `used`. False when there is nothing (more) to answer it with. */
  answer(reply: Reply, used: Record<string, string>, signal: AbortSignal): Promise<boolean>;
}

export interface AuthDeps {
  http: Http;
  hosts: Hosts;
  limits: RegistryLimits;
  credential: Credential | null;
}

/** What may stand in a header, and is no longer than any real token. */
const TOKEN = /^[\x21-\x7e]{1,16384}$/;

const basic = ({ username, password }: Credential) =>
  `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;

function tokenUrl(realm: URL, service: string | null, scopes: readonly string[]): URL {
  const url = new URL(realm);
  if (service !== null) url.searchParams.set('service', service);
  // Ours, not those of the challenge: a token for more than we do is not asked for.
  url.searchParams.delete('scope');
  for (const scope of scopes) url.searchParams.append('scope', scope);
  return url;
}

function tokenOf(body: Buffer, url: URL): string {
  const value = parseJson(body);
  const token = isRecord(value) ? (value['token'] ?? value['access_token']) : undefined;
  if (typeof token === 'string' && TOKEN.test(token)) return token;
  throw new WaferError('registry_failed', `The token server ${url.host} answered without a token.`);
}

export function createAuthorizer(registry: string, scopes: readonly string[], deps: AuthDeps): Authorizer {
  const { http, hosts, limits, credential } = deps;
  let header: Record<string, string> = {};
  const oneAtATime = createMutex();

  const fetchToken = (challenge: Extract<Challenge, { scheme: 'bearer' }>, signal: AbortSignal): Promise<string> => {
    const realm = hosts.follow(challenge.realm, hosts.origin(registry), registry);
    const url = tokenUrl(realm.url, challenge.service, scopes);
    return withRetries(`Asking ${url.host} for a token`, limits, signal, async () => {
      const headers: Record<string, string> = credential === null ? {} : { authorization: basic(credential) };
      const reply = await http.send({ method: 'GET', url, headers, onlyPublic: realm.onlyPublic, signal });
      const transient = transientOf(reply);
      if (transient !== null) {
        reply.body.destroy();
        throw transient;
      }
      if (reply.status !== 200) throw await failureOf(reply, registry, 'a token', limits.smallBytes);
      return tokenOf(await readSmall(reply, limits.smallBytes, 'The token'), url);
    });
  };

  const answer = async (reply: Reply, used: Record<string, string>, signal: AbortSignal): Promise<boolean> => {
    // Another request was answered meanwhile: what it got is for all.
    if (used !== header) return true;
    const challenge = parseChallenge(reply.header('www-authenticate'));
    if (challenge === null) return false;
    if (challenge.scheme === 'bearer') {
      header = { authorization: `Bearer ${await fetchToken(challenge, signal)}` };
      return true;
    }
    if (credential === null || used['authorization'] === basic(credential)) return false;
    header = { authorization: basic(credential) };
    return true;
  };

  return {
    header: () => header,
    answer: (reply, used, signal) => oneAtATime(() => answer(reply, used, signal)),
  };
}
