/**
 * Where callbacks may go: the public internet, and what the operator names. An address in a URL is
 * checked as it is; a name is looked up when the URL is given, so that whoever sends it hears of it,
 * and again for each connection, which goes to the addresses that were checked and to no others.
 */
import { lookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { readAllowedHosts } from '../../allowed-hosts.ts';
import { WaferError } from '../../errors.ts';
import { badCallbackUrl, toFollower } from '../../functions/followers.ts';
import type { FunctionConfig } from '../../functions/schema.ts';
import { isPublicAddress } from '../../public-address.ts';

export interface Resolved {
  address: string;
  family: number;
}

/** All addresses of a name; rejects when there are none. */
export type Resolve = (name: string) => Promise<Resolved[]>;

export interface AddressGuard {
  /** Why the URL may not be called, as far as that can be said now; null: it may. */
  problem(url: string): Promise<string | null>;
  /** For one connection: its look-up, which fails for addresses that are not public; undefined when it may go anywhere. */
  open(url: string): { problem: string } | { url: URL; lookup: LookupFunction | undefined };
}

export interface GuardOptions {
  /** `host`, `host:port` or a network: may be called although it is private. */
  allowed: readonly string[];
  resolve?: Resolve;
}

export const NOT_PUBLIC = 'that address is not public';
export const HOSTS_HINT =
  'WAFER_CALLBACK_HOSTS names hosts and networks that may be called although their addresses are private.';

const resolveAll: Resolve = (name) => lookup(name, { all: true, verbatim: true });

export function createAddressGuard({ allowed, resolve = resolveAll }: GuardOptions): AddressGuard {
  const own = readAllowedHosts(allowed);
  const isFine = (address: string) => isPublicAddress(address) || own.hasAddress(address);
  const open: AddressGuard['open'] = (text) => {
    const wrong = badCallbackUrl(text);
    if (wrong !== null) return { problem: wrong };
    const url = new URL(text);
    if (own.hasHost(url)) return { url, lookup: undefined };
    const literal = url.hostname.replace(/^\[|\]$/g, '');
    if (isIP(literal) !== 0 && !isFine(literal)) return { problem: refusal(url.hostname, literal) };
    return { url, lookup: guardedLookup(resolve, isFine) };
  };
  return {
    open,
    async problem(text) {
      const opened = open(text);
      if ('problem' in opened) return opened.problem;
      const { url, lookup: guarded } = opened;
      if (guarded === undefined || isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0) return null;
      // A name that can not be resolved now may be there when it is needed.
      const found = await resolve(url.hostname).catch((): Resolved[] => []);
      const bad = found.find(({ address }) => !isFine(address));
      return bad === undefined ? null : refusal(url.hostname, bad.address);
    },
  };
}

const refusal = (host: string, address: string) =>
  `must not lead to ${address}${host === address ? '' : ` (${host})`}: ${NOT_PUBLIC}`;

/** One address that is not public refuses the name: a receiver does not choose between the two. */
const guardedLookup =
  (resolve: Resolve, isFine: (address: string) => boolean): LookupFunction =>
  (hostname, options, done) => {
    resolve(hostname).then(
      (addresses) => {
        const bad = addresses.find(({ address }) => !isFine(address));
        if (bad !== undefined) return done(new Error(`the URL ${refusal(hostname, bad.address)}`), []);
        if (options.all === true) return done(null, addresses);
        const [first] = addresses;
        return first === undefined ? done(new Error('it has no address'), []) : done(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => done(error, []),
    );
  };

type Followers = Pick<FunctionConfig, 'onSuccess' | 'onFailure'>;

/** Before a version is kept. @throws WaferError `invalid_config` */
export const assertFollowers =
  (guard: AddressGuard) =>
  async ({ onSuccess, onFailure }: Followers): Promise<void> => {
    for (const [key, text] of Object.entries({ onSuccess, onFailure })) {
      const follower = text === undefined ? undefined : toFollower(text);
      const problem = follower?.kind === 'url' ? await guard.problem(follower.url) : null;
      if (problem === null) continue;
      throw new WaferError('invalid_config', `/${key}: ${problem}.`, {
        ...(problem.endsWith(NOT_PUBLIC) && { hint: HOSTS_HINT }),
        details: { path: `/${key}`, problems: [{ path: `/${key}`, problem }] },
      });
    }
  };
