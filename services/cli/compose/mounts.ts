/** `volumes` and `ports` of a service. */
import type { ContainerMount, PortBinding } from '../../core/containers/types.ts';
import { NO_HOST_FOLDERS, readMount, readPorts } from '../containers/parse.ts';
import { checkKeys } from './keys.ts';
import { type Place, refuse } from './places.ts';
import { asBoolean, asList, asMap, asText, reading } from './values.ts';
import type { Value } from './yaml-tree.ts';

/** Name in the file -> name of the volume. */
export type VolumeNames = ReadonlyMap<string, string>;

function realName(name: string, volumes: VolumeNames, at: Place): string {
  const real = volumes.get(name);
  if (real !== undefined) return real;
  throw refuse(
    at,
    `the volume "${name}" is not in the top-level "volumes".`,
    `Add "volumes:" with "  ${name}:" at the end of the file.`,
  );
}

const HINTS = {
  bind: NO_HOST_FOLDERS,
  volume: 'Only read_only is known of a volume.',
  tmpfs: 'Every container has a /tmp of its own.',
};

function longMount(value: Value, volumes: VolumeNames): ContainerMount {
  const map = asMap('volumes', value);
  const type = map.entries.get('type');
  const kind = type === undefined ? 'volume' : asText('type', type.value);
  if (type !== undefined && kind === 'bind')
    throw refuse(type.at, 'a folder of the host can not be mounted.', NO_HOST_FOLDERS);
  if (type !== undefined && kind !== 'volume')
    throw refuse(type.at, `the type "${kind}" of a volume is not supported.`);
  checkKeys(map, 'volumes', ['type', 'source', 'target', 'read_only'], HINTS);
  const target = map.entries.get('target')?.value;
  if (target === undefined) throw refuse(map.at, '"volumes": "target" is missing: the path inside.');
  const source = map.entries.get('source')?.value;
  const readOnly = map.entries.get('read_only')?.value;
  return {
    volume: source === undefined ? null : realName(asText('source', source), volumes, source.at),
    path: asText('target', target),
    readOnly: readOnly !== undefined && asBoolean('read_only', readOnly),
  };
}

export const readMounts = (value: Value, volumes: VolumeNames): ContainerMount[] =>
  asList('volumes', value).map((item) => {
    if (item.kind === 'map') return longMount(item, volumes);
    const mount = reading(item, 'volumes', () => readMount(asText('volumes', item)));
    return mount.volume === null ? mount : { ...mount, volume: realName(mount.volume, volumes, item.at) };
  });

function longPort(value: Value): PortBinding[] {
  const map = asMap('ports', value);
  checkKeys(map, 'ports', ['target', 'published', 'host_ip', 'protocol', 'name', 'mode', 'app_protocol']);
  const text = (key: string) => {
    const found = map.entries.get(key)?.value;
    return found === undefined ? undefined : asText(key, found);
  };
  const target = text('target');
  if (target === undefined) throw refuse(map.at, '"ports": "target" is missing: the port inside.');
  const ip = text('host_ip');
  const address = ip === undefined ? '' : `${ip.includes(':') ? `[${ip}]` : ip}:`;
  const host = `${text('published') ?? ''}:`;
  return reading(value, 'ports', () => readPorts(`${address}${host}${target}/${text('protocol') ?? 'tcp'}`));
}

export const readPortList = (value: Value): PortBinding[] =>
  asList('ports', value).flatMap((item) =>
    item.kind === 'map' ? longPort(item) : reading(item, 'ports', () => readPorts(asText('ports', item))),
  );
