/** What is kept of a container on disk, and how it is read back as if a stranger had written it. */

import { isDigest } from '../images/digest.ts';
import { isRecord } from '../images/documents.ts';
import type { Digest } from '../images/types.ts';
import type { Container, ContainerConfig, ContainerStatus } from './types.ts';

/** A place of a volume, with the name that an anonymous one was given. */
export interface RecordedMount {
  volume: string;
  path: string;
  readOnly: boolean;
  /** It goes with the container. */
  anonymous: boolean;
}

export interface ContainerRecord {
  format: 1;
  id: string;
  name: string;
  config: ContainerConfig;
  imageDigest: Digest;
  argv: string[];
  mounts: RecordedMount[];
  status: ContainerStatus;
  exitCode: number | null;
  oomKilled: boolean;
  error: string | null;
  restartCount: number;
  createdAt: number;
  startedAt: number | null;
  finishedAt: number | null;
  /** Somebody stopped it: `unless-stopped` leaves it so. */
  stoppedByHand: boolean;
  /** It ended because the platform did: `always` and `unless-stopped` start it again with the platform. */
  cutByPlatform: boolean;
}

const STATUSES: readonly unknown[] = ['created', 'running', 'paused', 'restarting', 'exited'];
const ID = /^[0-9a-z]{21}$/;
const isText = (value: unknown): value is string => typeof value === 'string';
const isTime = (value: unknown) => value === null || Number.isFinite(value);
const isTexts = (value: unknown) => Array.isArray(value) && value.every(isText);

export const isContainerId = (text: string): boolean => ID.test(text);

/** Null for what is no whole record of this id. */
export function parseRecord(text: string, id: string): ContainerRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(value) || value['format'] !== 1 || value['id'] !== id || !isContainerId(id)) return null;
  const { name, config, imageDigest, argv, mounts, status } = value;
  const isWhole =
    isText(name) &&
    isRecord(config) &&
    isDigest(imageDigest) &&
    isTexts(argv) &&
    Array.isArray(mounts) &&
    mounts.every((mount) => isRecord(mount) && isText(mount['volume']) && isText(mount['path'])) &&
    STATUSES.includes(status) &&
    ['createdAt', 'startedAt', 'finishedAt', 'exitCode'].every((key) => isTime(value[key]));
  return isWhole ? (value as unknown as ContainerRecord) : null;
}

/** What is true only while it runs comes from who runs it. */
export function toContainer(record: ContainerRecord, live: Pick<Container, 'health' | 'pid' | 'ports'>): Container {
  const { format: _format, mounts: _mounts, stoppedByHand: _stopped, cutByPlatform: _cut, ...shown } = record;
  return { ...shown, ...live };
}
