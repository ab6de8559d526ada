/** How settings are read from the environment. Each reader throws WaferError `usage`, which names the variable. */
import { isAllowedHostText } from './allowed-hosts.ts';
import { WaferError } from './errors.ts';
import { PUBLIC, readEgressHost } from './functions/egress.ts';

export type Env = Record<string, string | undefined>;

export interface Setting<T> {
  env: string;
  doc: string;
  /** Shown as the default. */
  defaultText: string;
  read: (value: string | undefined, env: Env) => T;
}

export const setting = <T>(env: string, defaultText: string, doc: string, read: Setting<T>['read']): Setting<T> => ({
  env,
  defaultText,
  doc,
  read,
});

/** `fallback`: where it is not set. */
export const integer = (name: string, min: number, max: number, fallback: number) => (value: string | undefined) => {
  if (value === undefined || value === '') return fallback;
  const number = Number(value);
  if (Number.isInteger(number) && number >= min && number <= max) return number;
  throw new WaferError('usage', `${name}=${value} is not a whole number from ${min} to ${max}.`);
};

/** Null for 0: no limit. */
export const limit =
  (name: string, min: number, max: number, decimals = 0) =>
  (value: string | undefined) => {
    if (value === undefined || value === '' || value === '0') return null;
    const number = Number(value);
    if (number >= min && number <= max && Number(number.toFixed(decimals)) === number) return number;
    const kind = decimals === 0 ? 'a whole number' : `a number with at most ${decimals} decimals`;
    throw new WaferError('usage', `${name}=${value} is not ${kind} from ${min} to ${max}, or 0.`);
  };

export const oneOf =
  <T extends string>(name: string, values: readonly T[], fallback: T) =>
  (value: string | undefined) => {
    if (value === undefined || value === '') return fallback;
    const found = values.find((known) => known === value);
    if (found !== undefined) return found;
    throw new WaferError('usage', `${name}=${value} is not one of ${values.join(', ')}.`);
  };

/** `host[:port]`, as registries are named in references. */
const REGISTRY = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/i;

export const registryName = (name: string, value: string): string => {
  if (REGISTRY.test(value)) return value.toLowerCase();
  throw new WaferError(
    'usage',
    `${name}: ${JSON.stringify(value.slice(0, 100))} is not a registry: host or host:port.`,
  );
};

export const callbackHost = (name: string, value: string): string => {
  if (isAllowedHostText(value)) return value.toLowerCase();
  throw new WaferError(
    'usage',
    `${name}: ${JSON.stringify(value.slice(0, 100))} is not a host, host:port, or network like 10.1.0.0/16.`,
  );
};

export const egressEntry = (name: string, value: string): string => {
  if (value === PUBLIC) return value;
  const read = readEgressHost(value);
  if (!('problem' in read)) return value;
  throw new WaferError('usage', `${name}: ${JSON.stringify(value.slice(0, 100))} ${read.problem}.`, {
    hint: `${name} is "none", "public", or a list like public,db.internal:5432,10.1.0.0/16:443.`,
  });
};

/** Values with commas between them. */
export const listOf = (value: string | undefined): string[] =>
  (value ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
