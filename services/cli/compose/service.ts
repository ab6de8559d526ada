/** One service of a compose file. */
import { readCpuMillis, readMemoryMb, readRestart, readSeconds, readSignal, readWhole } from '../containers/parse.ts';
import { readBuild } from './build.ts';
import { readDependsOn } from './depends-on.ts';
import { readEnvFiles, readEnvironment } from './environment.ts';
import { readHealth } from './health.ts';
import { checkKeys } from './keys.ts';
import { readMounts, readPortList, type VolumeNames } from './mounts.ts';
import { type Place, refuse } from './places.ts';
import type { ComposeService } from './types.ts';
import { asBoolean, asCommand, asList, asMap, asPairs, asText, reading } from './values.ts';
import type { Value } from './yaml-tree.ts';

export interface ServiceContext {
  dir: string;
  project: string;
  volumes: VolumeNames;
  /** A variable of the caller, or of `.env`. */
  get: (name: string) => string | undefined;
}

type Draft = Omit<ComposeService, 'name' | 'at'>;
type ReadKey = (draft: Draft, value: Value, context: ServiceContext) => void;

/** A text that `read` makes into a setting. */
const setting =
  <K extends keyof Draft['settings']>(
    key: string,
    name: K,
    read: (text: string) => NonNullable<Draft['settings'][K]>,
  ): ReadKey =>
  ({ settings }, value) => {
    settings[name] = reading(value, key, () => read(asText(key, value)));
  };
const same = (text: string) => text;

const NETWORK_MODES = ['none', 'bridge', 'default', 'public'];

function networkMode({ settings }: Draft, value: Value): void {
  const mode = asText('network_mode', value);
  if (!NETWORK_MODES.includes(mode))
    throw refuse(
      value.at,
      `"network_mode": "${mode}" is not supported.`,
      'It is none or bridge; services of one file reach each other by name.',
    );
  if (mode === 'none') settings.network = { mode: 'none' };
}

const READERS: Record<string, ReadKey> = {
  image: (draft, value) => {
    draft.image = asText('image', value);
  },
  build: (draft, value, { dir, get }) => {
    draft.build = readBuild(value, dir, get);
  },
  container_name: (draft, value) => {
    draft.containerName = asText('container_name', value);
  },
  depends_on: (draft, value) => {
    draft.dependsOn = readDependsOn(value);
  },
  command: ({ settings }, value) => {
    if (value.kind !== 'null') settings.command = asCommand('command', value);
  },
  entrypoint: ({ settings }, value) => {
    if (value.kind !== 'null') settings.entrypoint = asCommand('entrypoint', value);
  },
  // `environment` wins, wherever it stands.
  env_file: ({ settings }, value, { dir, get }) => {
    settings.env = { ...readEnvFiles(value, dir, get), ...settings.env };
  },
  environment: ({ settings }, value, { get }) => {
    settings.env = { ...settings.env, ...readEnvironment(value, get) };
  },
  volumes: ({ settings }, value, { volumes }) => {
    settings.mounts = readMounts(value, volumes);
  },
  ports: ({ settings }, value) => {
    settings.ports = readPortList(value);
  },
  expose: (_draft, value) => {
    for (const port of asList('expose', value))
      reading(port, 'expose', () => readWhole(asText('expose', port).replace(/\/tcp$/, '')));
  },
  healthcheck: ({ settings }, value) => {
    settings.health = readHealth(value);
  },
  labels: ({ settings }, value) => {
    for (const [name, text] of asPairs('labels', value)) settings.labels[name] = text ?? '';
  },
  restart: setting('restart', 'restart', readRestart),
  working_dir: setting('working_dir', 'workingDir', same),
  user: setting('user', 'user', same),
  hostname: setting('hostname', 'hostname', same),
  stop_signal: setting('stop_signal', 'stopSignal', readSignal),
  stop_grace_period: setting('stop_grace_period', 'stopTimeoutSeconds', (text) => Math.ceil(readSeconds(text))),
  mem_limit: setting('mem_limit', 'memoryMb', readMemoryMb),
  cpus: setting('cpus', 'cpuMillis', readCpuMillis),
  pids_limit: setting('pids_limit', 'pids', (text) => readWhole(text)),
  tty: ({ settings }, value) => {
    settings.terminal = asBoolean('tty', value);
  },
  stdin_open: ({ settings }, value) => {
    settings.stdin = asBoolean('stdin_open', value);
  },
  network_mode: networkMode,
};

export const SERVICE_KEYS = Object.keys(READERS);

const NO_PRIVILEGE = 'Containers have no privileges of the host here; leave it out if the program does not need it.';
const HINTS: Record<string, string> = {
  networks: 'Leave it out: the services of a file reach each other by name on a network of their own.',
  links: 'Leave it out: services reach each other by name.',
  privileged: NO_PRIVILEGE,
  cap_add: NO_PRIVILEGE,
  cap_drop: 'Leave it out: every capability is dropped already.',
  devices: NO_PRIVILEGE,
  security_opt: 'Leave it out: seccomp and no_new_privs are always on.',
  read_only: 'Leave it out: what a container writes is in a layer of its own.',
  tmpfs: 'Leave it out: every container has a /tmp of its own.',
  deploy: 'Limits are mem_limit, cpus and pids_limit of the service.',
  scale: 'A service is one container.',
  extends: 'Use a YAML anchor and "<<:".',
  secrets: 'Use env_file, or copy files with "wafer cp".',
  configs: 'Build the file into an image, or copy it with "wafer cp".',
  profiles: 'Name the services: wafer compose up SERVICE.',
  logging: 'Leave it out: "wafer compose logs" reads what services write.',
  init: 'Leave it out: processes are reaped in every container.',
  platform: "Leave it out: images are of this machine's processor.",
  pull_policy: '"wafer image pull" brings a newer image.',
};

/** @throws WaferError `usage` with the place */
export function readService(name: string, value: Value, at: Place, context: ServiceContext): ComposeService {
  const map = asMap(`services.${name}`, value);
  checkKeys(map, `service ${name}`, SERVICE_KEYS, HINTS);
  const draft: Draft = {
    dependsOn: [],
    settings: { labels: {}, network: { mode: 'public', group: context.project, aliases: [name] } },
  };
  for (const [key, entry] of map.entries) READERS[key]?.(draft, entry.value, context);
  if (draft.image === undefined && draft.build === undefined)
    throw refuse(at, `service ${name} has neither "image" nor "build".`);
  return { name, at, ...draft };
}
