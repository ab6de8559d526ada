/** What a volume may take, in words. */
import type { VolumeLayer, VolumeRecord } from '../../core/volumes/record.ts';
import type { VolumeUsage } from '../../core/volumes/types.ts';

const MIB = 1024 * 1024;

/** Why so much does not fit; null when it does. */
export function excess(
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

export const excessOf = (record: VolumeRecord, layers: readonly VolumeLayer[]): string | null =>
  excess(record, sumOf(layers));

export const hasLimits = ({ maxBytes, maxEntries }: VolumeRecord): boolean => maxBytes !== null || maxEntries !== null;
