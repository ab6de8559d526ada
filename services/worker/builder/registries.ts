/**
 * What builds may reach, and how: the package registries that the host's own npm and
 * pip are set up for, with the host's CA certificates, without its credentials.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type EgressPolicy, type EgressRule, HOST_NAME } from '../../../runtime/sandbox/index.ts';

export interface RegistryAccess {
  egress: EgressPolicy;
  env: Record<string, string>;
  files: Record<string, string | Buffer>;
}

export interface Registries {
  npm(): Promise<RegistryAccess>;
  pip(): Promise<RegistryAccess>;
}

const CA_PATH = '/run/wafer/ca.crt';

type Env = Record<string, string | undefined>;

export function createRegistries(env: Env): Registries {
  // Settings are read once, at the first build; a change needs a restart, like every other setting.
  const extra = [env['NODE_EXTRA_CA_CERTS'], env['SSL_CERT_FILE']];
  const npm = once(async () => {
    const settings = await npmSettings(env);
    const own = settings['cafile'];
    return npmAccess(settings, await readCa([...extra, typeof own === 'string' ? own : undefined]));
  });
  const pip = once(async () => {
    const settings = await pipSettings(env);
    return pipAccess(settings, await readCa([...extra, settings.cert]));
  });
  return { npm, pip };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let value: Promise<T> | undefined;
  return () => {
    value ??= make().catch((error: unknown) => {
      value = undefined;
      throw error;
    });
    return value;
  };
}

/**
 * What the host trusts, in one file: a build's npm and pip know only the one that they are given,
 * and an extra certificate of the operator must not take the public ones away.
 */
async function readCa(paths: (string | undefined)[]): Promise<Buffer | null> {
  const given = [...new Set([...paths, '/etc/ssl/certs/ca-certificates.crt'].filter((path) => path))] as string[];
  const found = await Promise.all(given.map((path) => readFile(path, 'utf8').catch(() => '')));
  const texts = [...new Set(found.map((text) => text.trim()).filter((text) => text !== ''))];
  return texts.length === 0 ? null : Buffer.from(`${texts.join('\n')}\n`);
}

/** `npm config ls` redacts credentials itself, and leaves out a registry whose address holds some. */
async function npmSettings(env: Env): Promise<Record<string, unknown>> {
  const options = { env: { ...env, npm_config_loglevel: 'silent' }, maxBuffer: 4 << 20 };
  const { stdout } = await promisify(execFile)('npm', ['config', 'ls', '-l', '--json'], options);
  const settings = JSON.parse(stdout) as Record<string, unknown>;
  return { ...(await registriesOfFiles(env, settings)), ...settings };
}

/** Registry lines of the files that npm reads, later ones winning. */
async function registriesOfFiles(env: Env, settings: Record<string, unknown>): Promise<Record<string, string>> {
  const files = [settings['globalconfig'], settings['userconfig']].filter((path) => typeof path === 'string');
  const texts = await Promise.all(files.map((path) => readFile(path, 'utf8').catch(() => '')));
  const lines = [...texts.join('\n').matchAll(/^\s*((?:@[^:\s]+:)?registry)\s*=\s*"?([^"\s]+)"?\s*$/gm)];
  const found = Object.fromEntries(lines.map(([, key = '', value = '']) => [key, value]));
  return { ...found, ...(env['npm_config_registry'] ? { registry: env['npm_config_registry'] } : {}) };
}

function npmAccess(settings: Record<string, unknown>, ca: Buffer | null): RegistryAccess {
  const registries = Object.entries(settings).filter(
    ([key, value]) => (key === 'registry' || key.endsWith(':registry')) && typeof value === 'string',
  );
  const rules: EgressRule[] = [];
  const lines = registries.map(([key, value]) => `${key}=${insideUrl(String(value), rules)}`);
  if (settings['strict-ssl'] === false) lines.push('strict-ssl=false');
  if (ca !== null) lines.push(`cafile=${CA_PATH}`);
  lines.push('fund=false', 'audit=false', 'update-notifier=false', 'progress=false', 'replace-registry-host=always');
  const env: Record<string, string> = {
    npm_config_userconfig: '/run/wafer/npmrc',
    npm_config_cache: '/tmp/npm',
    NODE_ENV: 'production',
  };
  if (ca !== null) env['NODE_EXTRA_CA_CERTS'] = CA_PATH;
  return {
    egress: { mode: 'list', allow: rules },
    env,
    files: { '/run/wafer/npmrc': `${lines.join('\n')}\n`, ...caFile(ca) },
  };
}

interface PipSettings {
  index: string | undefined;
  extra: string[];
  trusted: string[];
  cert: string | undefined;
}

async function pipSettings(env: Env): Promise<PipSettings> {
  // Weakest first, as pip reads them; a named /dev/null switches all of them off.
  const named = env['PIP_CONFIG_FILE'];
  const files =
    named === '/dev/null'
      ? []
      : [
          '/etc/pip.conf',
          join(homedir(), '.pip/pip.conf'),
          join(env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'pip/pip.conf'),
          named,
        ];
  const found = await Promise.all(files.map((path) => (path ? readFile(path, 'utf8').catch(() => '') : '')));
  const ini = Object.assign({}, ...found.map(parsePipConf)) as Record<string, string>;
  const words = (text: string | undefined) => (text ?? '').split(/\s+/).filter((word) => word !== '');
  return {
    index: env['PIP_INDEX_URL'] || ini['index-url'],
    extra: words(env['PIP_EXTRA_INDEX_URL'] || ini['extra-index-url']).filter((url) => /^https?:/.test(url)),
    trusted: words(env['PIP_TRUSTED_HOST'] || ini['trusted-host']),
    cert: env['PIP_CERT'] || ini['cert'],
  };
}

/** `[global]` and `[install]` of pip's configuration; continuation lines are joined. */
export function parsePipConf(text: string): Record<string, string> {
  const values: Record<string, string> = {};
  let section = '';
  let key = '';
  for (const line of text.split('\n')) {
    const header = /^\[(.+)\]\s*$/.exec(line);
    const pair = /^([A-Za-z_-]+)\s*[=:]\s*(.*)$/.exec(line);
    if (header) section = header[1] ?? '';
    else if (section !== 'global' && section !== 'install') continue;
    else if (pair) {
      key = (pair[1] ?? '').replaceAll('_', '-');
      values[key] = pair[2] ?? '';
    } else if (/^\s+\S/.test(line) && key !== '') values[key] = `${values[key]} ${line.trim()}`;
  }
  return values;
}

function pipAccess(settings: PipSettings, ca: Buffer | null): RegistryAccess {
  const rules: EgressRule[] = [];
  const trusted = [...settings.trusted];
  const rewrite = (url: string) => {
    const inside = insideUrl(url, rules);
    if (inside.startsWith('http:')) trusted.push(new URL(inside).host); // the operator chose plain HTTP on the host
    return inside;
  };
  const env: Record<string, string> = {
    PIP_NO_INPUT: '1',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PIP_NO_CACHE_DIR: '1',
    PIP_ROOT_USER_ACTION: 'ignore',
    PIP_PROGRESS_BAR: 'off',
  };
  if (settings.index !== undefined) env['PIP_INDEX_URL'] = rewrite(settings.index);
  if (settings.extra.length > 0) env['PIP_EXTRA_INDEX_URL'] = settings.extra.map(rewrite).join(' ');
  if (trusted.length > 0) env['PIP_TRUSTED_HOST'] = trusted.join(' ');
  if (ca !== null) env['PIP_CERT'] = CA_PATH;
  // With no index named, pip's default one and the hosts of its files are public addresses.
  const egress: EgressPolicy =
    settings.index === undefined ? { mode: 'public', also: rules } : { mode: 'list', allow: rules };
  return { egress, env, files: caFile(ca) };
}

const caFile = (ca: Buffer | null): Record<string, Buffer> => (ca === null ? {} : { [CA_PATH]: ca });

/** The URL as used inside a build sandbox: no credentials, and the host's loopback by its name. Adds the rule that lets it out. */
export function insideUrl(text: string, rules: EgressRule[]): string {
  const url = new URL(text);
  url.username = '';
  url.password = '';
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  if (/^(localhost|127\.[0-9.]+|\[::1\])$/.test(url.hostname)) url.hostname = HOST_NAME;
  rules.push({ host: url.hostname, port, trustResolved: true });
  return url.href;
}
