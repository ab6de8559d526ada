/** What a sandbox's spec and answers look like in the engine's protocol. */
import { NAME_SERVER } from './egress/names.ts';
import type { Fields, Pair } from './engine-frames.ts';
import type {
  Attachment,
  ProgramOptions,
  SandboxExit,
  SandboxProcess,
  SandboxSpec,
  SandboxStats,
  SecretFile,
  ShownVolume,
  TerminalSize,
  UserIds,
} from './types.ts';

/** Names come from the host through the egress proxy; the address is never really reached. */
const RESOLV_CONF = `nameserver ${NAME_SERVER}\noptions timeout:5 attempts:2\n`;
const HOSTS = '127.0.0.1 localhost\n::1 localhost\n';

export type ProgramExit = { status: number | null; signal: number | null };

/** Of the connections that a program was promised. */
export interface StreamTokens {
  control?: string | undefined;
  logs?: string | undefined;
  stdin?: string | undefined;
}

export const idPair = (id: string): Pair => ['id', id];
export const sizePair = ({ rows, columns }: TerminalSize): Pair => ['terminal', `${rows}x${columns}`];
const userPair = ({ uid, gid, groups }: UserIds): Pair => ['user', [uid, gid, ...groups].join(':')];

export function programPairs(argv: string[], options: ProgramOptions, tokens: StreamTokens): Pair[] {
  const { env = {}, cwd, user, terminal } = options;
  const pairs: Pair[] = [
    ...argv.map((arg): Pair => ['arg', arg]),
    ...Object.entries(env).map(([name, value]): Pair => ['env', `${name}=${value}`]),
    ...Object.entries(tokens).flatMap(([key, token]): Pair[] => (token === undefined ? [] : [[key, token]])),
  ];
  if (cwd !== undefined) pairs.push(['cwd', cwd]);
  if (user !== undefined) pairs.push(userPair(user));
  if (terminal !== undefined) pairs.push(sizePair(terminal));
  return pairs;
}

const secretPairs = (secrets: readonly SecretFile[] = []): Pair[] =>
  secrets.map(({ name, bytes }) => ['secret', `${name}:${bytes.toString('hex')}`]);

export const hasNetwork = (spec: SandboxSpec): boolean =>
  spec.peers !== undefined || (spec.egress !== undefined && spec.egress.mode !== 'none');

export function createPairs(spec: SandboxSpec, tokens: StreamTokens): Pair[] {
  const pairs: Pair[] = [idPair(spec.id), ['profile', spec.profile]];
  const add = (key: string, value: string | number | undefined) => {
    if (value !== undefined) pairs.push([key, value]);
  };
  for (const layer of spec.layers) add('layer', layer);
  for (const layer of spec.codeLayers ?? []) add('code-layer', layer);
  for (const mount of spec.mountRo ?? []) add('mount-ro', `${mount.work}:${mount.path}`);
  // One below another comes after it.
  const volumes = [...(spec.volumes ?? [])].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const { volume, path, readOnly } of volumes) add('volume', `${volume}:${readOnly ? 'ro' : 'rw'}:${path}`);
  for (const point of spec.points ?? []) add('point', point);
  pairs.push(...secretPairs(spec.secrets));
  add('upper', spec.upper);
  add('zygote', spec.zygote);
  add('hostname', spec.hostname);
  add('memory', spec.memoryBytes);
  add('pids', spec.pids);
  add('cpu', spec.cpuMillis);
  add('tmp', spec.tmpBytes);
  add('nofile', spec.openFiles);
  add('fsize', spec.fileBytes);
  add('hosts', spec.hostname === undefined ? HOSTS : `${HOSTS}127.0.0.1 ${spec.hostname}\n`);
  if (hasNetwork(spec)) {
    add('net', 'egress');
    add('resolv', RESOLV_CONF);
  }
  return [...pairs, ...programPairs(spec.argv, spec, tokens)];
}

export const mountPairs = (volumes: readonly ShownVolume[]): Pair[] =>
  volumes.map(({ point, layers, mode }): Pair => {
    const how = typeof mode === 'string' ? mode : `tx=${mode.upper}`;
    return ['volume', `${point}:${how}:${layers.join(',')}`];
  });

export function attachPairs(attachment: Attachment): Pair[] {
  const { codeLayers, memoryBytes, pids, cpuMillis, tmpBytes, openFiles, fileBytes, secrets } = attachment;
  const limits: [string, number | undefined][] = [
    ['memory', memoryBytes],
    ['pids', pids],
    ['cpu', cpuMillis],
    ['tmp', tmpBytes],
    ['nofile', openFiles],
    ['fsize', fileBytes],
  ];
  return [
    ...codeLayers.map((layer): Pair => ['code-layer', layer]),
    ...secretPairs(secrets),
    ...limits.flatMap(([key, value]): Pair[] => (value === undefined ? [] : [[key, value]])),
  ];
}

export function parseStatus(fields: Fields): ProgramExit {
  return { status: fields.number('status'), signal: fields.number('signal') };
}

export function parseExit(fields: Fields): SandboxExit {
  const reason = fields.get('reason');
  const known = reason === 'oom' || reason === 'killed' || reason === 'limit' ? reason : 'exited';
  return {
    ...parseStatus(fields),
    reason: known,
    memoryPeakBytes: fields.number('memory_peak'),
    cpuMicros: fields.number('cpu_us'),
  };
}

export function parseStats(fields: Fields): SandboxStats {
  return {
    memoryBytes: fields.number('memory'),
    memoryPeakBytes: fields.number('memory_peak'),
    cpuMicros: fields.number('cpu_us'),
    pids: fields.number('pids') ?? 0,
    processes: fields.number('processes'),
  };
}

/** `pid parent uid cpu-ms rss state command...`; the command is the guest's, so no byte of it may steer a terminal. */
export function parseProcesses(fields: Fields): SandboxProcess[] {
  return fields.all('process').map((line) => {
    const [pid, parent, uid, cpuMs, memoryBytes, state = '?', ...command] = line.split(' ');
    return {
      pid: Number(pid),
      parent: Number(parent),
      uid: Number(uid),
      cpuMs: Number(cpuMs),
      memoryBytes: Number(memoryBytes),
      state,
      command: command.join(' ').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd'),
    };
  });
}
