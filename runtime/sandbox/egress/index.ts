/**
 * The network policy of sandboxes, on the host's side. The relay hands over every
 * connection and every DNS query of a sandbox; here it is decided, looked up,
 * checked and connected.
 *
 *   name of a peer  -> a synthetic address -> that sandbox, through the engine, without a policy
 *   name asked      -> policy by name -> a synthetic address (dns-session.ts)
 *   connection      -> synthetic address -> name -> rule -> look-up -> every address
 *                      checked -> connected to a checked address, by address
 *                   -> any other address -> rule -> checked -> connected
 *
 * Denied and failed connections are reset inside, and every one leaves a verdict.
 */
import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';
import type { EgressAccount, EgressPolicy, EgressVerdict } from '../types.ts';
import { type Address, notPublic, parseAddress } from './addresses.ts';
import { type Connect, connectDirect, dial } from './dial.ts';
import { createDnsRate, type DnsContext, serveDns } from './dns-session.ts';
import { createNameTable, MAX_NAMES, NAME_SERVER, type NameTable } from './names.ts';
import { createResolve, type Resolve } from './resolve.ts';
import { compilePolicy, type Policy, refuseText } from './rules.ts';
import { tunnel } from './tunnel.ts';

export type { EgressVerdict } from '../types.ts';
export { HOST_NAME } from './resolve.ts';

/** The id of the live sandbox that a name (lower case, no dot at the end) means; asked each time. */
export type Peers = (name: string) => string | null;
export type ConnectPeer = (sandboxId: string, port: number) => Promise<Duplex>;

export interface EgressOptions {
  resolve?: Resolve;
  connect?: Connect;
  /** Rejects when the sandbox is not live or the port is closed. */
  connectPeer?: ConnectPeer;
  /** Must not throw. */
  onVerdict: (verdict: EgressVerdict) => void;
  /** Milliseconds, monotonic; for the rate of DNS queries. */
  now?: () => number;
}

export interface SessionOptions {
  peers?: Peers | undefined;
  account?: EgressAccount | undefined;
}

export interface Egress {
  /** What a sandbox of that id had open is cut. @throws SandboxError `invalid_policy`; all is as it was then */
  register(sandboxId: string, policy: EgressPolicy, options?: SessionOptions): void;
  /** Cuts everything of the sandbox. Idempotent. */
  unregister(sandboxId: string): void;
  /** Owns `duplex` (paused, half-open allowed). `address` as the sandbox used it. */
  handleTcp(sandboxId: string, address: string, port: number, duplex: Duplex): void;
  /** Owns `duplex`: the framed DNS stream. A new one replaces the last. */
  handleDns(sandboxId: string, duplex: Duplex): void;
}

const MAX_CONNECTIONS = 256;
const DNS_PORT = 53;

interface Session {
  id: string;
  policy: Policy;
  peers: Peers;
  account: EgressAccount | undefined;
  names: NameTable;
  streams: Set<Duplex>;
  dns: Duplex | null;
  mayAsk: () => boolean;
  refusedNames: Set<string>;
  gone: AbortController;
}

interface Host {
  resolve: Resolve;
  connect: Connect;
  connectPeer: ConnectPeer;
  report: (session: Session, verdict: Partial<EgressVerdict>) => void;
}

export function createEgress(options: EgressOptions): Egress {
  const sessions = new Map<string, Session>();
  const now = options.now ?? (() => performance.now());
  const host: Host = {
    resolve: options.resolve ?? createResolve(),
    connect: options.connect ?? connectDirect,
    connectPeer: options.connectPeer ?? (() => Promise.reject(new Error('there are no peers here'))),
    report(session, verdict) {
      const whole = { ...blankVerdict(session.id), ...verdict };
      session.account?.record(whole);
      options.onVerdict(whole);
    },
  };
  const unregister = (sandboxId: string) => {
    const session = sessions.get(sandboxId);
    if (session === undefined) return;
    sessions.delete(sandboxId);
    session.gone.abort();
    session.dns?.destroy();
    for (const stream of session.streams) stream.destroy();
  };
  return {
    register(sandboxId, policy, sessionOptions = {}) {
      const session = createSession(sandboxId, compilePolicy(policy), sessionOptions, now);
      unregister(sandboxId);
      sessions.set(sandboxId, session);
    },
    unregister,
    handleTcp(sandboxId, address, port, duplex) {
      duplex.on('error', () => duplex.destroy());
      const session = sessions.get(sandboxId);
      if (session === undefined) return void duplex.destroy();
      if (address === NAME_SERVER && port === DNS_PORT) serveDnsOverTcp(session, duplex, host);
      else handleTcp(session, { address, port }, duplex, host);
    },
    handleDns(sandboxId, duplex) {
      duplex.on('error', () => duplex.destroy());
      const session = sessions.get(sandboxId);
      if (session === undefined) return void duplex.destroy();
      session.dns?.destroy();
      session.dns = duplex;
      serveDns(duplex, dnsContext(session, host));
    },
  };
}

const blankVerdict = (sandboxId: string): EgressVerdict => ({
  sandboxId,
  host: null,
  address: null,
  port: 0,
  verdict: 'denied',
  reason: '',
  bytesUp: 0,
  bytesDown: 0,
  durationMs: 0,
});

const createSession = (id: string, policy: Policy, { peers, account }: SessionOptions, now: () => number): Session => ({
  id,
  policy,
  peers: peers ?? (() => null),
  account,
  names: createNameTable(),
  streams: new Set(),
  dns: null,
  mayAsk: createDnsRate(now),
  refusedNames: new Set(),
  gone: new AbortController(),
});

const dnsContext = (session: Session, host: Host): DnsContext => ({
  policy: session.policy,
  peers: session.peers,
  names: session.names,
  onRefused: (name, reason) => reportName(session, name, reason, host),
  allow: session.mayAsk,
});

/** Resolvers do this when they are told to, and after an answer that was cut. It counts as one of the connections. */
function serveDnsOverTcp(session: Session, duplex: Duplex, host: Host): void {
  if (session.streams.size >= MAX_CONNECTIONS) return void duplex.destroy();
  session.streams.add(duplex);
  duplex.once('close', () => session.streams.delete(duplex));
  serveDns(duplex, dnsContext(session, host), 'tcp');
}

/** Once per name: resolvers ask again and again. */
function reportName(session: Session, name: string, reason: string, host: Host): void {
  if (session.refusedNames.has(name) || session.refusedNames.size >= MAX_NAMES) return;
  session.refusedNames.add(name);
  host.report(session, { host: name, reason });
}

interface Target {
  address: string;
  port: number;
}

/** Never rejects: whatever happens is a verdict and a closed stream. */
async function handleTcp(session: Session, target: Target, duplex: Duplex, host: Host): Promise<void> {
  const began = performance.now();
  const verdict: Partial<EgressVerdict> = { port: target.port };
  const { account } = session;
  session.streams.add(duplex);
  try {
    const plan = planRoute(session, target, verdict);
    const refused = account?.open() ?? null;
    if (refused !== null) throw new Denied(refused);
    await carry(plan, session, duplex, host, verdict).finally(() => account?.close());
  } catch (error) {
    Object.assign(verdict, error instanceof Denied ? { verdict: 'denied', reason: error.message } : failed(error));
  }
  duplex.destroy();
  session.streams.delete(duplex);
  host.report(session, { ...verdict, durationMs: performance.now() - began });
}

/** @throws whatever keeps it from being connected */
async function carry(
  plan: Route,
  session: Session,
  duplex: Duplex,
  host: Host,
  verdict: Partial<EgressVerdict>,
): Promise<void> {
  const { socket, address } = await openRoute(plan, session, host);
  verdict.address = address;
  const { error, ...bytes } = await tunnel(duplex, socket, (count) => session.account?.carry(count) ?? null);
  Object.assign(verdict, bytes, error ? failed(error) : { verdict: 'allowed', reason: plan.reason });
}

const failed = (error: unknown) => ({
  verdict: 'failed' as const,
  reason: error instanceof Error ? error.message : String(error),
});

/** The policy is against it. */
class Denied extends Error {}

interface Route {
  /** A live sandbox, in which only the port is looked for. */
  peer: string | null;
  /** A name to look up, or one address that was checked already. */
  name: string | null;
  trust: boolean;
  target: Target;
  reason: string;
}

/** @throws Denied */
function planRoute(session: Session, target: Target, verdict: Partial<EgressVerdict>): Route {
  if (session.streams.size > MAX_CONNECTIONS) throw new Denied(`more than ${MAX_CONNECTIONS} connections`);
  const name = session.names.nameOf(target.address);
  if (name === null) throw new Denied('the address was not given out to this sandbox');
  if (name !== undefined) {
    verdict.host = name;
    const peer = session.peers(name);
    if (peer !== null) return { peer, name, trust: false, target, reason: 'peer' };
    const rule = session.policy.matchName(name, target.port);
    if (rule === null) throw new Denied(session.policy.whyNoName(name, target.port));
    return { peer: null, name, trust: rule.trust, target, reason: rule.trust ? 'trusted rule' : 'rule' };
  }
  verdict.address = target.address;
  const refused = refuseText(session.policy, target.address, target.port, 'address', ownAddresses());
  if (refused !== null) throw new Denied(refused);
  return { peer: null, name: null, trust: false, target, reason: 'address rule' };
}

interface Opened {
  socket: Duplex;
  /** Null of a peer, which has none. */
  address: string | null;
}

async function openRoute(route: Route, session: Session, host: Host): Promise<Opened> {
  const { peer, name, trust, target } = route;
  const { signal } = session.gone;
  if (peer !== null) return { socket: await openPeer(peer, target.port, session, host), address: null };
  if (name === null) return dial([target.address], target.port, host.connect, signal);
  const found = await host.resolve(name, trust);
  if (trust) return dial(interleave(found), target.port, host.connect, signal);
  const own = ownAddresses();
  const reasons = found.map((address) => refuseText(session.policy, address, target.port, 'name', own));
  const good = found.filter((_, i) => reasons[i] === null);
  if (good.length === 0 && found.length > 0) throw new Denied(reasons[0] ?? 'no address is allowed');
  return dial(interleave(good), target.port, host.connect, signal);
}

async function openPeer(peer: string, port: number, session: Session, host: Host): Promise<Duplex> {
  const socket = await host.connectPeer(peer, port);
  if (!session.gone.signal.aborted) return socket;
  socket.destroy();
  throw new Error('the sandbox is gone');
}

/** IPv4 and IPv6 in turns, so that one broken family costs one try. */
function interleave(addresses: string[]): string[] {
  const isV6 = (address: string) => address.includes(':');
  const v4 = addresses.filter((address) => !isV6(address));
  const v6 = addresses.filter(isV6);
  const [first, second] = isV6(addresses[0] ?? '') ? [v6, v4] : [v4, v6];
  return first.flatMap((address, i) => [address, ...second.slice(i, i + 1)]).concat(second.slice(first.length));
}

/** Read at each use: interfaces come and go. Those of `lo`, too, but for loopback itself, which has its own class. */
function ownAddresses(): Address[] {
  return Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).flatMap(({ address }) => {
      const parsed = parseAddress(address.replace(/%.*$/, ''));
      return parsed === null || notPublic(parsed)?.name === 'loopback' ? [] : [parsed];
    }),
  );
}
