/** What a volume may take, and all together, in words. */
import type { Config } from '../../core/config.ts';
import type { VolumeRecord } from '../../core/volumes/record.ts';
import type { VolumeUsage } from '../../core/volumes/types.ts';

const MIB = 1024 * 1024;

export interface VolumeRoom {
  /** Why so much does not fit; null when it does. `usage`: of the state. */
  excess(record: VolumeRecord, usage: VolumeUsage): string | null;
  /** Why there is no room for so many bytes beside the state, which has as many. */
  excessWith(record: VolumeRecord, bytes: number): string | null;
  /** Whether what is in it has to be measured. */
  isLimited(record: VolumeRecord): boolean;
}

/** `othersOf`: bytes of all volumes and snapshots but for the state of this one. */
export const createVolumeRoom = (
  { namespaceVolumesMb }: Pick<Config, 'namespaceVolumesMb'>,
  othersOf: (record: VolumeRecord) => number,
): VolumeRoom => {
  const ofAll = (record: VolumeRecord, bytes: number) =>
    namespaceVolumesMb === null || othersOf(record) + bytes <= namespaceVolumesMb * MIB
      ? null
      : `All volumes together are full: they may have ${namespaceVolumesMb} MiB (WAFER_NAMESPACE_VOLUMES_MB).`;
  return {
    excess: (record, usage) => excess(record, usage) ?? ofAll(record, usage.bytes),
    excessWith: (record, bytes) => ofAll(record, 2 * bytes),
    isLimited: ({ maxBytes, maxEntries }) => namespaceVolumesMb !== null || maxBytes !== null || maxEntries !== null,
  };
};

function excess(
  { name, maxBytes, maxEntries }: Pick<VolumeRecord, 'name' | 'maxBytes' | 'maxEntries'>,
  { bytes, entries }: VolumeUsage,
): string | null {
  if (maxBytes !== null && bytes > maxBytes) return `The volume ${name} is full: it may have ${inMib(maxBytes)}.`;
  if (maxEntries !== null && entries > maxEntries)
    return `The volume ${name} is full: it may have ${maxEntries} files and directories.`;
  return null;
}

const inMib = (bytes: number) => (bytes >= MIB ? `${Math.round(bytes / MIB)} MiB` : `${bytes} bytes`);

/** What is in several layers counts once in each: too much, never too little. */
export const sumOf = (layers: readonly VolumeUsage[]): VolumeUsage => ({
  bytes: layers.reduce((sum, { bytes }) => sum + bytes, 0),
  entries: layers.reduce((sum, { entries }) => sum + entries, 0),
});
