/** What is kept about a volume. Its content lies in directories that only the engine walks: its layers. */
import type { TxPolicy, VolumeLimits } from './types.ts';

/** A directory of the engine's. Of a volume with transactions nothing in it changes ever again. */
export interface VolumeLayer {
  id: string;
  /** On disk, when it was made. */
  bytes: number;
  entries: number;
}

export interface VolumeSnapshot {
  name: string;
  createdAt: number;
  layers: VolumeLayer[];
}

export interface VolumeRecord extends VolumeLimits {
  name: string;
  createdAt: number;
  transactions: TxPolicy | null;
  revision: number;
  /** Bottom first. One where there are no transactions. */
  layers: VolumeLayer[];
  snapshots: VolumeSnapshot[];
  /** Invocations whose transactions are in it, the latest last: another attempt of one adds nothing. */
  committed: string[];
}

export const layersOf = (record: VolumeRecord): string[] => [
  ...record.layers.map(({ id }) => id),
  ...record.snapshots.flatMap(({ layers }) => layers.map(({ id }) => id)),
];

const LAYER_ID = /^_[0-9a-z]{8}$/;

/** Undefined for what is none. */
export function parseVolumeRecord(text: string, name: string): VolumeRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value) || value['name'] !== name) return undefined;
  const { layers, snapshots, committed } = value;
  if (!areLayers(layers) || layers.length === 0 || !Array.isArray(snapshots) || !Array.isArray(committed))
    return undefined;
  const whole = snapshots.every((one) => isObject(one) && typeof one['name'] === 'string' && areLayers(one['layers']));
  return whole ? (value as unknown as VolumeRecord) : undefined;
}

function areLayers(value: unknown): value is VolumeLayer[] {
  return (
    Array.isArray(value) &&
    value.every((one) => isObject(one) && typeof one['id'] === 'string' && LAYER_ID.test(one['id']))
  );
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
