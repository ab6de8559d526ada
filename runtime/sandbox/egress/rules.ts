/**
 * Policies, compiled once per sandbox, and the two questions asked of them: may this
 * name be looked up, and may this address be connected to (directly, or as what a
 * name resolved to).
 *
 * An address that is not public passes only where the policy means it: by a rule
 * with `trustResolved` for the name, or by an address or network rule that lies
 * inside the same special network (so `0.0.0.0/0` opens the internet, and not the
 * host's neighbours). Addresses of the host's own interfaces need a rule for
 * exactly that address.
 *
 * A policy within a ceiling allows what both allow, each by its own rules.
 */
import { type EgressPolicy, type EgressRule, type EgressRules, SandboxError } from '../types.ts';
import { type Address, contains, covers, type Network, notPublic, parseAddress, parseNetwork } from './addresses.ts';

type Matcher =
  | { kind: 'any' }
  | { kind: 'name'; name: string }
  | { kind: 'suffix'; suffix: string }
  | { kind: 'network'; network: Network };

type Rule = Matcher & { port: number | '*'; trust: boolean };

export interface Policy {
  /** May the name be connected to on some port? */
  allowsName(name: string): boolean;
  /** The rule for a name and port; `trust`: wherever it leads. `null`: none. */
  matchName(name: string, port: number): { trust: boolean } | null;
  /** Of a name and port that `matchName` knows no rule for. */
  whyNoName(name: string, port: number): string;
  /** `null`: allowed. Otherwise the reason against it. */
  refuseAddress(address: Address, port: number, by: 'name' | 'address', own: readonly Address[]): string | null;
}

/** Lower case, no trailing dot. `null` when it is no host name that could be looked up. */
export function normaliseName(text: string): string | null {
  const name = text.toLowerCase().replace(/\.$/, '');
  if (name.length === 0 || name.length > 253) return null;
  if (!name.split('.').every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))) return null;
  // A last label of digits (or 0x...) is a number form of an address, never a top-level domain.
  return /(^|\.)(\d+|0x[0-9a-f]*)$/.test(name) ? null : name;
}

function compileHost(host: string): Matcher {
  if (host === '*') return { kind: 'any' };
  const network = parseNetwork(host.replace(/^\[(.*)\]$/, '$1'));
  if (network !== null) return { kind: 'network', network };
  const suffix = host.startsWith('*.') ? normaliseName(host.slice(2)) : null;
  if (suffix !== null) return { kind: 'suffix', suffix: `.${suffix}` };
  const name = normaliseName(host);
  if (name === null) throw invalid(`"${host}" is no host name, "*.suffix", address or network`);
  return { kind: 'name', name };
}

function compileRule({ host, port, trustResolved }: EgressRule): Rule {
  if (port !== '*' && !(Number.isInteger(port) && port > 0 && port < 65536))
    throw invalid(`bad port ${port} for ${host}`);
  return { ...compileHost(host), port, trust: trustResolved === true };
}

const invalid = (message: string) => new SandboxError('invalid_policy', 'egress', message);

function coversName(rule: Rule, name: string): boolean {
  if (rule.kind === 'any') return true;
  if (rule.kind === 'name') return rule.name === name;
  // One label, as in certificates.
  return rule.kind === 'suffix' && name.endsWith(rule.suffix) && name.indexOf('.') === name.length - rule.suffix.length;
}

const onPort = (rule: Rule, port: number): boolean => rule.port === '*' || rule.port === port;

const same = (a: Address, b: Address): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** @throws SandboxError `invalid_policy` that names the rule. */
export function compilePolicy(policy: EgressPolicy): Policy {
  const own = compileRules(policy);
  return policy.within === undefined ? own : both(own, compileRules(policy.within));
}

function both(own: Policy, ceiling: Policy): Policy {
  const above = (reason: string | null) => reason && `it is above the ceiling of the namespace: ${reason}`;
  return {
    allowsName: (name) => own.allowsName(name) && ceiling.allowsName(name),
    matchName(name, port) {
      const found = [own.matchName(name, port), ceiling.matchName(name, port)];
      return found.includes(null) ? null : { trust: found.every((rule) => rule?.trust) };
    },
    whyNoName: (name, port) =>
      own.matchName(name, port) === null ? own.whyNoName(name, port) : (above(ceiling.whyNoName(name, port)) ?? ''),
    refuseAddress: (...args) => own.refuseAddress(...args) ?? above(ceiling.refuseAddress(...args)),
  };
}

function compileRules(policy: EgressRules): Policy {
  const rules = (policy.mode === 'list' ? policy.allow : policy.mode === 'public' ? (policy.also ?? []) : []).map(
    compileRule,
  );
  const open = policy.mode === 'public';
  const networks = (address: Address, port: number) =>
    rules.flatMap((rule) =>
      rule.kind === 'network' && onPort(rule, port) && contains(rule.network, address) ? [rule.network] : [],
    );
  return {
    allowsName: (name) => open || rules.some((rule) => coversName(rule, name)),
    matchName(name, port) {
      const found = rules.filter((rule) => coversName(rule, name) && onPort(rule, port));
      if (found.length === 0 && !open) return null;
      return { trust: found.some((rule) => rule.trust) };
    },
    whyNoName: () => 'no rule allows the name on this port',
    refuseAddress(address, port, by, own) {
      const named = networks(address, port);
      if (own.some((mine) => same(mine, address))) {
        const exact = named.some((network) => network.bits === address.length * 8);
        return exact ? null : 'it is an address of the host';
      }
      const special = notPublic(address);
      if (special !== null) {
        return named.some((network) => covers(special.network, network))
          ? null
          : `the address is not public (${special.name})`;
      }
      const any = rules.some((rule) => rule.kind === 'any' && onPort(rule, port));
      return by === 'name' || open || any || named.length > 0 ? null : 'no rule allows the address';
    },
  };
}

/** Text as it came from the relay or a resolver; what can not be parsed is refused. */
export function refuseText(
  policy: Policy,
  text: string,
  port: number,
  by: 'name' | 'address',
  own: readonly Address[],
) {
  const address = parseAddress(text);
  return address === null ? 'it is no address' : policy.refuseAddress(address, port, by, own);
}
