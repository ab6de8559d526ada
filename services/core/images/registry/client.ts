/** Sessions with registries: who may speak how to whom. */
import type { Credential, Credentials } from './credentials.ts';
import { failureOf } from './failure.ts';
import { createHosts } from './hosts.ts';
import { createHttp } from './http.ts';
import { REGISTRY_LIMITS, type RegistryLimits } from './limits.ts';
import type { Proxies } from './proxies.ts';
import { createSession, type RegistrySession } from './session.ts';

export interface RegistryClientOptions {
  /** Spoken to over plain HTTP; also hosts that registries may send us to although they are not public. */
  insecure: readonly string[];
  credentials: Pick<Credentials, 'get'>;
  limits?: Partial<RegistryLimits>;
  /** Default: none. */
  proxies?: Proxies;
}

export interface RegistryClient {
  /** Runs `work` with a session for these scopes (`repository:a/b:pull`); its connections end with it. */
  use<T>(registry: string, scopes: readonly string[], work: (session: RegistrySession) => Promise<T>): Promise<T>;
  /** Tries a name and a password. @throws WaferError `registry_denied` */
  check(registry: string, credential: Credential, signal: AbortSignal): Promise<void>;
}

export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const limits: RegistryLimits = { ...REGISTRY_LIMITS, ...options.limits };
  const hosts = createHosts(options.insecure);

  const withSession = async <T>(
    registry: string,
    scopes: readonly string[],
    credential: Credential | null,
    work: (session: RegistrySession) => Promise<T>,
  ): Promise<T> => {
    const http = createHttp(limits, options.proxies);
    try {
      return await work(createSession(registry, scopes, { http, hosts, limits, credential }));
    } finally {
      http.close();
    }
  };

  return {
    use: async (registry, scopes, work) => withSession(registry, scopes, await options.credentials.get(registry), work),
    check: (registry, credential, signal) =>
      withSession(registry, [], credential, async (session) => {
        const what = 'a login';
        const reply = await session.request({ method: 'GET', to: '', expect: [200, 401, 403], what, signal });
        if (reply.status !== 200) throw await failureOf(reply, registry, what, limits.smallBytes);
        reply.body.destroy();
      }),
  };
}
