/** Volumes as the API and the CLI know them: named storage that outlives instances, versions and restarts. */
import type { Readable } from 'node:stream';

export const TX_POLICIES = ['exclusive', 'optimistic'] as const;
/**
 * Of a volume with transactions. `exclusive`: one writer at a time, the others wait. `optimistic`: all run at once; one
 * whose state was changed by another meanwhile ends as `volume_conflict`.
 */
export type TxPolicy = (typeof TX_POLICIES)[number];

export interface VolumeLimits {
  /** Bytes on disk; null: none. */
  maxBytes: number | null;
  /** Files, directories and links; null: none. */
  maxEntries: number | null;
}

export interface VolumeRequest extends Partial<VolumeLimits> {
  /** Absent: read and written as it is. */
  transactions?: TxPolicy;
}

export interface VolumeSnapshotView {
  name: string;
  createdAt: number;
}

export interface Volume extends VolumeLimits {
  name: string;
  /** Null: read and written as it is. */
  transactions: TxPolicy | null;
  /** Grows with each commit, import and rollback. */
  revision: number;
  /** Epoch ms. */
  createdAt: number;
  /** By name. */
  snapshots: VolumeSnapshotView[];
  /** Functions whose live version mounts it. */
  functions: string[];
  /** Instances that have it now. */
  mounts: number;
}

export interface VolumeUsage {
  /** On disk, snapshots left out. */
  bytes: number;
  entries: number;
}

export interface VolumeFile {
  name: string;
  type: 'file' | 'dir' | 'link' | 'other';
  mode: number;
  /** Bytes. */
  size: number;
  /** Epoch ms. */
  modified: number;
}

/** What is at a path; of a directory with what is in it, by name. */
export interface VolumeListing extends VolumeFile {
  path: string;
  files?: VolumeFile[];
}

/** A volume, or one of its snapshots: `NAME` or `NAME@SNAPSHOT`. */
export type VolumeRef = string;

export interface Volumes {
  list(): Promise<Volume[]>;
  /** @throws WaferError `volume_not_found` */
  get(name: string): Promise<Volume>;
  /** @throws WaferError `invalid_name | conflict` */
  create(name: string, request: VolumeRequest): Promise<Volume>;
  /** @throws WaferError `volume_not_found` */
  setLimits(name: string, limits: Partial<VolumeLimits>): Promise<Volume>;
  /** With its snapshots. @throws WaferError `volume_not_found | volume_in_use` */
  remove(name: string): Promise<void>;
  /** Those that no function mounts. */
  prune(): Promise<string[]>;
  usage(ref: VolumeRef): Promise<VolumeUsage>;
  /** @throws WaferError `volume_not_found | not_found` */
  files(ref: VolumeRef, path: string): Promise<VolumeListing>;
  /** Bytes of a file; the stream errors when it is cut meanwhile. @throws WaferError `volume_not_found | not_found` */
  download(ref: VolumeRef, path: string, part: { offset: number; length: number }): Promise<Readable>;
  /** A tar of a path, its entries named from its last component on; of `/` the content. */
  read(ref: VolumeRef, path: string): Promise<Readable>;
  /** Unpacks a tar into a directory. With transactions it is one, and is refused while others write. @throws WaferError `invalid_archive | volume_full` */
  write(name: string, path: string, tar: Readable): Promise<Volume>;
  /** @throws WaferError `invalid_name | conflict` */
  snapshot(name: string, snapshot: string): Promise<Volume>;
  removeSnapshot(name: string, snapshot: string): Promise<Volume>;
  /** The state is that of the snapshot again. @throws WaferError `volume_in_use` where an instance has it to write */
  rollback(name: string, snapshot: string): Promise<Volume>;
}
