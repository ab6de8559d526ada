/**
 * The host's look-up of a name. Names that the operator vouches for (`trusted`) go
 * through the system's resolver (hosts file, search rules and all); names that a
 * guest made up go to the name servers only, and never take a thread of the pool
 * that file work needs.
 */
import { lookup, Resolver } from 'node:dns/promises';

/** The addresses of a name, in the order to try. Rejects when there are none. */
export type Resolve = (name: string, trusted: boolean) => Promise<string[]>;

/** In a sandbox 127.0.0.1 is the sandbox; under this name a trusted rule reaches the machine it runs on. */
export const HOST_NAME = 'host.wafer.internal';

export function createResolve(): Resolve {
  return async (name, trusted) => {
    if (name === HOST_NAME) return ['127.0.0.1', '::1'];
    if (trusted) return (await lookup(name, { all: true, verbatim: true })).map(({ address }) => address);
    const resolver = new Resolver({ timeout: 2500, tries: 2 });
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const found = [v4, v6].flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
    if (found.length === 0 && v4.status === 'rejected') throw v4.reason;
    return found;
  };
}
