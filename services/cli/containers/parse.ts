/** Values of container flags as text, read into the API's shapes. Shared by `run`, `create` and compose files. */
import type { ContainerMount, PortBinding, RestartPolicy } from '../../core/containers/types.ts';
import { WaferError } from '../../core/errors.ts';

/** What is wrong, without the place; the caller knows it. */
export class ValueError extends Error {
  override readonly name = 'ValueError';
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

const shown = (text: string) => JSON.stringify(text.slice(0, 100));

/** Runs a reader; its complaint becomes a `usage` error that names the flag. */
export function readFlag<T>(flag: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new WaferError('usage', `${flag}: ${error.message}`, error.hint === undefined ? {} : { hint: error.hint });
  }
}

const SIZE_UNITS: Record<string, number> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** `512m`, `1.5g`, `1gb`; a bare number is bytes. @returns whole MiB, rounded up */
export function readMemoryMb(text: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i.exec(text.trim()) ?? [];
  const bytes = Number(digits) * (SIZE_UNITS[unit.toLowerCase()] ?? 1);
  if (digits === undefined || !(bytes > 0)) throw new ValueError(`${shown(text)} is not a size.`, 'Write 512m or 2g.');
  return Math.ceil(bytes / 1024 ** 2);
}

/** `0.5`, `2`. @returns 1/1000 of a core */
export function readCpuMillis(text: string): number {
  const cores = Number(text);
  if (text.trim() === '' || !Number.isFinite(cores) || cores <= 0)
    throw new ValueError(`${shown(text)} is not a number of cores.`, 'Write 0.5 or 2.');
  return Math.max(1, Math.round(cores * 1000));
}

export function readWhole(text: string, least = 1): number {
  const number = Number(text);
  if (text.trim() !== '' && Number.isSafeInteger(number) && number >= least) return number;
  throw new ValueError(`${shown(text)} is not a whole number from ${least}.`);
}

const SPAN = /^(?:\d+(?:\.\d+)?(?:us|ms|s|m|h))+$/;
const SPAN_SECONDS: Record<string, number> = { us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };

/** Docker's time spans: `1m30s`, `500ms`, `10s`; a bare number is seconds. */
export function readSeconds(text: string): number {
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text);
  if (!SPAN.test(text)) throw new ValueError(`${shown(text)} is not a time span.`, 'Write 30s, 1m30s or 500ms.');
  return [...text.matchAll(/(\d+(?:\.\d+)?)(us|ms|s|m|h)/g)].reduce(
    (sum, [, digits, unit = 's']) => sum + Number(digits) * (SPAN_SECONDS[unit] ?? 1),
    0,
  );
}

/** `no`, `always`, `unless-stopped`, `on-failure[:N]`. */
export function readRestart(text: string): RestartPolicy {
  const [, name, count] = /^(no|always|unless-stopped|on-failure)(?::(\d+))?$/.exec(text) ?? [];
  if (name === undefined || (count !== undefined && name !== 'on-failure'))
    throw new ValueError(
      `${shown(text)} is not a restart policy.`,
      'It is one of no, on-failure, on-failure:3, always, unless-stopped.',
    );
  return { name: name as RestartPolicy['name'], maximumRetries: Number(count ?? 0) };
}

const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
export const NO_HOST_FOLDERS =
  'Copy files with "wafer cp", build them into an image, or keep them in a named volume: containers never see folders of the host.';

/** `NAME:/path[:ro|rw]`, or `/path` for an anonymous volume. Folders of the host are refused. */
export function readMount(text: string): ContainerMount {
  const [first = '', second, mode, ...more] = text.split(':');
  if (second === undefined) {
    if (!first.startsWith('/')) throw new ValueError(`${shown(text)} has no path inside.`, 'Write NAME:/path.');
    return { volume: null, path: first, readOnly: false };
  }
  if (/^[./~]/.test(first) || first.includes('/'))
    throw new ValueError(`${shown(first)} is a folder of the host, which can not be mounted.`, NO_HOST_FOLDERS);
  if (!VOLUME_NAME.test(first)) throw new ValueError(`${shown(first)} is not the name of a volume.`);
  if (!second.startsWith('/')) throw new ValueError(`${shown(second)} is not an absolute path.`);
  if (more.length > 0 || (mode !== undefined && mode !== 'ro' && mode !== 'rw'))
    throw new ValueError(`${shown(text)} does not end with :ro or :rw.`);
  return { volume: first, path: second, readOnly: mode === 'ro' };
}

const LOOPBACK: Record<string, PortBinding['hostAddress']> = {
  '127.0.0.1': '127.0.0.1',
  localhost: '127.0.0.1',
  '::1': '::1',
  '[::1]': '::1',
};

function portRange(text: string, least: number): [first: number, last: number] {
  const [, low, high] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const first = Number(low);
  const last = Number(high ?? low);
  if (low === undefined || first < least || last > 65_535 || last < first)
    throw new ValueError(`${shown(text)} is not a port.`);
  return [first, last];
}

function hostAddress(text: string | undefined): PortBinding['hostAddress'] {
  if (text === undefined) return '127.0.0.1';
  const known = LOOPBACK[text];
  if (known !== undefined) return known;
  throw new ValueError(
    `${shown(text)} is not a loopback address.`,
    'Ports are bound to 127.0.0.1 or ::1 only; put a proxy in front to serve others.',
  );
}

/** `[ADDRESS:][HOST:]CONTAINER[/tcp]`; each port may be a range. Without a host port, or with 0, a free one is taken. */
export function readPorts(text: string): PortBinding[] {
  const [whole = '', protocol = 'tcp'] = text.split('/');
  if (protocol !== 'tcp') throw new ValueError(`${shown(text)}: only TCP ports can be published.`);
  const [, address, host, container = ''] = /^(?:(\[[^\]]*\]|[^:[\]]*):)?(?:([^:]*):)?([^:]*)$/.exec(whole) ?? [];
  // `8080:80` is read as an address at first.
  const isAddress = host !== undefined;
  const hostText = isAddress ? host : address;
  const [first, last] = portRange(container, 1);
  const count = last - first + 1;
  const at = hostAddress(isAddress ? address : undefined);
  const free = hostText === undefined || hostText === '';
  const [hostFirst, hostLast] = free ? [0, 0] : portRange(hostText, 0);
  if (!free && hostFirst !== 0 && hostLast - hostFirst + 1 !== count)
    throw new ValueError(`${shown(text)}: the two ranges are not of one size.`);
  return Array.from({ length: count }, (_, index) => ({
    hostAddress: at,
    hostPort: hostFirst === 0 ? 0 : hostFirst + index,
    containerPort: first + index,
  }));
}

/** `NAME=value`, or `NAME` for its value in `env`; null when it has none there. */
export function readPair(text: string, env: Record<string, string | undefined>): [string, string] | null {
  const equals = text.indexOf('=');
  const name = equals === -1 ? text : text.slice(0, equals);
  if (name === '' || name.includes('\0')) throw new ValueError(`${shown(text)} is not NAME=value.`);
  const value = equals === -1 ? env[name] : text.slice(equals + 1);
  return value === undefined ? null : [name, value];
}

/** A `--env-file`: one `NAME=value` or `NAME` a line as they are, no quotes; `#` begins a comment line. */
export function readEnvLines(text: string, env: Record<string, string | undefined>): Record<string, string> {
  const lines = text.split(/\r?\n/).map((line) => line.trimStart());
  const pairs = lines.filter((line) => line !== '' && !line.startsWith('#')).map((line) => readPair(line, env));
  return Object.fromEntries(pairs.filter((pair) => pair !== null));
}

/** A signal as the API takes it: `SIGTERM`, `TERM`, `15`. */
export function readSignal(text: string): string {
  if (/^(?:SIG)?[A-Za-z][A-Za-z0-9+-]*$/.test(text)) return `SIG${text.replace(/^SIG/i, '').toUpperCase()}`;
  if (/^[1-9][0-9]?$/.test(text)) return text;
  throw new ValueError(`${shown(text)} is not a signal.`, 'Write a name like TERM or a number.');
}
